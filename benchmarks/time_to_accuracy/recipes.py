"""The recipes: network, augmentation, optimiser and schedule, as arguments of `launch.test`.

`B-online` is the recipe of examples/reproduce.py. The others minimise the processor time to a validation error.
"""

CHANGES = {'mirror': 0.5, 'crop': 40, 'shift': 0.05, 'rotation': 10.0, 'zoom': 0.15, 'contrast': 0.2}
COMMON = {
    'batch_size': 128,
    'momentum': 0.9,
    'nesterov': True,
    'weight_decay': 5e-4,
    'label_smoothing': 0.1,
    'schedule': 'cosine',
}
SHORT = {  # shared by the two recipes that minimise processor time
    **COMMON,
    'momentum': 0.85,
    'ema_decay': 0.99,
    'schedule_args': {'warmup': 1},
    'augment': CHANGES,
}

RECIPES = {
    'B-online': {
        **COMMON,
        'network': 'B',
        'network_args': {'width': 0.75},
        'n_hidden': [512],
        'p_drop': 0.4,
        'p_dropConv': [0.0] * 6,
        'learning_rate': 0.05,
        'ema_decay': 0.998,
        'schedule_args': {'warmup': 2},
        'n_epochs': 44,
        'augment': {**CHANGES, 'erase': 0.2},
    },
    'Sprint': {**SHORT, 'network': 'Sprint', 'learning_rate': 0.2, 'n_epochs': 10},
    'A-half': {
        **SHORT,
        'network': 'A',
        'network_args': {'width': 0.5},
        'n_hidden': [512],
        'p_drop': 0.5,
        'p_dropConv': [0.0] * 4,
        'learning_rate': 0.05,
        'n_epochs': 24,
    },
}

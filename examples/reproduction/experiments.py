"""The experiments behind the tables, the recipes, and their shared settings."""

from dataclasses import dataclass

import cnn
import mlp
from utils import rna

VALIDATION = 3709 / 28709  # of set 1, which has none in the thesis; the same proportion as in set 2


N_TRAINING, N_TEST = 28709, 3589  # of FER2013; N_TEST is one half of the test images


THESIS = dict(learning_rate=0.1, batch_size=100, p_drop=0.5, anneal_epochs=10)


SET4 = dict(THESIS, n_epochs=60, patience=6)


PLAIN = dict(THESIS, batch_norm=False)


ONLINE = dict(
    batch_size=128,
    momentum=0.9,
    nesterov=True,
    schedule='cosine',
    schedule_args={'warmup': 5},
    ema_decay=0.999,
    label_smoothing=0.1,
    n_epochs=200,
)


CHANGES = dict(crop=40, mirror=0.5, shift=0.1, rotation=10.0, zoom=0.2, brightness=0.2, contrast=0.3, erase=0.5)


@dataclass
class Entry:
    """An experiment: title in the tables, number of the set, arguments of `launch.test`, error in the thesis (in %)
    and table of the thesis."""

    title: str
    set: int
    options: dict
    thesis: str = ''
    table: str = ''


# The thesis gives the number of epochs only for the third experiment (Figure 18): 200 are enough for its entropy point.
# On set 4 an epoch has 361,746 images; the stage ends 6 epochs after its minimum. Without dropout (the first
# experiment) the network overfits at once.
EXPERIMENTS = {
    'A-set1': Entry(
        'A (set 1)',
        1,
        dict(PLAIN, network=cnn.A, n_hidden=[1024, 1024], p_drop=0.0, p_dropConv=[0.0] * 4, n_epochs=60, patience=10),
        '40-42',
        'section 5.5',
    ),
    'A-drop-set1': Entry(
        'A drop (set 1)', 1, dict(PLAIN, network=cnn.A, n_hidden=[1024, 1024], n_epochs=200), '36.66', '6'
    ),
    'A-drop-set2': Entry(
        'A drop (set 2)', 2, dict(PLAIN, network=cnn.A, n_hidden=[1024], n_epochs=200), '32.52 (plain 33.7)', '7'
    ),
    'B-drop-set2': Entry(
        'B drop (set 2)', 2, dict(PLAIN, network=cnn.B, n_hidden=[1024, 512], n_epochs=200), '33.27', '8'
    ),
    'A-BN-drop-set2-1024': Entry(
        'A BN-drop (set 2) (1024, 1024)',
        2,
        dict(THESIS, network=cnn.A, n_hidden=[1024, 1024], n_epochs=100),
        '32.76',
        '9',
    ),
    'A-BN-drop-set2-512': Entry(
        'A BN-drop (set 2) (512, 512)', 2, dict(THESIS, network=cnn.A, n_hidden=[512, 512], n_epochs=100), '32.65', '9'
    ),
    'A-BN-drop-set3': Entry(
        'A BN-drop (set 3)', 3, dict(THESIS, network=cnn.A, n_hidden=[1024, 1024], n_epochs=60), '32.54', '10'
    ),
    'A-BN-drop-set4': Entry(
        'A BN-drop (set 4) (1024)', 4, dict(SET4, network=cnn.A, n_hidden=[1024]), '29.92', '11, 12'
    ),
    'D-BN-drop-set4': Entry(
        'D BN-drop (set 4) (1024)', 4, dict(SET4, network=cnn.D, n_hidden=[1024]), '30.52', '11, 12'
    ),
    'C-BN-drop-set4': Entry(
        'C BN-drop (set 4) (3048)', 4, dict(SET4, network=cnn.C, n_hidden=[3048]), '31.50', '11, 12'
    ),
}


RECIPES = {
    'VGG': Entry(
        'VGG, online augmentation',
        1,
        dict(
            ONLINE,
            network=cnn.VGG,
            n_hidden=[4096, 4096],
            p_drop=0.2,
            learning_rate=0.02,
            weight_decay=1e-4,
            augment=dict(CHANGES, mixup=0.2),
        ),
    ),
    'ResNet18': Entry(
        'ResNet18, online augmentation',
        1,
        dict(
            ONLINE,
            network=cnn.ResNet18,
            n_hidden=[],
            p_drop=0.0,
            learning_rate=0.1,
            weight_decay=5e-4,
            augment=dict(CHANGES, mixup=0.4),
        ),
    ),
}


SMALL = {
    'MLP-set1': Entry(
        'MLP BN-drop (set 1) (256), 10 epochs',
        1,
        dict(THESIS, network=mlp.MLP, n_hidden=[256], n_epochs=10, anneal_epochs=3),
    ),
    'B-online': Entry(
        'B at 3/4 of the width (512), crops of 40x40 and online augmentation, 44 epochs',
        1,
        dict(
            ONLINE,
            network=cnn.B,
            network_args={'width': 0.75},
            n_hidden=[512],
            p_drop=0.4,
            p_dropConv=[0.0] * 6,
            learning_rate=0.05,
            weight_decay=5e-4,
            ema_decay=0.998,
            schedule_args={'warmup': 2},
            n_epochs=44,
            anneal_epochs=2,
            augment=dict(mirror=0.5, crop=40, shift=0.05, rotation=10.0, zoom=0.15, contrast=0.2, erase=0.2),
        ),
    ),
    'LeNet5-set1': Entry(
        'LeNet5 BN (set 1) (120, 84), 6 epochs',
        1,
        dict(
            THESIS,
            network=cnn.LeNet5,
            n_hidden=[120, 84],
            activation=rna.relu(),
            batch_norm=True,
            p_drop=0.0,
            n_epochs=6,
            anneal_epochs=2,
        ),
    ),
    'A-quarter-set2': Entry(
        'A BN-drop (set 2) (256), a quarter of the width, 7 epochs',
        2,
        dict(
            THESIS,
            network=cnn.A,
            network_args={'width': 0.25},
            n_hidden=[256],
            p_dropConv=[0.0, 0.1, 0.1, 0.2],
            n_epochs=7,
            anneal_epochs=2,
        ),
    ),
}


ENTRIES = {**EXPERIMENTS, **RECIPES, **SMALL}

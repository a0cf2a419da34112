"""Entries compared at equal processor time: networks with one recipe, and techniques one at a time against a base."""

from dataclasses import dataclass, field

import cnn
import mlp
from utils import rna

# Chosen in pilot runs on the validation images before any entry was run.
RECIPE = dict(
    batch_size=128,
    momentum=0.85,
    nesterov=True,
    schedule='cosine',
    schedule_args={'warmup': 1},
    label_smoothing=0.1,
    weight_decay=5e-4,
    ema_decay=0.99,
)
CHANGES = dict(mirror=0.5, crop=40, shift=0.05, rotation=10.0, zoom=0.15, contrast=0.2)
SPRINT = dict(RECIPE, network=cnn.Sprint, learning_rate=0.2, augment=CHANGES)
PLAIN = dict(RECIPE, learning_rate=0.05, augment=CHANGES)
HALF = dict(PLAIN, network=cnn.A, network_args={'width': 0.5}, n_hidden=[512], p_drop=0.5, p_dropConv=[0.0] * 4)


@dataclass
class Technique:
    """An entry of the comparison.

    Parameters
    ----------
    name : str
        Name on the command line.
    title : str
        Title in the table.
    options : dict
        Arguments of `launch.test`.
    base : str
        Name of the entry that it is compared with; '' for none.
    report : bool
        Whether the run writes a report.
    teacher : str
        Name of the entry whose model is the teacher; '' for none.
    """

    name: str
    title: str
    options: dict = field(repr=False)
    base: str = ''
    report: bool = False
    teacher: str = ''


def _network(network, title, **options):
    return Technique(network.__name__, title, dict(PLAIN, network=network, **options))


def _with(name, title, base, report=False, **options):
    base_options = {'Sprint': SPRINT, 'A-half': HALF}[base]
    return Technique(name, f'{base}, {title}', {**base_options, **options}, base, report)


TECHNIQUES = [
    Technique('Sprint', 'Sprint', SPRINT),
    Technique('A-half', 'A at half its width (512)', HALF),
    Technique('MLP', 'MLP (512, 512)', dict(PLAIN, network=mlp.MLP, n_hidden=[512, 512], p_drop=0.5)),
    _network(cnn.LeNet5, 'LeNet5', batch_norm=True),
    _network(cnn.A, 'A (1024)', n_hidden=[1024], p_dropConv=[0.0] * 4),
    Technique(
        'B-online',
        'B at 3/4 of its width (512)',
        dict(PLAIN, network=cnn.B, network_args={'width': 0.75}, n_hidden=[512], p_drop=0.4, p_dropConv=[0.0] * 6),
    ),
    _network(cnn.C, 'C (1024)', p_dropConv=[0.0] * 13),
    _network(cnn.D, 'D (1024)', p_dropConv=[0.0] * 4),
    _network(cnn.VGG, 'VGG of FER2013 (4096, 4096)'),
    _network(cnn.VGG11, 'VGG11', batch_norm=True),
    _network(cnn.ResNet18, 'ResNet18', n_hidden=[], p_drop=0.0),
    _network(cnn.ResNet34, 'ResNet34', n_hidden=[], p_drop=0.0),
    _network(cnn.AlexNet, 'AlexNet', batch_norm=True),
    _network(cnn.ZFNet, 'ZFNet', batch_norm=True),
    _network(cnn.GoogLeNet, 'GoogLeNet', batch_norm=True),
    _with('Sprint-gelu', 'GELU', 'Sprint', activation=rna.gelu()),
    _with('Sprint-beta', 'beta with the learning rate of the weights', 'Sprint', network_args={'beta_rate': 1.0}),
    _with('Sprint-muon', 'Muon', 'Sprint', optimiser='muon', momentum=0.0, nesterov=False, learning_rate=0.02),
    _with('Sprint-erase', 'random erasing', 'Sprint', augment=dict(CHANGES, erase=0.2)),
    _with('Sprint-mixup', 'mixup', 'Sprint', augment=dict(CHANGES, mixup=0.2)),
    _with('Sprint-cutmix', 'CutMix', 'Sprint', augment=dict(CHANGES, cutmix=0.5)),
    _with('Sprint-alternate', 'alternating flip', 'Sprint', augment=dict(CHANGES, alternate=True)),
    _with('Sprint-resizing', 'crops resized to 24, 32, 40 pixels in turn', 'Sprint', progressive_sizes=[24, 32, 40]),
    _with('Sprint-dropconnect', 'DropConnect 0.2', 'Sprint', p_dropConnect=0.2),
    _with('Sprint-balance', 'class weights', 'Sprint', balance='weights'),
    _with('Sprint-sampling', 'balanced sampling', 'Sprint', balance='sampling'),
    _with('Sprint-no-smoothing', 'no label smoothing', 'Sprint', label_smoothing=0.0),
    _with('Sprint-no-average', 'no moving average', 'Sprint', ema_decay=0.0),
    _with(
        'Sprint-members',
        '4 members on 0.8 of the images',
        'Sprint',
        report=True,
        members=4,
        portion=0.8,
        network_args={'width': 0.5},
    ),
    Technique('Sprint-teacher', 'Sprint, distilled from those members', SPRINT, 'Sprint', teacher='Sprint-members'),
    _with('A-half-svm', 'L2-SVM', 'A-half', loss='l2svm', label_smoothing=0.0),
    _with('A-half-maxout', 'maxout (2)', 'A-half', activation=rna.maxout(2), network_args={'width': 0.35}),
    _with('A-half-pretrained', 'pre-trained for 2 epochs per layer', 'A-half', report=True, pretrain_epochs=2),
    _with('A-half-dropconnect', 'DropConnect instead of dropout', 'A-half', p_drop=0.0, p_dropConnect=0.3),
]

"""Convolutional networks.

To change a network, edit its class. To add one, write a similar class, here or in a script of your own, and pass it to
``launch.test(network=...)``.
"""

# ruff: noqa: E402, I001
from importlib.util import find_spec
from pathlib import Path

for _name in ('mlp', 'utils'):  # a module of the same name may come first in sys.path
    _spec = find_spec(_name)
    _found = Path(_spec.origin or next(iter(_spec.submodule_search_locations or ()), '')) if _spec else None
    _ours = Path(__file__).resolve().parents[1] / _name
    if _found and _found.resolve() not in (_ours, _ours / '__init__.py'):
        raise ImportError(
            f"'{_found}' hides symfer's package {_name} ('{_ours}'): rename it, or start from another folder"
        )

from cnn.alexnet import AlexNet, ZFNet
from cnn.googlenet import GoogLeNet
from cnn.lenet import LeNet5
from cnn.resnet import C, D, ResNet18, ResNet34
from cnn.sprint import Sprint
from cnn.vgg import VGG, VGG11, A, B

__all__ = [
    'A',
    'B',
    'C',
    'D',
    'VGG',
    'VGG11',
    'ResNet18',
    'ResNet34',
    'AlexNet',
    'ZFNet',
    'GoogLeNet',
    'LeNet5',
    'Sprint',
]

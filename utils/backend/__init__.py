"""Compiles graphs for CPU and GPU through JAX: the only package that imports JAX.

=========================  ======================================================================================
`compilation`              `function` instead of `pytensor.function`; modes, XLA's options
`executables`              compiled functions in files
`loop`                     many steps per call
`platform`                 the platform that graphs are made for; arrays on the device
`devices`                  several devices, and the placement of arrays on them
`hosts`, `watching`        several hosts, and detection of those that stop
`partition`                division of a function among devices
`precision`                precision of the operands of convolutions and products
`native`                   convolutions by kernels in C++
`native_layers`            pooling and response normalisation by kernels in C++
`native_products`          products of matrices by kernels in C++
`mirrored`                 convolutions that are gradients of others
`rewrites`                 graph rewrites, which choose implementations by platform and shape
`convolution`, `winograd`  translations of the Ops in the modules of `utils.ops` with the same names
`pooling`, `random`        translations of pooling and of random draws
`normalisation`            translation of local response normalisation
`barrier`                  translation of the barrier, which keeps arrays in memory
`reduction`, `neighbours`  translations of sums and of pixels with their neighbours
`products`                 translation of matrix products
`serialisation`            graphs as StableHLO
`fusion`                   limits to fusion by XLA
=========================  ======================================================================================

A translation computes the same as the NumPy `perform` of its Op; tests/backend compares the two.
"""

from utils.backend import (
    barrier,
    convolution,
    native,
    native_layers,
    native_products,
    neighbours,
    normalisation,
    pooling,
    products,
    random,
    reduction,
    rewrites,
    winograd,
)
from utils.backend.compilation import MODE, function, mode
from utils.backend.devices import MOST_BYTES, assign, device_names, n_devices
from utils.backend.hosts import abandon, agreed, compared, host, join, n_hosts, own_rows, watch
from utils.backend.loop import StepsPerExecution
from utils.backend.platform import device_name, platform, release, to_device
from utils.backend.precision import PRECISIONS
from utils.backend.watching import HostEnded

__all__ = [
    'MODE',
    'HostEnded',
    'MOST_BYTES',
    'PRECISIONS',
    'StepsPerExecution',
    'abandon',
    'agreed',
    'assign',
    'barrier',
    'compared',
    'convolution',
    'device_name',
    'device_names',
    'function',
    'host',
    'join',
    'mode',
    'native',
    'native_layers',
    'native_products',
    'neighbours',
    'normalisation',
    'n_devices',
    'n_hosts',
    'own_rows',
    'platform',
    'pooling',
    'products',
    'random',
    'reduction',
    'release',
    'rewrites',
    'to_device',
    'watch',
    'winograd',
]

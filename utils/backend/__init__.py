"""How graphs reach the processor: the only package that imports JAX.

=========================  ======================================================================================
`compilation`              `function` in place of `pytensor.function`; modes, XLA's options
`executables`              compiled functions in files
`loop`                     many steps in one call
`platform`                 the platform that graphs are made for; arrays on the device
`devices`                  several devices, and where arrays lie on them
`hosts`, `watching`        several hosts, and signs of their life
`partition`                how a function is divided among them
`precision`                of the operands of convolutions and products
`rewrites`                 graph rewrites: which implementation computes what, by platform and shape
`convolution`, `winograd`  translations of the Ops in the module of the same name of `utils.ops`, as the next two
`pooling`, `random`        of pooling and of draws
`barrier`                  of arrays as they stand in memory
`reduction`, `neighbours`  of sums and of pixels with their neighbours
`products`                 matrix products
`serialisation`            graphs as StableHLO
`fusion`                   what XLA may fuse
=========================  ======================================================================================

A translation computes what the NumPy `perform` of its Op computes; tests/backend compares the two.
"""

from utils.backend import barrier, convolution, native, neighbours, pooling, products, random, reduction, rewrites, winograd
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
    'neighbours',
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

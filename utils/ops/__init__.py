"""Operations that PyTensor lacks: convolution and pooling of image batches, counter-based random draws.

==================  ===========================================================================
`barrier`           an array stored in memory, not fused
`convolution`       2-D convolution of a batch, with strides and groups
`pooling`           maximum and mean over windows
`neighbours`        pixels with their neighbours, for interpolation
`normalisation`     local response normalisation
`random`            draws as pure functions of (seed, stream, counter)
`reduction`         sums over all axes but the last
`winograd`          3x3 convolutions by minimal filtering, which rewrites substitute for `Conv2d`
==================  ===========================================================================

Images are (n, height, width, channels), filters (height, width, n_in, n_out). Every Op declares the static shapes of
its outputs, expresses its gradient by Ops of this package (so gradients can be differentiated again) and has a NumPy
`perform`. This is the reference of the JAX translation in the module of the same name in `utils.backend`.
"""

from utils.ops.barrier import Barrier
from utils.ops.convolution import Conv2d, Conv2dFilterGrad, Conv2dInputGrad, conv2d
from utils.ops.neighbours import NeighbourPixels
from utils.ops.normalisation import LocalResponseNorm, LocalResponseNormGrad, local_response_norm
from utils.ops.pooling import AvgPool, AvgUnpool, MaxPool, PickPixel, Pooling, Unpool, avg_pool, max_pool
from utils.ops.random import Draw, DropoutMask, Normal, RandomBits, Uniform, normal, threefry2x32, uniform
from utils.ops.reduction import ColumnSum

__all__ = [
    'AvgPool',
    'AvgUnpool',
    'Barrier',
    'ColumnSum',
    'Conv2d',
    'Conv2dFilterGrad',
    'Conv2dInputGrad',
    'Draw',
    'DropoutMask',
    'LocalResponseNorm',
    'LocalResponseNormGrad',
    'MaxPool',
    'NeighbourPixels',
    'Normal',
    'PickPixel',
    'Pooling',
    'RandomBits',
    'Uniform',
    'Unpool',
    'avg_pool',
    'conv2d',
    'local_response_norm',
    'max_pool',
    'normal',
    'threefry2x32',
    'uniform',
]

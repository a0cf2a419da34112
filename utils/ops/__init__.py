"""Operations that PyTensor lacks: convolution and pooling of image batches, counter-based draws.

==================  ===========================================================================
`barrier`           an array as it stands in memory
`convolution`       2-D convolution of a batch, with strides and groups
`pooling`           maximum and mean over windows
`neighbours`        pixels with their neighbours, for interpolation
`normalisation`     local response normalisation
`random`            draws as pure functions of (seed, stream, counter)
`reduction`         sums over all axes but the last
`winograd`          3x3 convolutions by minimal filtering, which rewrites put in place of `Conv2d`
==================  ===========================================================================

Images are (n, height, width, channels), filters (height, width, n_in, n_out). Every Op declares the static shape of its
outputs, gives its gradient as Ops of this package (so gradients can be differentiated again) and has a NumPy `perform`:
the reference of its JAX translation in `utils.backend`, which has a module of the same name.
"""

from utils.ops.barrier import Barrier
from utils.ops.convolution import Conv2d, Conv2dFilterGrad, Conv2dInputGrad, conv2d
from utils.ops.neighbours import NeighbourPixels
from utils.ops.normalisation import local_response_norm
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

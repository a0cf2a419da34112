"""Operations that PyTensor lacks: convolution and pooling of image batches, counter-based draws.

========================  =====================================================================
`conv2d`                  2-D convolution of a batch, stride 1
`max_pool`, `avg_pool`    pooling over windows of any size
`uniform`, `normal`       draws as pure functions of (seed, stream, counter)
`threefry2x32`            the block function behind the draws
========================  =====================================================================

Images are (n, height, width, channels), filters (height, width, n_in, n_out). Every Op declares
the static shape of its outputs, gives its gradient as Ops of this module (so gradients can be
differentiated again) and has a NumPy `perform`: the reference of its JAX translation in
`utils.jax_backend`.
"""
import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph import Apply
from pytensor.graph.op import Op
from pytensor.scalar.basic import upcast


def _pair(value, name, least=1):
    """`value` or (value, value) as a pair of ints that are at least `least`."""
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2 or any(v != int(v) or v < least for v in pair):
        raise ValueError(f'{name} must be an integer >= {least} or a pair of them, got {value!r}')
    return int(pair[0]), int(pair[1])


def _images(x, name='images'):
    x = pt.as_tensor_variable(x)
    if x.ndim != 4:
        raise ValueError(f'{name} must have 4 dimensions (n, height, width, channels), got {x.ndim}')
    return x


def _windows(x, window):
    """View of a padded batch (n, h, w, c) as its filter-sized windows (n, h', w', c, kh, kw)."""
    return np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))


# ------------------------------------------------------------------------------- convolution

class Conv2d(Op):
    """Cross-correlation of zero-padded images with filters, stride 1.

    ``y[n, i, j, o] = sum over a, b, c of x[n, i + a - ph, j + b - pw, c] * W[a, b, c, o]``

    Parameters
    ----------
    pad : pair of int
        Rows and columns (ph, pw) of zeros added on each side.
    """
    __props__ = ('pad',)

    def __init__(self, pad):
        self.pad = _pair(pad, 'pad', least=0)

    def _sides(self, height, width, kh, kw):
        return height + 2 * self.pad[0] - kh + 1, width + 2 * self.pad[1] - kw + 1

    def make_node(self, x, W):
        x, W = _images(x), _images(W, 'filters')
        n, height, width, channels = x.type.shape
        kh, kw, n_in, n_out = W.type.shape
        if None not in (channels, n_in) and channels != n_in:
            raise ValueError(f'filters of {n_in} input channels applied to images of {channels}')
        sides = [None if None in (side, k) else side + 2 * p - k + 1
                 for side, k, p in zip((height, width), (kh, kw), self.pad)]
        if any(side is not None and side < 1 for side in sides):
            raise ValueError(f'{kh}x{kw} filters do not fit in images of {height}x{width} pixels '
                             f'padded by {self.pad}')
        out = pt.tensor(dtype=upcast(x.dtype, W.dtype), shape=(n, *sides, n_out))
        return Apply(self, [x, W], [out])

    def infer_shape(self, fgraph, node, shapes):
        (n, height, width, _), (kh, kw, _, n_out) = shapes
        return [(n, *self._sides(height, width, kh, kw), n_out)]

    def pullback(self, inputs, outputs, cotangents):
        x, W = inputs
        g, = cotangents
        flipped = W[::-1, ::-1].transpose(0, 1, 3, 2)
        kh, kw = W.type.shape[:2]
        if None in (kh, kw):
            raise ValueError('the gradient of a convolution needs filters of known height and width')
        return [Conv2d((kh - 1 - self.pad[0], kw - 1 - self.pad[1]))(g, flipped),
                Conv2dFilterGrad(self.pad, (kh, kw))(x, g)]

    def perform(self, node, inputs, outputs):
        x, W = inputs
        ph, pw = self.pad
        x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
        y = np.tensordot(_windows(x, W.shape[:2]), W.transpose(2, 0, 1, 3), axes=3)
        outputs[0][0] = np.ascontiguousarray(y.astype(node.outputs[0].dtype, copy=False))


class Conv2dFilterGrad(Op):
    """Gradient of `Conv2d` with respect to its filters: (x, g) -> (kh, kw, n_in, n_out).

    ``dW[a, b, c, o] = sum over n, i, j of x[n, i + a - ph, j + b - pw, c] * g[n, i, j, o]``
    """
    __props__ = ('pad', 'size')

    def __init__(self, pad, size):
        self.pad, self.size = _pair(pad, 'pad', least=0), _pair(size, 'size')

    def make_node(self, x, g):
        x, g = _images(x), _images(g, 'gradient')
        shape = (*self.size, x.type.shape[3], g.type.shape[3])
        return Apply(self, [x, g], [pt.tensor(dtype=upcast(x.dtype, g.dtype), shape=shape)])

    def infer_shape(self, fgraph, node, shapes):
        return [(*self.size, shapes[0][3], shapes[1][3])]

    def pullback(self, inputs, outputs, cotangents):
        x, g = inputs
        W, = cotangents
        flipped = W[::-1, ::-1].transpose(0, 1, 3, 2)
        back = tuple(k - 1 - p for k, p in zip(self.size, self.pad))
        return [Conv2d(back)(g, flipped), Conv2d(self.pad)(x, W)]

    def perform(self, node, inputs, outputs):
        x, g = inputs
        ph, pw = self.pad
        x = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
        windows = _windows(x, g.shape[1:3])                   # (n, kh, kw, c, i, j)
        dW = np.einsum('nabcij,nijo->abco', windows, g, optimize=True)
        outputs[0][0] = np.ascontiguousarray(dW.astype(node.outputs[0].dtype, copy=False))


def conv2d(x, W, border='same'):
    """Convolve a batch of images with a bank of filters, stride 1.

    As in every current library the filters are not mirrored (cross-correlation).

    Parameters
    ----------
    x : tensor (n, height, width, n_in)
    W : tensor (kh, kw, n_in, n_out)
        Filters with odd sides.
    border : {'same', 'valid'}
        'same' pads with zeros so that images keep their size; 'valid' keeps the positions at which
        the filter lies within the image: (height - kh + 1, width - kw + 1).

    Returns
    -------
    tensor (n, height', width', n_out)

    Raises
    ------
    ValueError
        Another border, even filter sides, channels that do not fit, a filter larger than the image.
    """
    W = _images(W, 'filters')
    kh, kw = W.type.shape[:2]
    if kh is None or kw is None or kh % 2 == 0 or kw % 2 == 0:
        raise ValueError(f'filters must have known, odd sides, got {kh}x{kw}')
    if border not in ('same', 'valid'):
        raise ValueError(f"border must be 'same' or 'valid', got {border!r}")
    return Conv2d((kh // 2, kw // 2) if border == 'same' else 0)(x, W)


# ----------------------------------------------------------------------------------- pooling

class _Window(Op):
    """What all pooling Ops share: window, stride, rounding and the geometry that follows.

    Parameters
    ----------
    window, stride : pair of int
        Rows and columns.
    ignore_border : bool
        True drops the rows and columns of an incomplete last window, False pools over what is there.
    """
    __props__ = ('window', 'stride', 'ignore_border')

    def __init__(self, window, stride, ignore_border):
        self.window, self.stride = _pair(window, 'window'), _pair(stride, 'stride')
        self.ignore_border = bool(ignore_border)

    def side(self, length, axis):
        """Outputs along one axis (0 rows, 1 columns) of `length` pixels."""
        k, step = self.window[axis], self.stride[axis]
        if self.ignore_border:
            return (length - k) // step + 1
        # The last window begins inside the image; one that would hold no pixel is not there.
        return 1 + max(0, -(-(length - k) // step)) if step < k else -(-length // step)

    def sides(self, shape):
        if None in shape[1:3]:
            raise ValueError(f'pooling needs images of known height and width, got shape {shape}')
        out = [self.side(shape[a + 1], a) for a in (0, 1)]
        if min(out) < 1:
            raise ValueError(f'images of {shape[1]}x{shape[2]} pixels are too small for '
                             f'{self.window[0]}x{self.window[1]} pooling')
        return out

    def padding(self, height, width):
        """Rows and columns missing (positive) or left over (negative) at the end of the image."""
        return [(self.side(length, a) - 1) * self.stride[a] + self.window[a] - length
                for a, length in enumerate((height, width))]

    def fit(self, x, fill):
        """Cut or pad a NumPy batch so that windows tile it exactly."""
        x = x[:, :x.shape[1] + min(0, self.padding(*x.shape[1:3])[0]),
              :x.shape[2] + min(0, self.padding(*x.shape[1:3])[1])]
        ph, pw = self.padding(*x.shape[1:3])
        return np.pad(x, ((0, 0), (0, ph), (0, pw), (0, 0)), constant_values=fill)

    def views(self, x):
        """Windows of a fitted NumPy batch: (n, h', w', c, window pixels)."""
        v = _windows(x, self.window)[:, ::self.stride[0], ::self.stride[1]]
        return v.reshape(*v.shape[:4], -1)

    def places(self, index):
        """Row and column, in the image, of pixel `index` of each window; index (n, h', w', c)."""
        _, i, j, _ = np.ogrid[:1, :index.shape[1], :index.shape[2], :1]
        return i * self.stride[0] + index // self.window[1], j * self.stride[1] + index % self.window[1]

    @property
    def index_dtype(self):
        return 'uint8' if self.window[0] * self.window[1] <= 256 else 'int32'


class MaxPool(_Window):
    """Maximum of each window, and which of its pixels (counted by rows, the first of equals) it is."""

    def make_node(self, x):
        x = _images(x)
        shape = (x.type.shape[0], *self.sides(x.type.shape), x.type.shape[3])
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=shape),
                                 pt.tensor(dtype=self.index_dtype, shape=shape)])

    def infer_shape(self, fgraph, node, shapes):
        n, _, _, channels = shapes[0]
        return [(n, *node.outputs[0].type.shape[1:3], channels)] * len(node.outputs)

    def connection_pattern(self, node):
        return [[True, False]]

    def pullback(self, inputs, outputs, cotangents):
        return [Unpool(self.window, self.stride, self.ignore_border,
                       inputs[0].type.shape[1:3])(cotangents[0], outputs[1])]

    def perform(self, node, inputs, outputs):
        v = self.views(self.fit(inputs[0], -np.inf))
        index = v.argmax(axis=4)
        outputs[0][0] = np.take_along_axis(v, index[..., None], axis=4)[..., 0]
        outputs[1][0] = index.astype(self.index_dtype)


class Unpool(_Window):
    """Put the value of each window at its pixel `index` in an image of zeros; overlaps add up."""
    __props__ = (*_Window.__props__, 'image')

    def __init__(self, window, stride, ignore_border, image):
        super().__init__(window, stride, ignore_border)
        self.image = tuple(image)

    def make_node(self, g, index):
        g, index = _images(g), _images(index)
        return Apply(self, [g, index], [pt.tensor(
            dtype=g.dtype, shape=(g.type.shape[0], *self.image, g.type.shape[3]))])

    def infer_shape(self, fgraph, node, shapes):
        return [(shapes[0][0], *self.image, shapes[0][3])]

    def connection_pattern(self, node):
        return [[True], [False]]

    def pullback(self, inputs, outputs, cotangents):
        pick = PickPixel(self.window, self.stride, self.ignore_border)
        return [pick(cotangents[0], inputs[1]), disconnected_type()]

    def perform(self, node, inputs, outputs):
        g, index = inputs
        out = np.zeros((g.shape[0], *self.image, g.shape[3]), g.dtype)
        rows, columns = self.places(index.astype(np.int64))
        np.add.at(out, (np.arange(g.shape[0])[:, None, None, None], rows, columns,
                        np.arange(g.shape[3])), g)
        outputs[0][0] = out


class PickPixel(_Window):
    """Pixel `index` of each window: the adjoint of `Unpool`."""

    def make_node(self, x, index):
        x, index = _images(x), _images(index)
        return Apply(self, [x, index], [pt.tensor(dtype=x.dtype, shape=index.type.shape)])

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[1]]

    def connection_pattern(self, node):
        return [[True], [False]]

    def pullback(self, inputs, outputs, cotangents):
        unpool = Unpool(self.window, self.stride, self.ignore_border, inputs[0].type.shape[1:3])
        return [unpool(cotangents[0], inputs[1]), disconnected_type()]

    def perform(self, node, inputs, outputs):
        v = self.views(self.fit(inputs[0], 0))
        outputs[0][0] = np.take_along_axis(v, inputs[1][..., None].astype(np.int64), axis=4)[..., 0]


class AvgPool(_Window):
    """Mean of the pixels of each window; an incomplete window divides by the pixels it has."""

    def counts(self, height, width):
        """Pixels in each window, (h', w', 1)."""
        per_axis = []
        for a, length in enumerate((height, width)):
            first = np.arange(self.side(length, a)) * self.stride[a]
            per_axis.append(np.minimum(first + self.window[a], length) - first)
        return (per_axis[0][:, None] * per_axis[1])[:, :, None]

    def make_node(self, x):
        x = _images(x)
        shape = (x.type.shape[0], *self.sides(x.type.shape), x.type.shape[3])
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=shape)])

    def infer_shape(self, fgraph, node, shapes):
        n, _, _, channels = shapes[0]
        return [(n, *node.outputs[0].type.shape[1:3], channels)] * len(node.outputs)

    def pullback(self, inputs, outputs, cotangents):
        spread = AvgUnpool(self.window, self.stride, self.ignore_border, inputs[0].type.shape[1:3])
        return [spread(cotangents[0])]

    def perform(self, node, inputs, outputs):
        x, = inputs
        total = self.views(self.fit(x, 0)).sum(axis=4, dtype=x.dtype)
        outputs[0][0] = total / self.counts(*x.shape[1:3]).astype(x.dtype)


class AvgUnpool(AvgPool):
    """Spread the value of each window evenly over its pixels: the adjoint of `AvgPool`."""
    __props__ = (*_Window.__props__, 'image')

    def __init__(self, window, stride, ignore_border, image):
        super().__init__(window, stride, ignore_border)
        self.image = tuple(image)

    def make_node(self, g):
        g = _images(g)
        return Apply(self, [g], [pt.tensor(
            dtype=g.dtype, shape=(g.type.shape[0], *self.image, g.type.shape[3]))])

    def infer_shape(self, fgraph, node, shapes):
        return [(shapes[0][0], *self.image, shapes[0][3])]

    def pullback(self, inputs, outputs, cotangents):
        return [AvgPool(self.window, self.stride, self.ignore_border)(cotangents[0])]

    def perform(self, node, inputs, outputs):
        g, = inputs
        g = g / self.counts(*self.image).astype(g.dtype)
        height, width = (length + max(0, p) for length, p in zip(self.image, self.padding(*self.image)))
        out = np.zeros((g.shape[0], height, width, g.shape[3]), g.dtype)
        (sh, sw), (oh, ow) = self.stride, g.shape[1:3]
        for a in range(self.window[0]):
            for b in range(self.window[1]):
                out[:, a:a + sh * (oh - 1) + 1:sh, b:b + sw * (ow - 1) + 1:sw] += g
        outputs[0][0] = np.ascontiguousarray(out[:, :self.image[0], :self.image[1]])


def max_pool(x, window=2, stride=None, ignore_border=True):
    """Maximum over windows of a batch of images, per channel.

    Parameters
    ----------
    x : tensor (n, height, width, channels)
        Height and width known when the graph is built.
    window : int or pair of int
        Rows and columns of the window.
    stride : int or pair of int, optional
        Distance between windows; by default the window's own size, so that they do not overlap.
    ignore_border : bool
        True drops an incomplete last window (sizes round down), False pools over the pixels it has
        (sizes round up).

    Returns
    -------
    tensor (n, height', width', channels)
        The gradient goes to the first of equal maxima, in the order of rows.

    Raises
    ------
    ValueError
        An image smaller than the window, with `ignore_border`.
    """
    return MaxPool(window, window if stride is None else stride, ignore_border)(x)[0]


def avg_pool(x, window=2, stride=None, ignore_border=True):
    """Mean over windows of a batch of images, per channel; arguments as in `max_pool`."""
    return AvgPool(window, window if stride is None else stride, ignore_border)(x)


# -------------------------------------------------------------------------------------- sums

class ColumnSum(Op):
    """Sum over all axes but the last, (..., c) -> (c,)."""
    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [pt.tensor(dtype=x.dtype, shape=x.type.shape[-1:])])

    def infer_shape(self, fgraph, node, shapes):
        return [shapes[0][-1:]]

    def perform(self, node, inputs, outputs):
        x, = inputs
        outputs[0][0] = x.sum(axis=tuple(range(x.ndim - 1)), dtype=x.dtype)


# ------------------------------------------------------------------------------------- draws

def threefry2x32(key, counter):
    """Threefry-2x32 block function with 20 rounds [1]_, for NumPy and JAX arrays alike.

    Parameters
    ----------
    key, counter : pair of uint32 arrays
        Arrays of one shape, or that broadcast.

    Returns
    -------
    pair of uint32 arrays
        64 random bits for each key and counter.

    References
    ----------
    .. [1] Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC'11,
       section 3.3. Passes BigCrush from 13 rounds on.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x0, x1 = counter[0] + keys[0], counter[1] + keys[1]
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    for block in range(5):
        for r in rotations[block % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r)))
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1


class Draw(Op):
    """Random array: a pure function of (seed, stream, counter).

    Element i of draw number `counter` is made from the block ``threefry2x32((seed, stream), (counter, i))``: a block
    an element, so that no array has to be joined of two.

    Parameters
    ----------
    shape : tuple of int
    stream : int
        Draws of different streams are independent. Each place of a network has its own.
    """
    __props__ = ('shape', 'stream')
    dtype = 'float32'

    def __init__(self, shape, stream):
        self.shape, self.stream = tuple(int(s) for s in shape), int(stream)

    def make_node(self, seed, counter):
        seed, counter = pt.as_tensor_variable(seed), pt.as_tensor_variable(counter)
        for name, v in (('seed', seed), ('counter', counter)):
            if v.ndim or v.dtype != 'uint32':
                raise ValueError(f'{name} of a draw must be a uint32 scalar, got {v.type}')
        return Apply(self, [seed, counter], [pt.tensor(dtype=self.dtype, shape=self.shape)])

    def infer_shape(self, fgraph, node, shapes):
        return [tuple(pt.constant(s, dtype='int64') for s in self.shape)]

    def pullback(self, inputs, outputs, cotangents):
        return [disconnected_type(), disconnected_type()]

    def connection_pattern(self, node):
        return [[False], [False]]

    def words(self, seed, counter, index, xp):
        """The 32-bit words (two arrays) from which elements are made; `index` uint32, their numbers."""
        whole = xp.zeros_like(index)
        return threefry2x32((whole + seed, whole + np.uint32(self.stream)), (whole + counter, index))

    def perform(self, node, inputs, outputs):
        index = np.arange(np.prod(self.shape), dtype=np.uint32).reshape(self.shape)
        outputs[0][0] = self.values(*self.words(*inputs, index, np), np)


class Uniform(Draw):
    """Uniform in [0, 1), multiples of 2**-24."""

    def values(self, a, b, xp):
        return (a >> np.uint32(8)).astype('float32') * np.float32(2 ** -24)


class Keep(Draw):
    """True where `Uniform` of the same draw is at least `p`: what `utils.rewrites` makes of a dropout mask."""
    __props__ = (*Draw.__props__, 'p')
    dtype = 'bool'

    def __init__(self, shape, stream, p):
        super().__init__(shape, stream)
        self.p = float(np.float32(p))

    def values(self, a, b, xp):
        return (a >> np.uint32(8)) >= np.uint32(np.ceil(self.p * 2 ** 24))


class Normal(Draw):
    """Normal of mean 0 and variance 1, by the transform of Box and Muller (1958)."""

    def values(self, a, b, xp):
        u = ((a >> np.uint32(8)) + np.uint32(1)).astype('float32') * np.float32(2 ** -24)   # (0, 1]
        angle = (b >> np.uint32(8)).astype('float32') * np.float32(2 * np.pi * 2 ** -24)
        return xp.sqrt(np.float32(-2) * xp.log(u)) * xp.cos(angle)


def uniform(shape, seed, counter, stream=0):
    """Uniform draws in [0, 1) of a given static shape; `seed` and `counter` are uint32 scalars."""
    return Uniform(shape, stream)(seed, counter)


def normal(shape, seed, counter, stream=0):
    """Normal draws of mean 0 and variance 1; arguments as in `uniform`."""
    return Normal(shape, stream)(seed, counter)

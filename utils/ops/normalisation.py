"""Local response normalisation and its gradient.

===========================  ==================================================
`local_response_norm`        function that layers call
`LocalResponseNorm`          normalisation
`LocalResponseNormGrad`      its gradient with respect to the images
===========================  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import graph_replace

from utils.ops.images import as_images

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph

    from utils.annotations import Tensor


class LocalResponseNorm(Op):
    """Local response normalisation of images (n, h, w, c); see `local_response_norm`."""

    __props__ = ('size', 'alpha', 'beta', 'k')

    def __init__(self, size: int, alpha: float, beta: float, k: float) -> None:
        if size != int(size) or size < 1 or size % 2 == 0:
            raise ValueError(f'the size of a neighbourhood must be odd, got {size!r}')
        self.size, self.alpha, self.beta, self.k = int(size), float(alpha), float(beta), float(k)

    def make_node(self, *inputs: Any) -> Apply:
        images = [as_images(x) for x in inputs]
        if None in images[0].type.shape:
            raise ValueError(f'local response normalisation needs images of known shape, got {images[0].type}')
        return Apply(self, images, [images[0].type()])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: Sequence[Sequence[Tensor]]) -> list[Any]:
        return [shapes[0]]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        return [LocalResponseNormGrad(self.size, self.alpha, self.beta, self.k)(inputs[0], cotangents[0])]

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        outputs[0][0] = self.formula(np, *inputs)

    def formula(self, library: Any, x: Any) -> Any:
        """Compute the outputs with numpy, jax.numpy or pytensor.tensor."""
        return x / self.divisor(library, x)

    def divisor(self, library: Any, x: Any) -> Any:
        """Compute what the inputs are divided by."""
        return self._power(library, self._base(library, x))

    def _sums(self, library, x):
        """Sum over the neighbours of each channel."""
        shape = x.type.shape if library is pt else x.shape
        zeros = library.zeros((*shape[:3], self.size // 2), dtype=x.dtype)
        padded = library.concatenate([zeros, x, zeros], axis=3)
        return sum((padded[..., j : j + shape[3]] for j in range(1, self.size)), padded[..., : shape[3]])

    def _base(self, library, x):
        number = np.dtype(x.dtype).type
        return number(self.k) + number(self.alpha) * self._sums(library, x * x)

    def _power(self, library, base):
        if self.beta == 0.75:  # square roots are several times as fast as a power
            root = library.sqrt(base)
            return root * library.sqrt(root)
        return base ** np.dtype(base.dtype).type(self.beta)


class LocalResponseNormGrad(LocalResponseNorm):
    """Gradient of `LocalResponseNorm`: images x and the gradient with respect to the outputs -> that of the images."""

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        own = [v.type() for v in (*inputs, *cotangents)]
        found = pytensor.grad(None, own[:2], known_grads={self.formula(pt, *own[:2]): own[2]})
        return graph_replace(found, dict(zip(own, (*inputs, *cotangents))))

    def formula(self, library: Any, x: Any, g: Any) -> Any:  # type: ignore[override]
        base = self._base(library, x)
        scaled = g / self._power(library, base)
        factor = np.dtype(x.dtype).type(2 * self.alpha * self.beta)
        return scaled - factor * x * self._sums(library, scaled * x / base)


def local_response_norm(x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Tensor:
    """Normalise each output by the squares of neighbouring channels at the same position [1]_.

    ``y[..., c] = x[..., c] / (k + alpha * sum over c' of x[..., c'] ** 2) ** beta``, with c' from ``c - size // 2`` to
    ``c + size // 2``, limited to existing channels.

    Parameters
    ----------
    x : tensor (n, height, width, channels)
        Images of static shape.
    size : int
        Number of channels in a neighbourhood, odd. (PyTorch and Caffe divide alpha by it; the paper does not.)
    alpha, beta, k : float

    Returns
    -------
    tensor (n, height, width, channels)

    Raises
    ------
    ValueError
        If the size is even or below 1, or the shape of the images is not static.

    References
    ----------
    .. [1] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
       NIPS, section 3.3.
    """
    return LocalResponseNorm(size, alpha, beta, k)(x)

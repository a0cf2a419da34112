"""Looking into a network through its symbolic graph.

===================  =========================================================================
`outputs_of_layers`  the output of every layer, as expressions
`image_layers`       those of them that are images: what convolutions and residual blocks make
`Inspector`          compiled: feature maps, saliency, Grad-CAM of images
`Activations`        compiled: histograms of the outputs of each layer that has weights
`weight_histograms`  histograms of the weights in saved arrays
===================  =========================================================================
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from utils import backend
from utils.layer import Phase, sublayers
from utils.training.chains import calls
from utils.training.functions import pixels

if TYPE_CHECKING:
    from utils.annotations import Tensor


BINS, MOST = 60, 200_000


def outputs_of_layers(network: Any, x: Tensor, phase: Phase | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Linear outputs of a network, by default in use, for images x, and the output of every layer by name."""
    with calls(network) as seen:
        logits = network(x, phase or Phase())
    return logits, {call.name: call.y for call in seen}


def _has_weights(layer):
    return hasattr(layer, 'W')


def image_layers(network: Any, seen: dict[str, Tensor]) -> dict[str, Tensor]:
    """The watched outputs (n, h, w, channels) of convolutions and of layers made of them, in order."""
    layers = sublayers(network)
    return {
        name: y
        for name, y in seen.items()
        if y.ndim == 4 and (_has_weights(layers[name]) or any(map(_has_weights, sublayers(layers[name]).values())))
    }


class Inspector:
    """What a network makes of images, layer by layer, and which pixels its answer hangs on.

    Parameters
    ----------
    network : Layer
    im_dim : (int, int)
        Height and width of the images.
    n : int
        Images per call.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers of which there are feature maps; empty for a network without convolutions.
    """

    def __init__(self, network: Any | Any, im_dim: tuple[int, int], n: int) -> None:
        self.n = n
        self._x = pt.tensor('x', dtype='uint8', shape=(n, *im_dim))
        self._y = pt.tensor('y', dtype='int32', shape=(n,))
        self._input = pixels(self._x)
        self._logits, seen = outputs_of_layers(network, self._input)
        self._maps = image_layers(network, seen)
        self.layers = tuple(self._maps)

    @cached_property
    def _features(self):
        return backend.function([self._x], list(self._maps.values()), name='feature maps')

    def feature_maps(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs of the layers, a dict of arrays (n, h, w, channels), for images x (n, height, width) uint8."""
        return dict(zip(self.layers, map(np.asarray, self._features(x)))) if self.layers else {}

    @cached_property
    def _gradients(self):
        # Images do not mix outside training, so the gradient of the sum holds each image's own.
        score = self._logits[pt.arange(self.n), self._y].sum()
        saliency = abs(pytensor.grad(score, self._input))[..., 0]
        outputs = [saliency]
        if self._maps:
            last = self._maps[self.layers[-1]]
            importance = pt.mean(
                pytensor.grad(score, last), axis=(1, 2), keepdims=True, dtype='float32', acc_dtype='float32'
            )
            outputs.append(pt.maximum((importance * last).sum(axis=3), np.float32(0)))
        return backend.function([self._x, self._y], outputs, name='saliency')

    def saliency(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """How much the score of a class changes with each pixel [1]_, and where the last convolution sees it [2]_.

        Parameters
        ----------
        x : uint8 array (n, height, width)
        y : int array (n,)
            The class, for each image.

        Returns
        -------
        saliency : array (n, height, width)
            Absolute value of the gradient of the logit of the class with respect to the pixels.
        cam : array (n, h, w) or None
            Grad-CAM, ``max(0, sum_k a_k A_k)`` with the feature maps A_k of the last convolutional layer and the
            mean a_k of the score's gradient with respect to each; None without convolutions.

        References
        ----------
        .. [1] Simonyan, Vedaldi and Zisserman (2013), Deep Inside Convolutional Networks, arXiv 1312.6034.
        .. [2] Selvaraju et al. (2017), Grad-CAM, ICCV, equations 1 and 2.
        """
        values = [np.asarray(v) for v in self._gradients(x, np.asarray(y, dtype=np.int32))]
        return values[0], values[1] if len(values) > 1 else None


def histogram(values: Any) -> dict[str, Any]:
    """Counts of values in `BINS` bins of equal width: a dict 'counts', 'low', 'high', made of lists and floats.

    Of more than `MOST` values as many are drawn, always the same: an epoch should not wait for its histograms.
    """
    values = np.asarray(values).ravel()
    if values.size > MOST:
        values = values[np.random.default_rng(0).integers(0, values.size, MOST)]
    counts, edges = np.histogram(values, BINS)
    return {'counts': counts.tolist(), 'low': float(edges[0]), 'high': float(edges[-1])}


class Activations:
    """Histograms of the outputs of each layer with weights, for a fixed batch of images.

    Parameters
    ----------
    network : Layer
    images : uint8 array (n, height, width)
    """

    def __init__(self, network: Any, images: np.ndarray) -> None:
        self.images = images
        x = pt.tensor('x', dtype='uint8', shape=images.shape)
        layers = sublayers(network)
        # The statistics of these images stand in for the population's, which are measured before a test only.
        _, seen = outputs_of_layers(network, pixels(x), Phase(weight=np.float32(1)))
        seen = {name: y for name, y in seen.items() if _has_weights(layers[name])}
        self.names = tuple(seen)
        self._function = backend.function([x], list(seen.values()), name='activations')

    def __call__(self) -> dict[str, dict[str, Any]]:
        return {name: histogram(y) for name, y in zip(self.names, self._function(self.images))}


def weight_histograms(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Histograms of the weights, by name, in what `utils.training.trainer.Trainer.arrays` gives."""
    return {
        path.removeprefix('parameters/'): histogram(value)
        for path, value in arrays.items()
        if path.startswith('parameters/') and path.rpartition('.')[2] == 'W'
    }

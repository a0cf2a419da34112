"""Inspects a network through its symbolic graph.

===================  =========================================================================
`outputs_of_layers`  the output of every layer, as expressions
`image_layers`       outputs that are images, of convolutions and residual blocks
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
    """Logits of a network for images x, by default outside training, and the output of every layer by name."""
    with calls(network) as seen:
        logits = network(x, phase or Phase())
    return logits, {call.name: call.y for call in seen}


def _has_weights(layer):
    return hasattr(layer, 'W')


def image_layers(network: Any, seen: dict[str, Tensor]) -> dict[str, Tensor]:
    """The recorded outputs (n, h, w, channels) of convolutions and of layers that contain them, in order."""
    layers = sublayers(network)
    return {
        name: y
        for name, y in seen.items()
        if y.ndim == 4 and (_has_weights(layers[name]) or any(map(_has_weights, sublayers(layers[name]).values())))
    }


class Inspector:
    """Computes the feature maps of images, and the pixels that the answer depends on.

    Parameters
    ----------
    network : Layer
    im_dim : (int, int)
        Height and width of the images, in pixels.
    n : int
        Number of images per call.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers with feature maps; empty for a network without convolutions.
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
        """Outputs of the layers, arrays (n, h, w, channels) by name, for uint8 images x (n, height, width)."""
        return dict(zip(self.layers, map(np.asarray, self._features(x)))) if self.layers else {}

    @cached_property
    def _gradients(self):
        # Images do not mix outside training, so the gradient of the sum is that of each image.
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
        """Compute saliency [1]_ and Grad-CAM [2]_ of a class for each image.

        Parameters
        ----------
        x : uint8 array (n, height, width)
        y : int array (n,)
            Class for each image.

        Returns
        -------
        saliency : array (n, height, width)
            Absolute value of the gradient of the logit of the class with respect to the pixels.
        cam : array (n, h, w) or None
            Grad-CAM, ``max(0, sum_k a_k A_k)`` with the feature maps A_k of the last convolutional layer and the
            means a_k of the score's gradients with respect to them; None without convolutions.

        References
        ----------
        .. [1] Simonyan, Vedaldi and Zisserman (2013), Deep Inside Convolutional Networks, arXiv 1312.6034.
        .. [2] Selvaraju et al. (2017), Grad-CAM, ICCV, equations 1 and 2.
        """
        values = [np.asarray(v) for v in self._gradients(x, np.asarray(y, dtype=np.int32))]
        return values[0], values[1] if len(values) > 1 else None


def histogram(values: Any) -> dict[str, Any]:
    """Count values in `BINS` bins of equal width; return a dict of 'counts' (list), 'low' and 'high' (float).

    From more than `MOST` values, a fixed random sample of `MOST` is counted, so that histograms do not delay epochs.
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
        # Uses the statistics of these images, because those of the population are only measured before a test.
        _, seen = outputs_of_layers(network, pixels(x), Phase(weight=np.float32(1)))
        seen = {name: y for name, y in seen.items() if _has_weights(layers[name])}
        self.names = tuple(seen)
        self._function = backend.function([x], list(seen.values()), name='activations')

    def __call__(self) -> dict[str, dict[str, Any]]:
        return {name: histogram(y) for name, y in zip(self.names, self._function(self.images))}


def weight_histograms(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Histograms of the weights, by name, in a result of `utils.training.trainer.Trainer.arrays`."""
    return {
        path.removeprefix('parameters/'): histogram(value)
        for path, value in arrays.items()
        if path.startswith('parameters/') and path.rpartition('.')[2] == 'W'
    }

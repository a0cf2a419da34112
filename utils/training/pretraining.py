"""Unsupervised pre-training of a network, layer by layer, as denoising autoencoders; see `utils.training.autoencoders`.

Each layer is trained to reconstruct the outputs of the layers below it, whose parameters do not change meanwhile. These
layers compute as outside training, but batch norm uses the statistics of the minibatch. The layers are those of
`utils.training.chains.chain`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import clone_replace

from utils import backend
from utils.layer import Phase
from utils.training import losses
from utils.training.autoencoders import Autoencoder, Denoising, corrupted, decoded
from utils.training.batches import minibatches
from utils.training.chains import chain, only_moves
from utils.training.functions import pixels
from utils.training.graph_checks import network_name
from utils.training.state import check_state
from utils.training.warping import Cropped

if TYPE_CHECKING:
    from utils.annotations import Subset
    from utils.training.functions import Functions


STREAM = 1 << 20  # random stream of the corruption; the streams of layers count from 1
SHOWN = 8  # images in the figure


class Pretraining:
    """The autoencoders of a network's layers, and their training.

    Parameters
    ----------
    functions : Functions
        Functions of the network; only `rate`, `seed` and `counter` are used.
    settings : Denoising
    n_epochs : int
        Number of epochs for each layer.
    source : Subset, optional
        Unlabelled images from outside the data set; their `digest` is saved and compared.

    Attributes
    ----------
    stack : list of Autoencoder
        The autoencoders, from the lowest layer up.
    total : int
        Number of epochs of all layers together.

    Raises
    ------
    ValueError
        If the network has no layer that can be pre-trained or fewer than requested, the number of rates is not that of
        the layers, or there are fewer images than in a minibatch.
    """

    def __init__(self, functions: Functions, settings: Denoising, n_epochs: int, source: Any = None) -> None:
        self.functions, self.settings, self.n_epochs, self.source = functions, settings, n_epochs, source
        f = functions
        self._x = pt.tensor('x', dtype='uint8', shape=(f.batch_size, *f.im_dim))
        images = pixels(self._x)
        calls = chain(f.network, images, Phase(weight=np.float32(1)))
        if isinstance(f.network, Cropped):
            calls = [call._replace(name=call.name.removeprefix('network.')) for call in calls]
        self._check(network_name(f.network), [call.name for call in calls])
        self.stack = [Autoencoder(call, only_moves(call.x, images)) for call in calls[: settings.layers]]
        backend.assign([one.bias for one in self.stack], functions.devices)
        self.total = n_epochs * len(self.stack)
        self._digest = np.frombuffer(bytes.fromhex(source.digest), np.uint8) if source is not None else None
        self._compiled: tuple[int, Any] = (-1, None)

    def _check(self, network, names):
        settings = self.settings
        if not names:
            raise ValueError(
                f'{network} has no layer that can be pre-trained, that is, no convolutional or hidden layer in a plain '
                'chain from the images on: leave pretrain_epochs out'
            )
        if (settings.layers or 0) > len(names):
            raise ValueError(
                f'layers of pretrain_args must be at most {len(names)}, the number of layers of {network} in a plain '
                f'chain from the images on ({", ".join(names)}), got {settings.layers}'
            )
        rates, n = settings.learning_rate, settings.layers or len(names)
        if isinstance(rates, (list, tuple)) and len(rates) != n:
            raise ValueError(
                f'learning_rate of pretrain_args must be one number or one for each of the {n} layers '
                f'({", ".join(names[:n])}), got {len(rates)}: {list(rates)}'
            )
        if self.source is not None and len(self.source) < self.functions.batch_size:
            raise ValueError(
                f'pre-training needs at least as many unlabelled images as are in a minibatch, '
                f'{self.functions.batch_size}, got {len(self.source)}: give more images or a smaller batch_size'
            )

    @property
    def names(self) -> list[str]:
        """Names of the layers, from the lowest up."""
        return [one.name for one in self.stack]

    def rate_of(self, k: int) -> float:
        """The learning rate of layer k."""
        return self.settings.rate_of(k) / self.stack[k].terms

    def is_compiled(self, k: int) -> bool:
        """Whether the training step of layer k is compiled."""
        return self._compiled[0] == k

    # ------------------------------------------------------------------ what is saved and restored

    def arrays(self) -> dict[str, np.ndarray]:
        """The decoders' biases by path, and the digest of images from outside the data set."""
        out = {f'decoder/{one.name}': np.array(one.bias.get_value(borrow=True)) for one in self.stack}
        return out if self._digest is None else {**out, 'source': self._digest}

    def restore(self, arrays: dict[str, np.ndarray], shapes: dict[str, Any], over: bool) -> Any:
        """Restore the result of `arrays`; return the network's parameters at the end of the stage, None before it.

        Parameters
        ----------
        arrays : dict of str to array
            Result of `arrays`, with the network's parameters if the stage is over.
        shapes : dict of str to tuple
            Shapes of the network's parameters, by path.
        over : bool
            Whether the stage is over.

        Raises
        ------
        ValueError
            If the arrays do not fit, or the images are not those that the stage started with.
        """
        arrays = dict(arrays)
        digest = arrays.pop('source', None)
        wanted = {f'decoder/{one.name}': one.bias.type.shape for one in self.stack}
        check_state(arrays, {**wanted, **(shapes if over else {})})
        if (digest is None) != (self.settings.images is None) or (
            not over and digest is not None and not np.array_equal(digest, self._digest)
        ):
            raise ValueError(
                f"pre-training started with other images than '{self.settings.images}' holds now: restore them, "
                'or start a new experiment'
            )
        self._digest = digest
        for one in self.stack:
            backend.to_device(one.bias, np.array(arrays[f'decoder/{one.name}'], one.bias.dtype))
        return {path: arrays[path] for path in shapes} if over else None

    def release(self) -> None:
        """Release the memory on the device."""
        for one in self.stack:
            backend.release(one.bias)
        self._compiled = (-1, None)

    # ------------------------------------------------------------------------------------ training

    def train(self, k: int) -> Any:
        """Training step of layer k, from 0: (images uint8 (batch_size, h, w), weights (batch_size,)) -> cost."""
        if not self.is_compiled(k):
            f, one, phase = self.functions, self.stack[k], self._phase(self.functions.counter)
            weights = pt.tensor('weights', dtype='float32', shape=(f.batch_size,))
            linear = one.decode(one.encode(corrupted(one.x, phase, self.settings), phase))
            cost = losses.weighted_mean(one.costs(linear), weights)
            gradients = pytensor.grad(cost, one.trained)
            changes = {p: p - f.rate * gradient for p, gradient in zip(one.trained, gradients)}
            self._compiled = (
                k,
                backend.function(
                    [self._x, weights],
                    cost,
                    f.settings.precision,
                    f.devices,
                    updates={**phase.updates, **changes},
                    name=f'pretrain {one.name}',
                ),
            )
        return self._compiled[1]

    def _phase(self, counter):
        phase = Phase(train=True, seed=self.functions.seed, counter=counter)
        phase.streams = STREAM
        return phase

    def epoch(self, k: int, subset: Subset, order: np.ndarray, reporter: Any) -> tuple[np.ndarray, list[int]]:
        """Train layer k on each minibatch of the rows `order`; return the costs (minibatches,) and images in each.

        It stops after the first cost that is not finite.
        """
        train, costs, counts = self.train(k), [], []
        for inputs, weights, count in minibatches(subset, order, self.functions.batch_size):
            costs.append(float(train(inputs[0], weights)))
            counts.append(count)
            reporter.minibatch(count, costs[-1])
            if not math.isfinite(costs[-1]):
                break
        return np.array(costs), counts

    def reconstructions(self, images: np.ndarray) -> dict[str, np.ndarray] | None:
        """Corrupt images, and reconstruct them by the first layer and through as many layers as can be decoded.

        Parameters
        ----------
        images : uint8 array (n, h, w)
            At least a minibatch of images; the first ones are shown.

        Returns
        -------
        dict of str to array (m, h', w'), or None
            Images by their description; None if the first layer does not read images of pixels.
        """
        first, sides = self.stack[0], self._sides()
        if not first.pixels or sides is None:
            return None
        phase = self._phase(pytensor.shared(np.uint32(0)))
        noisy = corrupted(first.x, phase, self.settings)
        out = {'image': first.x, 'corrupted': noisy, first.name: first.shown(first.decode(first.encode(noisy, phase)))}
        for depth in range(len(self.stack), 1, -1):
            top = self.stack[depth - 1]
            (x,) = clone_replace([top.x], replace={first.x: noisy})
            deep = decoded(self.stack[:depth], top.encode(x, phase))
            if deep is not None:
                out[f'{top.name}, through {depth} layers'] = deep
                break
        call = backend.function([self._x], list(out.values()), name='reconstructions')
        values = call(images[: self.functions.batch_size])
        return {name: np.asarray(v)[:SHOWN].reshape(-1, *sides) for name, v in zip(out, values)}

    def _sides(self):
        """Height and width of the images that the first layer reads; None if it reads something else."""
        network, shape = self.functions.network, self.stack[0].x.type.shape
        if len(shape) == 4:
            return shape[1:3] if shape[3] == 1 else None
        sides = network.size if isinstance(network, Cropped) else self.functions.im_dim
        return sides if shape[1] == math.prod(sides) else None

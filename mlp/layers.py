"""Layers that convolutional and plain networks share, and the fully connected ones.

==================  ===========================================================================
`Bias`              adds a bias per unit or filter
`BatchNorm`         batch normalization per unit or filter
`Dropout`           dropout
`GaussianNoise`     noise on a linear output
`Hidden`            fully connected layer
`Softmax`           softmax (multinomial logistic) regression
`FullyConnected`    reshape, hidden layers and softmax: the last part of every network
==================  ===========================================================================

Each is called as ``layer(x, phase)``. A layer that has nothing to do returns `x` itself.
"""
import numpy as np
import pytensor.tensor as pt

from utils import rna
from utils.layer import Layer, flatten, mean, parameter


def _probability(p, name):
    try:
        ok = 0 <= p < 1
    except TypeError:
        ok = False
    if not ok:
        raise ValueError(f'{name} must be a probability of dropping in [0, 1), got {p!r}')
    return float(p)


class Bias(Layer):
    """Add a bias to each of the `n` units or filters of the last axis; it begins at 0."""

    def __init__(self, n):
        self.b = parameter(np.zeros(n))

    def __call__(self, x, phase):
        return x + self.b


class BatchNorm(Layer):
    """Batch normalization over all axes but the last, ``gamma * (x - mean) / sqrt(var + eps) + beta`` [1]_.

    In training, mean and variance are the minibatch's. In every other pass they are the population's,
    `mean` and `var`: an image is classified the same alone or among others.

    Parameters
    ----------
    n : int
        Units or filters: gamma, beta, mean and var are (n,).
    eps : float
        Added to the variance.
    moving : float, optional
        None: the population's statistics are measured in a pass of their own with the current weights
        (Alg. 2 of [1]_; that pass leaves dropout and noise as outside training, so that they are the
        statistics of the network in use). A number in (0, 1): they are followed in training with this
        share of each minibatch's, which is cheaper and rougher.

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), Batch Normalization: Accelerating Deep Network Training by Reducing
       Internal Covariate Shift, ICML, Alg. 1 and 2.
    """

    def __init__(self, n, eps=1e-5, moving=None):
        if moving is not None and not 0 < moving < 1:
            raise ValueError(f'moving must be None or a share in (0, 1), got {moving!r}')
        self.gamma, self.beta = parameter(np.ones(n)), parameter(np.zeros(n))
        self.mean = parameter(np.zeros(n), trainable=False)
        self.var = parameter(np.ones(n), trainable=False)
        self.eps, self.moving = eps, moving

    def __call__(self, x, phase):
        m, v = self.mean, self.var
        measures = phase.share is not None and self.moving is None
        if phase.train or measures:
            axes = tuple(range(x.ndim - 1))
            m = mean(x, axes)
            v = mean((x - m) ** 2, axes)
            share = phase.share if measures else self.moving
            if share is not None:
                size = int(np.prod(x.type.shape[:-1]))
                unbiased = v * np.asarray(size / max(size - 1, 1), x.dtype)
                share = pt.as_tensor(share).astype(x.dtype)
                rest = np.asarray(1, x.dtype) - share     # a share of 1 leaves nothing of the old value, to the bit
                phase.updates[self.mean] = rest * self.mean + share * m
                phase.updates[self.var] = rest * self.var + share * unbiased
        return (x - m) * (self.gamma / pt.sqrt(v + np.asarray(self.eps, x.dtype))) + self.beta


class Dropout(Layer):
    """Dropout [1]_: a mask of zeros and ones in training, the probability of keeping in every other pass.

    Parameters
    ----------
    p : float in [0, 1)
        Probability of *dropping* a unit.

    References
    ----------
    .. [1] Hinton et al. (2012), Improving neural networks by preventing co-adaptation of feature
       detectors, arXiv 1207.0580; thesis 3.4.1.
    """

    def __init__(self, p, name='p_drop'):
        self.p = _probability(p, name)

    def __call__(self, x, phase):
        if self.p == 0:
            return x
        if phase.train:
            return pt.switch(phase.uniform(x) >= np.asarray(self.p, x.dtype), x, np.asarray(0, x.dtype))
        return x * np.asarray(1 - self.p, x.dtype)


class GaussianNoise(Layer):
    """Add normal noise of standard deviation `std` in training (thesis 3.4.3)."""

    def __init__(self, std):
        if not (np.isscalar(std) and std >= 0 and np.isfinite(std)):
            raise ValueError(f'gaussian_std must be a standard deviation >= 0, got {std!r}')
        self.std = float(std)

    def __call__(self, x, phase):
        if self.std == 0 or not phase.train:
            return x
        return x + np.asarray(self.std, x.dtype) * phase.normal(x)


class Hidden(Layer):
    """Fully connected layer: product, batch norm or bias, noise, activation, dropout; (n, n_in) -> (n, n_out).

    Parameters
    ----------
    n_in, n_out : int
    activation : Activation
        Also decides the initialisation of the weights, see `utils.rna.glorot`.
    batch_norm : bool
        Batch norm in place of the bias.
    gaussian_std, p_drop : float
        Standard deviation of the noise, probability of dropping an output.
    rng : numpy.random.Generator
        Draws the weights W (n_in, n_out).
    """

    def __init__(self, n_in, n_out, activation=rna.relu(), batch_norm=False, gaussian_std=0., p_drop=0.,
                 *, rng):
        self.W = parameter(rna.glorot(rng, (n_in, n_out), n_in, n_out, activation), penalised=True)
        self.norm = BatchNorm(n_out) if batch_norm else Bias(n_out)
        self.noise, self.dropout = GaussianNoise(gaussian_std), Dropout(p_drop)
        self.activation = activation

    def __call__(self, x, phase):
        _check_inputs(self, x)
        x = self.noise(self.norm(pt.dot(x, self.W), phase), phase)
        return self.dropout(self.activation(x), phase)


class Softmax(Layer):
    """Softmax regression, (n, n_in) -> the linear outputs (n, n_classes).

    The linear outputs, or logits, are what the special test sums over views and what the costs of
    `utils.training.losses` take; `probabilities` applies the softmax to them.
    """

    def __init__(self, n_in, n_classes, *, rng):
        self.W = parameter(rna.glorot(rng, (n_in, n_classes), n_in, n_classes), penalised=True)
        self.b = parameter(np.zeros(n_classes))

    def __call__(self, x, phase):
        _check_inputs(self, x)
        return pt.dot(x, self.W) + self.b

    @staticmethod
    def probabilities(logits):
        """``exp(a) / sum(exp(a))`` along the classes, (n, n_classes)."""
        return pt.special.softmax(logits, axis=1)


class FullyConnected(Layer):
    """Reshape, hidden layers, softmax: (n, ...) -> linear outputs (n, n_classes).

    Parameters
    ----------
    n_in : int
        Numbers per image after the reshape.
    n_classes : int
    n_hidden : sequence of int
        Units of each hidden layer; empty for a softmax on the inputs.
    p_drop : float or sequence of float
        Probability of dropping a unit, one for all hidden layers or one each.
    **options
        Of every `Hidden` layer.
    """

    def __init__(self, n_in, n_classes, n_hidden=(1024,), p_drop=0., *, rng, **options):
        n_hidden = [n_hidden] if np.ndim(n_hidden) == 0 else list(n_hidden)
        if any(isinstance(n, bool) or n != int(n) or n < 1 for n in n_hidden):
            raise ValueError(f'n_hidden must be a list of numbers of units >= 1, got {n_hidden!r}')
        drops = [p_drop] * len(n_hidden) if np.ndim(p_drop) == 0 else list(p_drop)
        if len(drops) != len(n_hidden):
            raise ValueError(f'p_drop must be one probability or one for each of the {len(n_hidden)} hidden '
                             f'layers, got {len(drops)}: {p_drop!r}')
        _probability(p_drop, 'p_drop') if np.ndim(p_drop) == 0 else None
        sizes = [n_in, *(int(n) for n in n_hidden)]
        self.hidden = [Hidden(i, o, p_drop=p, rng=rng, **options)
                       for i, o, p in zip(sizes, sizes[1:], drops)]
        self.softmax = Softmax(sizes[-1], n_classes, rng=rng)

    def __call__(self, x, phase):
        x = flatten(x)
        for layer in self.hidden:
            x = layer(x, phase)
        return self.softmax(x, phase)


def _check_inputs(layer, x):
    n_in = layer.W.type.shape[0]
    if x.ndim != 2 or x.type.shape[1] not in (None, n_in):
        raise ValueError(f'{type(layer).__name__} layer of {n_in} inputs applied to shape {x.type.shape}')

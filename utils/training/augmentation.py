"""Online augmentation: random changes of the training images inside the graph, and fixed views for testing.

`Augment` is a layer that draws with the counter of the training pass. So it runs on the device, continues exactly
when training is resumed, and does nothing outside training. `utils.training.warping` moves the pixels, both for it and
for the views of the special test. If `Augment` crops, `Cropped` gives the network the centre of images elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from utils import ops
from utils.layer import Layer, mean
from utils.training import mixing
from utils.training.warping import warp

if TYPE_CHECKING:
    from utils.annotations import Tensor
    from utils.layer import Phase


# Keep in step with `Augment.__init__`: the columns of its uniform draws.
_COLUMNS = (
    'mirror',
    'down',
    'right',
    'angle',
    'zoom',
    'brightness',
    'contrast',
    'erase',
    'area',
    'aspect',
    'top',
    'left',
    'grey',
    'mix',
)
_ALTERNATING = 0xF11B  # random stream of the first bits of `alternate`; the streams of layers count from 1


class Augment(Layer):
    """Random changes of training images (n, h, w, 1) in [0, 1]; outside training it returns `x` itself.

    Every image is changed anew in every minibatch.

    Parameters
    ----------
    mirror : float in [0, 1]
        Probability of a horizontal flip.
    shift : float in [0, 1)
        Largest shift along each axis, as a fraction of the side.
    rotation : float in [0, 180]
        Largest rotation in either direction, in degrees.
    zoom : float >= 0
        Largest magnification minus one: factors lie between 1 / (1 + zoom) and 1 + zoom, their logarithms uniform.
    brightness : float in [0, 1]
        Largest amount added to or subtracted from the grey levels.
    contrast : float in [0, 1]
        Largest relative change of the deviations from the image's mean.
    erase : float in [0, 1]
        Probability of painting a rectangle in one random grey level. It has 2 to 33 % of the area and an aspect ratio
        of 0.3 to 3.3 [1]_.
    mixup : float >= 0
        Parameter alpha of the Beta distribution of the weights in mixup [2]_; 0 turns mixup off. Each image has its
        own weight; its partner is the next image of the minibatch, whose order is random.
    cutmix : float in [0, 1]
        Probability of pasting a rectangle from the same place of the next image. Its area is a uniform fraction of the
        image, its centre lies anywhere; the label is mixed by the areas [4]_. Cannot be combined with mixup.
    crop : int or (int, int), optional
        Height and width in pixels of a crop, taken after shift, rotation and zoom at a uniformly random place [3]_. The
        network then takes images of this size; outside training `Cropped` gives it their centre.
    alternate : bool
        Mirror each image in every other epoch [5]_. A random bit, derived from the seed and the image's row, decides
        the first epoch; then it alternates. `mirror` must be 0.5. If a set has stored mirror images, an image and its
        mirror image have independent bits.

    References
    ----------
    .. [1] Zhong, Zheng, Kang, Li and Yang (2017), Random Erasing Data Augmentation, arXiv 1708.04896, Alg. 1.
    .. [2] Zhang, Cisse, Dauphin and Lopez-Paz (2018), mixup: Beyond Empirical Risk Minimization, ICLR, eq. 1.
    .. [3] Krizhevsky, Sutskever and Hinton (2012), ImageNet Classification with Deep Convolutional Neural Networks,
       NIPS, section 4.1.
    .. [4] Yun, Han, Oh, Chun, Choe and Yoo (2019), CutMix: Regularization Strategy to Train Strong Classifiers, ICCV,
       eq. 1-2 and Alg. A1.
    .. [5] Jordan (2024), 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv 2404.00498, section 3.6.
    """

    mirror: float
    shift: float
    rotation: float
    zoom: float
    brightness: float
    contrast: float
    erase: float
    mixup: float
    cutmix: float

    def __init__(
        self,
        mirror: float = 0.5,
        shift: float = 0.08,
        rotation: float = 10.0,
        zoom: float = 0.1,
        brightness: float = 0.0,
        contrast: float = 0.0,
        erase: float = 0.0,
        mixup: float = 0.0,
        crop: int | Sequence[int] | None = None,
        cutmix: float = 0.0,
        alternate: bool = False,
    ) -> None:
        ranges = {
            'mirror': 1,
            'shift': np.nextafter(1, 0),
            'rotation': 180,
            'zoom': np.inf,
            'brightness': 1,
            'contrast': 1,
            'erase': 1,
            'mixup': np.inf,
            'cutmix': 1,
        }
        for name, most in ranges.items():
            value = locals()[name]
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 <= value <= most
                or value == np.inf
            ):
                raise ValueError(
                    f'augment: {name} must be a number '
                    + ('>= 0' if most == np.inf else f'from 0 to {most:.3g}')
                    + f', got {value!r}'
                )
            setattr(self, name, float(value))
        self.crop = self._checked_crop(crop)
        if self.mixup and self.cutmix:
            raise ValueError('augment: mixup and cutmix both mix an image with the next one: give one of them')
        self.alternate = alternate
        if not isinstance(alternate, bool):
            raise ValueError(f'augment: alternate must be True or False, got {alternate!r}')
        if alternate and self.mirror != 0.5:
            raise ValueError(
                f'augment: alternate mirrors each image every other epoch, so mirror must be 0.5, got {self.mirror:g}'
            )
        if self.mixup:
            self.quantiles = mixing.quantiles(self.mixup)

    @staticmethod
    def _checked_crop(crop):
        if crop is None:
            return None
        sides = [crop] * 2 if isinstance(crop, Integral) else crop
        if (
            not isinstance(sides, (list, tuple))
            or len(sides) != 2
            or not all(isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in sides)
        ):
            raise ValueError(
                f'augment: crop must be a height and width in pixels, or one number for both, got {crop!r}'
            )
        return tuple(map(int, sides))

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments, as a dict; newer ones only if they are used, so that older models compare equal."""
        names = ['mirror', 'shift', 'rotation', 'zoom', 'brightness', 'contrast', 'erase', 'mixup', 'crop']
        later = [name for name in ('cutmix', 'alternate') if getattr(self, name)]
        return {name: getattr(self, name) for name in [*names, *later]}

    def __repr__(self):
        values = {k: f'{v:g}' if isinstance(v, float) else repr(v) for k, v in self.settings.items()}
        return f'Augment({", ".join(f"{k}={v}" for k, v in values.items())})'

    def output_size(self, im_dim: tuple[int, ...]) -> tuple[int, ...]:
        """Height and width of the images that the network takes: those of the crop, or `im_dim`.

        Raises
        ------
        ValueError
            If the crop is larger than the images.
        """
        if self.crop and any(part > whole for part, whole in zip(self.crop, im_dim)):
            raise ValueError(
                f'augment: crop must be at most the size of the images, {list(im_dim)}, got {list(self.crop)}'
            )
        return self.crop or tuple(im_dim)

    def __call__(self, x: Tensor, phase: Phase) -> Tensor:
        return self.mixed(x, phase)[0]

    def mixed(self, x: Tensor, phase: Phase, rows: Tensor | None = None, epoch: Tensor | None = None) -> Sequence[Any]:
        """Augment images; with mixup or cutmix in a training pass, also return the weight of the image itself.

        Parameters
        ----------
        x : tensor (n, h, w, 1)
        phase : Phase
        rows : int32 tensor (n,), optional
            Row numbers of the images, for `alternate`.
        epoch : uint32 scalar, optional
            Number of previous epochs, for `alternate`.

        Returns
        -------
        images : tensor (n, h, w, 1)
        weight : tensor (n,) or None
            Weight of each image and its label; the next image of the minibatch (`partner`) has 1 minus it.
        """
        if not phase.train or not any(self.settings.values()):
            return x, None
        n, height, width, _ = x.type.shape
        drawn = phase.uniform(pt.zeros((n, len(_COLUMNS)), dtype=x.dtype))
        draws = {name: drawn[:, k] for k, name in enumerate(_COLUMNS)}

        def around_zero(name, most):
            return (2 * draws[name] - 1) * np.asarray(most, x.dtype)

        mirrored = draws['mirror'] < np.asarray(self.mirror, x.dtype)
        if self.alternate:
            if rows is None or epoch is None:
                raise ValueError('augment: alternate needs the rows of the images and the number of the epoch')
            bits = ops.RandomBits(_ALTERNATING)(phase.seed, rows)
            mirrored = pt.eq((bits + epoch) % np.uint32(2), np.uint32(1))
        if self.shift or self.rotation or self.zoom or self.crop:
            x = warp(
                x,
                mirror=pt.switch(mirrored, np.asarray(-1, x.dtype), np.asarray(1, x.dtype)),
                down=around_zero('down', self.shift * height),
                right=around_zero('right', self.shift * width),
                angle=around_zero('angle', self.rotation),
                zoom=pt.exp(around_zero('zoom', np.log1p(self.zoom))),
                **self._window(x, phase),
            )
        elif self.mirror:
            x = pt.switch(mirrored.dimshuffle(0, 'x', 'x', 'x'), x[:, :, ::-1], x)
        if self.contrast:
            middle = mean(x, (1, 2, 3)).dimshuffle(0, 'x', 'x', 'x')
            factor = (1 + around_zero('contrast', self.contrast)).dimshuffle(0, 'x', 'x', 'x')
            x = middle + (x - middle) * factor
        if self.brightness:
            x = x + around_zero('brightness', self.brightness).dimshuffle(0, 'x', 'x', 'x')
        if self.contrast or self.brightness:
            x = pt.clip(x, 0, 1)
        if self.erase:
            x = mixing.erased(x, draws, self.erase)
        if self.cutmix:
            return mixing.cutmix(x, phase.uniform(pt.zeros((n, 4), dtype=x.dtype)), self.cutmix)
        if not self.mixup:
            return x, None
        return mixing.mixup(x, draws['mix'], self.quantiles)

    def _window(self, x, phase):
        if not self.crop:
            return {}
        n, height, width, _ = x.type.shape
        place = phase.uniform(pt.zeros((n, 2), dtype=x.dtype))
        places = np.array([height - self.crop[0] + 1, width - self.crop[1] + 1], x.dtype)
        top, left = (pt.floor(place[:, k] * places[k]) for k in range(2))
        return {'size': self.crop, 'top': top, 'left': left}

    def views(self, im_dim: tuple[int, ...] | None = None) -> list[dict[str, float]]:
        """The fixed views of the special test, as keyword arguments of `warp`; shifts are fractions of the sides.

        The views are the image itself, half the largest shift in each direction, half the largest rotation and half
        the largest zoom in either direction, and all of these for the mirror image. Changes that are switched off have
        no views. With crops, those of the four corners replace the shifts.

        Parameters
        ----------
        im_dim : (int, int), optional
            Height and width of the images; needed with crops.
        """
        views = [{}]
        if self.crop:
            spare = [whole - part for whole, part in zip(im_dim, self.output_size(im_dim))]
            downs, rights = ([n // 2 / whole, (n // 2 - n) / whole] for n, whole in zip(spare, im_dim))
            views += [{'down': down, 'right': right} for down in downs for right in rights]
        elif self.shift:
            views += [{axis: sign * self.shift / 2} for axis in ('down', 'right') for sign in (-1, 1)]
        if self.rotation:
            views += [{'angle': sign * self.rotation / 2} for sign in (-1, 1)]
        if self.zoom:
            views += [{'zoom': (1 + self.zoom) ** (sign / 2)} for sign in (-1, 1)]
        # The sign changes, because the centre of an odd number of spare pixels is not its own mirror image.
        return views + [{**view, 'mirror': -1.0, 'right': -view.get('right', 0.0)} for view in views if self.mirror]

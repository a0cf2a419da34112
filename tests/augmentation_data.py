"""Images for tests of augmentation."""

import numpy as np
import pytensor.tensor as pt

from utils import backend
from utils.training.warping import warp


def warped(images, **settings):
    x = pt.tensor(dtype='float32', shape=(*images.shape, 1))
    return np.asarray(backend.function([x], warp(x, **settings))(images[..., None].astype('f')))[..., 0]

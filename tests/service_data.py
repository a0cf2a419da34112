"""A service with an immediate model and a detector that returns the whole picture."""

import io

import numpy as np
from PIL import Image

from utils.service.limits import Limits

LIMITS = Limits(body=200_000, pixels=1 << 20, pictures=3, waiting=4, seconds=5.0, sockets=2)


class Brightness:
    """Classifies faces as 'dark' or 'bright' by their mean, and records the sizes of the batches."""

    classes, size, views, temperature, model = ('dark', 'bright'), (8, 8), 'none', 1.0, 'm.h5'
    config = {'options': {'network': 'MLP'}}

    def __init__(self):
        self.batches, self.wait = [], None

    def __call__(self, faces):
        if self.wait:
            self.wait()
        self.batches.append(len(faces))
        p = faces.reshape(len(faces), -1).mean(axis=1) / 255
        return np.stack([1 - p, p], axis=1)


def png(level=200, side=16, mode='L', kind='PNG'):
    data = io.BytesIO()
    Image.new(mode, (side, side), level).save(data, kind)
    return data.getvalue()

"""A small experiment with its record."""

from small import SMALL as SMALL_RUN

SMALL = SMALL_RUN | dict(savename='models/m.h5')

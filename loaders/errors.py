"""The one error that bad input of any kind ends in."""


class DataError(ValueError):
    """A source, an image, a row or a data set cannot be used; one line says where and why."""


class NoLabels(DataError):
    """A table of images without labels."""

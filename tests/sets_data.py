"""Sets of drawn images that tests of sets read."""

from loaders import build, load


def quiet(line):
    """Replace print."""


def built(tmp_path, data, number, **options):
    (path,) = build(data, (number,), tmp_path, info=quiet, **options)
    return load(path)

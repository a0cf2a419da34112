"""A set with people: the images of `tiny_originals`, each with a person."""

import dataclasses

import numpy as np
import pytest

from loaders import build

N_PEOPLE = 8


def with_people(tiny_originals, n_people=N_PEOPLE):
    person = np.random.default_rng(11).integers(0, n_people, len(tiny_originals)).astype(np.int32)
    return dataclasses.replace(tiny_originals, person=person, people=tuple('abcdefgh'[:n_people]))


@pytest.fixture(scope='session')
def people_set(tiny_originals, tmp_path_factory):
    """Path of a set 2 of 190 originals of eight people."""
    folder = tmp_path_factory.mktemp('people')
    (path,) = build(with_people(tiny_originals), sets=(2,), out=folder, validation=30, info=lambda *line: None)
    return path

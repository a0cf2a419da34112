"""Types for hints that have no short name elsewhere.

=========  ================================================================
`Tensor`   a symbolic array in a PyTensor graph
`Shared`   a shared variable
`StrPath`  a path, as a string or an object
`Row`      a row of a history or table: values by column name
`Subset`   some images of a data set, with labels etc. (`loaders`)
`Dataset`  an open data set (`loaders`)
=========  ================================================================

`Subset` and `Dataset` are protocols, so that utils does not depend on loaders.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from pytensor.tensor.sharedvar import TensorSharedVariable
    from pytensor.tensor.variable import TensorVariable

Tensor: TypeAlias = 'TensorVariable'
Shared: TypeAlias = 'TensorSharedVariable'
StrPath: TypeAlias = str | os.PathLike[str]
Row: TypeAlias = dict[str, Any]


class Subset(Protocol):
    """Some images of a data set; see `loaders.Subset` for the attributes."""

    name: str
    x_shape: tuple[int, int]
    rows: np.ndarray
    transforms: tuple[str, ...]
    y: np.ndarray
    source: np.ndarray
    usage: np.ndarray
    view: np.ndarray
    duplicate: np.ndarray
    person: np.ndarray | None
    votes: np.ndarray | None

    @property
    def soft_labels(self) -> np.ndarray | None: ...

    @property
    def base(self) -> Subset: ...

    def __len__(self) -> int: ...

    def images(self, rows: np.ndarray | slice | None = None) -> np.ndarray: ...


class Dataset(Protocol):
    """An open data set; see `loaders.Dataset` for the attributes."""

    path: str
    name: str
    number: int | None
    shape: tuple[int, int]
    classes: tuple[str, ...]
    transforms: tuple[str, ...]
    fingerprint: str
    layout: str
    people: tuple[str, ...]
    fold: tuple[int, int] | None
    by: str
    about: str

    @property
    def training(self) -> Subset: ...

    @property
    def test(self) -> Subset: ...

    @property
    def special_test(self) -> Subset | None: ...

    @property
    def reduced_training(self) -> Subset | None: ...

    @property
    def validation(self) -> Subset | None: ...

    @property
    def counts(self) -> np.ndarray: ...

    @property
    def is_fer2013(self) -> bool: ...

    @property
    def content_digest(self) -> str: ...

    def subsets(self) -> Sequence[Subset]: ...

    def verify(self) -> bool: ...

    def close(self) -> None: ...

    def __enter__(self) -> Dataset: ...

    def __exit__(self, *error: Any) -> None: ...

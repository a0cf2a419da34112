"""Predictions of a model in files: logits for ensembles and comparisons, a row per image, a confusion matrix.

============================  ============================
`write_outputs`               all files into a folder
`save_logits`, `read_logits`  logits in logits.npz
`write_predictions`           per-image predictions as CSV
`write_confusion`             the confusion matrix as CSV
============================  ============================
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from utils.files.atomic import atomic_write
from utils.files.former import current
from utils.files.terminal import cell
from utils.results import metrics

if TYPE_CHECKING:
    from utils.annotations import Subset


class RunError(ValueError):
    """Raised for an invalid run folder, or an invalid file in it."""


class Images(SimpleNamespace):
    """Data of test images without the images themselves: y, source, usage, duplicate."""

    def __len__(self) -> int:
        return len(self.y)


def save_logits(
    path: Path, subset: Subset, logits: dict[str, np.ndarray], validation: Sequence[np.ndarray] | None = None
) -> None:
    """Write logits with the data needed to compare and combine them.

    Parameters
    ----------
    path : path
        File that ends in .npz.
    subset : loaders.Subset
        The test images.
    logits : dict of str to array (n, n_classes)
        Logits, as for `evaluate`.
    validation : tuple (source, y, logits), optional
        The same for the original validation images, from the parameters of the best epoch, which never saw them.
    """
    arrays = {
        'y': subset.y,
        'source': subset.source,
        'usage': subset.usage,
        'duplicate': subset.duplicate,
        **{kind: np.asarray(values, dtype=np.float32) for kind, values in logits.items()},
    }
    if validation is not None:
        for name, value in zip(('validation_source', 'validation_y', 'validation'), validation):
            arrays[name] = np.asarray(value, dtype=np.float32) if name == 'validation' else value
    with atomic_write(path) as temporary, open(temporary, 'wb') as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def write_confusion(path: Path, confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Write a confusion matrix as CSV; a row for each true class, a column for each answer."""
    with atomic_write(path) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['truth', *map(cell, classes)])
        writer.writerows([cell(name), *row] for name, row in zip(classes, confusion))


def read_logits(folder: Path) -> dict[str, np.ndarray]:
    """Read the arrays of logits.npz as a dict; see `save_logits`."""
    path = Path(folder) / 'logits.npz'
    try:
        with np.load(path, allow_pickle=False) as file:
            return current(file.items())
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        NotImplementedError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise RunError(f"'{path}' cannot be read: {error}") from None


def write_predictions(
    path: Path, subset: Subset, classes: Sequence[str], probabilities: np.ndarray, special: np.ndarray | None = None
) -> None:
    """Write one CSV row per test image: true class, predicted class and probabilities.

    Parameters
    ----------
    path : path
    subset : loaders.Subset
    classes : sequence of str
    probabilities, special : array (n, n_classes)
        Probabilities from the images themselves and, if there are views, from all views of each. The columns
        'predicted', 'correct' and the probabilities are those of `special` if it is given.
    """
    final = probabilities if special is None else special
    names = [cell(name) for name in classes]
    taken, plain = final.argmax(axis=1), probabilities.argmax(axis=1)
    usage = ('Training', 'PublicTest', 'PrivateTest')
    with atomic_write(path) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                'source',
                'usage',
                'duplicate',
                'label',
                'predicted',
                'correct',
                'predicted_plain',
                *(f'p_{name}' for name in classes),
            ]
        )
        for k in range(len(subset)):
            writer.writerow(
                [
                    subset.source[k],
                    usage[subset.usage[k]],
                    int(subset.duplicate[k]),
                    names[subset.y[k]],
                    names[taken[k]],
                    int(taken[k] == subset.y[k]),
                    names[plain[k]],
                    *(f'{p:.5f}' for p in final[k]),
                ]
            )


def write_outputs(
    folder: Path,
    subset: Subset,
    classes: Sequence[str],
    outputs: dict[str, np.ndarray],
    scores: dict[str, Any],
    validation: Sequence[np.ndarray] | None = None,
) -> None:
    """Write logits.npz, predictions.csv and confusion.csv of a test into a folder.

    Parameters
    ----------
    folder : Path
    subset : loaders.Subset
        The test images.
    classes : sequence of str
    outputs : dict of str to array (n, n_classes)
        Logits, 'plain' and perhaps 'special'.
    scores : dict
        Result of `utils.results.metrics.evaluate`.
    validation : tuple, optional
        As for `save_logits`.
    """
    final = scores[metrics.final_kind(scores)]['whole']
    save_logits(folder / 'logits.npz', subset, outputs, validation)
    write_confusion(folder / 'confusion.csv', final['confusion'], classes)
    write_predictions(folder / 'predictions.csv', subset, classes, *map(metrics.probabilities, outputs.values()))

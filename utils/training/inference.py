"""Applies a trained network to the images of a subset.

====================  =========================================================================
`validate`            error and cross-entropy
`measure_statistics`  batch norm's population statistics
`compute_logits`      logits for every image
`sum_over_views`      the special test: sums of logits over the views of each image
`test_outputs`        logits for the test images, plain and special
`test_errors`         errors on public half, private half and whole, with and without duplicates
====================  =========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from utils.training.batches import minibatches

if TYPE_CHECKING:
    from utils.annotations import Dataset, Subset
    from utils.training.functions import Functions


def validate(functions: Functions, subset: Subset) -> tuple[float, float]:
    """Error in % and mean cross-entropy in nats of a network on a subset; every image counts once."""
    entropy = errors = 0.0
    rows = functions.takes_rows_of(subset)
    for inputs, weights, _ in minibatches(subset, np.arange(len(subset)), functions.batch_size, rows):
        sums = functions.validate(*inputs, weights)
        entropy, errors = entropy + float(sums[0]), errors + float(sums[1])
    return 100 * errors / len(subset), entropy / len(subset)


def measure_statistics(functions: Functions, subset: Subset, n_images: int = 5000, seed: int = 0) -> None:
    """Measure batch norm's population statistics with the current weights (thesis 3.4.2).

    Parameters
    ----------
    functions : Functions
    subset : loaders.Subset
        Training images; a random sample of them is used, the same for each call with the same seed.
    n_images : int
        Size of the sample, rounded down to whole minibatches, at least one.
    seed : int
    """
    if functions.statistics is None:
        return
    size = functions.batch_size
    n_images = max(size, min(n_images, len(subset)) // size * size)
    sample = np.random.default_rng([seed, 0x57A7]).permutation(len(subset))[:n_images]
    rows = functions.takes_rows_of(subset)
    for k, (inputs, _, _) in enumerate(minibatches(subset, sample, size, rows), start=1):
        functions.statistics(inputs[0], np.float32(1 / k))


def compute_logits(functions: Functions, subset: Subset, view: Any = None) -> np.ndarray:
    """Logits of the network, (n, n_classes) float32, for every image of a subset.

    Parameters
    ----------
    view : dict, optional
        One of `utils.training.augmentation.Augment.views`, applied to the images first.
    """
    if view is None:
        outputs = functions.test
    else:
        settings = {'mirror': 1.0, 'down': 0.0, 'right': 0.0, 'angle': 0.0, 'zoom': 1.0, **view}

        def outputs(images):
            return functions.test_view(images, *map(np.float32, settings.values()))

    parts = [
        np.asarray(outputs(inputs[0]))[:count]
        for inputs, _, count in minibatches(subset, np.arange(len(subset)), functions.batch_size)
    ]
    return np.concatenate(parts)


def sum_over_views(logits: np.ndarray, source: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Sum logits over the views of each image: the special test of thesis 3.4.4.

    Parameters
    ----------
    logits : array (n_views_in_all, n_classes)
    source : int array (n_views_in_all,)
        Number of the original image that each view was made from.
    images : int array (n,)
        Numbers of the original images, each once, in the order of the result.

    Returns
    -------
    float64 array (n, n_classes)
        Sums of logits.

    Raises
    ------
    ValueError
        If a view belongs to none of the images.
    """
    order = np.argsort(images)
    place = order[np.searchsorted(images, source, sorter=order)]
    if not np.array_equal(np.asarray(images)[place], source):
        raise ValueError('the special test has views of images that are not in the test set')
    sums = np.zeros((len(images), logits.shape[1]))
    np.add.at(sums, place, logits)
    return sums


def test_outputs(functions: Functions, data: Dataset, special_test: bool = True) -> dict[str, np.ndarray]:
    """Logits for the test images.

    Returns
    -------
    dict of str to array (n, n_classes)
        'plain' and, if `special_test` is True and there are views, 'special': the sums over the views of each image
        (thesis 3.4.4), divided by the number of views so that the softmax does not depend on it. The views are those
        of the set; if it has none and training images are augmented, `utils.training.augmentation.Augment.views`.
    """
    out, views = {'plain': compute_logits(functions, data.test)}, data.special_test
    if special_test and views is not None:
        sums = sum_over_views(compute_logits(functions, views), views.source, data.test.source)
        out['special'] = sums / (len(views) / len(data.test))
    elif special_test and functions.settings.augment:
        changes = functions.settings.augment.views(functions.im_dim)
        sums = sum(compute_logits(functions, data.test, view).astype(float) for view in changes)
        out['special'] = sums / len(changes)
    return out


test_outputs.__test__ = False  # type: ignore[attr-defined]  # not a test for pytest


def test_errors(logits: np.ndarray, subset: Subset) -> dict[str, dict[str, float]]:
    """Errors in % on the test images, from their logits (n, n_classes).

    Returns
    -------
    dict of dict
        For 'whole', 'public' and 'private' (if the set has these halves): 'error' in % and the number 'images'; and
        'error_without_duplicates', 'images_without_duplicates', which leave out exact duplicates of training images.
    """
    wrong = np.argmax(logits, axis=1) != subset.y
    halves = {'whole': np.ones(len(subset), bool), 'public': subset.usage == 1, 'private': subset.usage == 2}
    out = {}
    for name, mask in halves.items():
        if mask.any():
            clean = mask & ~subset.duplicate
            out[name] = {
                'error': 100 * wrong[mask].mean(),
                'images': int(mask.sum()),
                'error_without_duplicates': 100 * wrong[clean].mean() if clean.any() else None,
                'images_without_duplicates': int(clean.sum()),
            }
    return out


test_errors.__test__ = False  # type: ignore[attr-defined]  # not a test for pytest

"""Metrics of a classifier: errors with intervals, per-class metrics, calibration.

==================  ===========================================================================
`evaluate`          all metrics of logits on the test images
`scores`            the metrics of one group of images
`interval`          95 % interval of an error
`mean_recall`       mean over the classes of their recall
`calibration`       confidence against accuracy, and the expected calibration error
`probabilities`     softmax
==================  ===========================================================================

Per-class metrics come from scikit-learn, intervals from SciPy. Errors are in %, cross-entropies in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from utils.results import competition

if TYPE_CHECKING:
    from utils.annotations import Subset


HALVES = {'whole': None, 'public': 1, 'private': 2}


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of logits (n, n_classes), in float64."""
    return softmax(np.asarray(logits, dtype=float), axis=1)


def interval(wrong: int, n: int, level: float = 0.95) -> list[float]:
    """Compute Wilson's interval [1]_ (low, high) in % of an error, from `wrong` wrong answers out of `n`.

    References
    ----------
    .. [1] Wilson (1927), Probable Inference, the Law of Succession, and Statistical Inference, JASA 22.
    """
    from scipy.stats import binomtest  # takes half a second, and training can start without it

    ci = binomtest(int(wrong), int(n)).proportion_ci(level, method='wilson')
    return [100 * float(ci.low), 100 * float(ci.high)]


def calibration(p: np.ndarray, y: np.ndarray, bins: int = 15) -> dict[str, Any]:
    """Compare confidence with accuracy in bins of equal width [1]_.

    Parameters
    ----------
    p : array (n, n_classes)
        Probabilities.
    y : int array (n,)
        Labels.
    bins : int

    Returns
    -------
    dict
        'ece', the mean over the images of abs(accuracy - confidence) of their bins; and for each bin with images,
        the means 'confidence' and 'accuracy' and the number 'images'.

    References
    ----------
    .. [1] Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, ICML, eq. 3.
    """
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)  # bins ((k - 1) / bins, k / bins]
    counts = np.bincount(place, minlength=bins)
    there = counts > 0
    mean_confidence = np.bincount(place, confidence, bins)[there] / counts[there]
    accuracy = np.bincount(place, right, bins)[there] / counts[there]
    counts = counts[there]
    return {
        'ece': float((counts * abs(accuracy - mean_confidence)).sum() / len(y)),
        'confidence': mean_confidence.tolist(),
        'accuracy': accuracy.tolist(),
        'images': counts.tolist(),
    }


def cross_entropy(p: np.ndarray, y: np.ndarray) -> float:
    """Mean cross-entropy in nats of probabilities (n, n_classes) with labels (n,)."""
    return float(-np.log(np.clip(p[np.arange(len(y)), y], np.finfo(float).tiny, None)).mean())


def scores(
    logits: np.ndarray, y: Sequence[int] | np.ndarray, classes: Sequence[str], temperature: float | None = None
) -> dict[str, Any]:
    """Compute the metrics of one group of images.

    Parameters
    ----------
    logits : array (n, n_classes)
    y : int array (n,)
        Labels.
    classes : sequence of str
    temperature : float, optional
        Temperature, see `utils.results.temperature`.

    Returns
    -------
    dict
        images, error (%), interval (95 %, in %), top2_error (%), cross_entropy (nats), ece, macro_f1, per_class
        (precision, recall, f1 and images of each, in the order of `classes`), confusion (rows: truth), calibration.
        macro_f1 is the mean over the classes that occur as label or as answer. With a temperature also 'scaled':
        cross_entropy, ece and calibration of the scaled probabilities.
    """
    from sklearn import metrics  # as above

    y, labels = np.asarray(y, dtype=int), np.arange(len(classes))
    p = probabilities(logits)
    answer = p.argmax(axis=1)
    wrong = int((answer != y).sum())
    precision, recall, f1, support = metrics.precision_recall_fscore_support(y, answer, labels=labels, zero_division=0)
    occurs = np.union1d(y, answer)
    curve = calibration(p, y)
    top2 = metrics.top_k_accuracy_score(y, p, k=2, labels=labels) if len(classes) > 2 else 1.0
    out = {
        'images': len(y),
        'error': 100 * wrong / len(y),
        'interval': interval(wrong, len(y)),
        'top2_error': 100 * (1 - float(top2)),
        'cross_entropy': cross_entropy(p, y),
        'ece': curve['ece'],
        'macro_f1': float(f1[occurs].mean()),
        'per_class': {
            name: {
                'precision': float(precision[k]),
                'recall': float(recall[k]),
                'f1': float(f1[k]),
                'images': int(support[k]),
            }
            for k, name in enumerate(classes)
        },
        'confusion': metrics.confusion_matrix(y, answer, labels=labels).tolist(),
        'calibration': curve,
    }
    if temperature is not None:
        p = probabilities(np.asarray(logits, dtype=float) / temperature)
        curve = calibration(p, y)
        out['scaled'] = {'cross_entropy': cross_entropy(p, y), 'ece': curve['ece'], 'calibration': curve}
    return out


def evaluate(
    logits: dict[str, np.ndarray], subset: Subset, classes: Sequence[str], temperature: float | None = None
) -> dict[str, Any]:
    """Compute all metrics of logits on the test images.

    Parameters
    ----------
    logits : dict of str to array (n, n_classes)
        'plain' and, if the set has views, 'special': means over the views of each image. The mean predicts the same
        classes as the sum of thesis 3.4.4, with probabilities that do not depend on the number of views.
    subset : loaders.Subset
        The test images.
    classes : sequence of str
    temperature : float, optional
        Temperature fitted on validation images, see `utils.results.temperature`.

    Returns
    -------
    dict
        ``[kind][half]``: result of `scores`. If some images have an exact duplicate in the training set, it includes
        'without_duplicates': images, error and interval without them. 'rank': places in the 2013 competition by the
        whole and by the private error, of 'special' if there is one. 'temperature', if one is given.
    """
    out = {}
    for kind, values in logits.items():
        out[kind] = {}
        for half, usage in HALVES.items():
            mask = np.ones(len(subset), bool) if usage is None else subset.usage == usage
            if not mask.any():
                continue
            entry = scores(values[mask], subset.y[mask], classes, temperature)
            clean = mask & ~subset.duplicate
            if 0 < clean.sum() < mask.sum():
                wrong = int((values[clean].argmax(axis=1) != subset.y[clean]).sum())
                entry['without_duplicates'] = {
                    'images': int(clean.sum()),
                    'error': 100 * wrong / int(clean.sum()),
                    'interval': interval(wrong, clean.sum()),
                }
            out[kind][half] = entry
    final = out.get('special') or out['plain']
    out['rank'] = {half: competition.rank(final[half]['error'], half) for half in ('whole', 'private') if half in final}
    if temperature is not None:
        out['temperature'] = temperature
    return out


def mean_recall(entry: dict[str, Any]) -> float:
    """Mean recall over the classes that have images, in % (balanced accuracy [1]_).

    Parameters
    ----------
    entry : dict
        Result of `scores`.

    References
    ----------
    .. [1] Brodersen, Ong, Stephan and Buhmann (2010), The Balanced Accuracy and Its Posterior Distribution, ICPR.
    """
    return 100 * float(np.mean([row['recall'] for row in entry['per_class'].values() if row['images']]))


def final_kind(evaluation: dict[str, Any]) -> str:
    """Return 'special' if there is a special test, otherwise 'plain'."""
    return 'special' if 'special' in evaluation else 'plain'


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> dict[str, float]:
    """Compare two classifiers on the same images by the exact McNemar test [1]_.

    Parameters
    ----------
    right_a, right_b : bool array (n,)
        Whether each classifier was right.

    Returns
    -------
    dict
        'only_a' and 'only_b', numbers of images that only one classifier got right, and 'p', the two-sided probability
        of an at least equally uneven division if both were equally good.

    References
    ----------
    .. [1] McNemar (1947), Note on the sampling error of the difference between correlated proportions or
       percentages, Psychometrika 12; Dietterich (1998), Approximate Statistical Tests, Neural Computation 10.
    """
    from scipy.stats import binomtest  # takes half a second, and only a comparison needs it

    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    n = only_a + only_b
    return {'only_a': only_a, 'only_b': only_b, 'p': float(binomtest(only_a, n).pvalue) if n else 1.0}

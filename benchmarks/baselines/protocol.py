"""Evaluate one classifier on one feature, by the same protocol as symfer's networks.

1. Every combination of settings is trained on the reduced training images and evaluated on the validation images.
2. With the best settings, the classifier is trained again on the training and validation images.
3. The test images are used once.

Times are processor seconds and wall-clock seconds of this process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.baselines.classifiers import CLASSIFIERS, Classifier
from benchmarks.baselines.features import FEATURES, Feature
from loaders import Subset
from loaders.sets.splits import draw
from utils.results.metrics import interval
from utils.training.inference import test_errors


@dataclass
class Seconds:
    """Processor time of all threads, and wall-clock time, in seconds."""

    cpu: float = 0.0
    wall: float = 0.0

    def __enter__(self) -> Seconds:
        self._began = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.cpu += time.process_time() - self._began[0]
        self.wall += time.perf_counter() - self._began[1]

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.cpu + other.cpu, self.wall + other.wall)


class Features:
    """Features of the parts of a set, each computed on first use and then cached.

    Parameters
    ----------
    parts : dict of str to Subset
        'training', 'validation' and 'test'.
    """

    def __init__(self, parts: dict[str, Subset]) -> None:
        self.parts, self._kept = parts, {}

    def __call__(self, feature: Feature, part: str) -> tuple[np.ndarray, Seconds]:
        """Return the features of a part, float32 (n, ...), and the time to compute them."""
        if (feature.name, part) not in self._kept:
            images = self.parts[part].images()
            with Seconds() as took:
                x = feature(images)
            self._kept[feature.name, part] = x, took
        return self._kept[feature.name, part]


def pairs() -> dict[str, tuple[Feature, Classifier]]:
    """All rows by name, such as 'hog+rbf-svm', in the order of the classifiers, the cheapest first."""
    return {
        f'{feature}+{classifier.name}': (FEATURES[feature], classifier)
        for classifier in CLASSIFIERS.values()
        for feature in classifier.features
    }


def error(answers: np.ndarray, y: np.ndarray) -> float:
    """Percentage of wrong answers."""
    return 100 * float((answers != y).mean())


def choose(
    classifier: Classifier, x: np.ndarray, y: np.ndarray, x_validation: np.ndarray, y_validation: np.ndarray, **options
) -> tuple[dict[str, Any], list[dict[str, Any]], int]:
    """Choose the settings with the smallest validation error; the first among equals.

    Returns
    -------
    settings : dict
    trials : list of dict
        'settings' and 'validation_error' of each combination.
    n : int
        Number of training images of the trials.
    """
    if classifier.trial_images is not None and classifier.trial_images < len(y):
        rows = draw(np.arange(len(y)), y, classifier.trial_images, options['seed'], stratify=True)
        x, y = x[rows], y[rows]
    ready = classifier.preparation(x.shape, options['seed']).fit(x)
    x, x_validation = ready.transform(x), ready.transform(x_validation)
    trials = []
    for settings in classifier.settings:
        model = classifier.build(**options, **settings).fit(x, y)
        trials.append({'settings': settings, 'validation_error': error(model.predict(x_validation), y_validation)})
    return min(trials, key=lambda trial: trial['validation_error'])['settings'], trials, len(y)


def run(
    feature: Feature,
    classifier: Classifier,
    features: Features,
    seed: int = 0,
    jobs: int = 1,
    info: Callable[[str], Any] = lambda line: None,
) -> dict[str, Any]:
    """Compute the row of a classifier on a feature.

    Parameters
    ----------
    features : Features
    seed : int
        Seed of the subset of images for the trials, and of random classifiers.
    jobs : int
        Number of threads, for classifiers that support it.
    info : callable
        Called with a line of text on the chosen settings before the test images are used.

    Returns
    -------
    dict
        The chosen settings and their trials, the errors in % under the names of a run's result.json, the 95 % interval
        of the whole test error, and times: 'choosing' (all trials), 'training' (features of the training and validation
        images, and the final fit), 'answering' (features of the test images, and their answers).
    """
    y, y_validation = (features.parts[part].y for part in ('training', 'validation'))
    x, took = features(feature, 'training')
    x_validation, took_too = features(feature, 'validation')
    with Seconds() as choosing:
        settings, trials, n = choose(classifier, x, y, x_validation, y_validation, seed=seed, jobs=jobs)
    best = min(trial['validation_error'] for trial in trials)
    info(f'validation error {best:.2f} % with {described(settings)}')
    training = took + took_too
    with training:
        x, y = np.concatenate([x, x_validation]), np.concatenate([y, y_validation])
        ready = classifier.preparation(x.shape, seed).fit(x)
        model = classifier.build(seed=seed, jobs=jobs, **settings).fit(ready.transform(x), y)
    test = features.parts['test']
    x_test, took = features(feature, 'test')
    answering = took + Seconds()
    with answering:
        answers = model.predict(ready.transform(x_test)).astype(int)
    errors = test_errors(np.eye(max(answers.max(), test.y.max()) + 1)[answers], test)
    wrong = int((answers != test.y).sum())
    return {
        'name': f'{feature.name}+{classifier.name}',
        'feature': feature.name,
        'classifier': classifier.name,
        'numbers': list(x.shape[1:]),
        'components': classifier.components,
        'settings': settings,
        'grid': {key: list(values) for key, values in classifier.grid.items()},
        'trials': trials,
        'trial_images': n,
        'images': len(y),
        'validation_error': best,
        'test_error': errors['whole']['error'],
        'errors': {'plain': errors},
        'interval': interval(wrong, len(test)),
        'seconds': {'choosing': asdict(choosing), 'training': asdict(training), 'answering': asdict(answering)},
        'ms_per_image': 1000 * answering.cpu / len(test),
    }


def described(settings: dict[str, Any]) -> str:
    """Format settings as text: 'C=3, gamma=1'."""
    return ', '.join(f'{key}={value}' for key, value in settings.items()) or 'its only setting'

"""Classifiers with the interface of scikit-learn, one decorated function each, the cheapest first.

==================  ===========================================================================
`CLASSIFIERS`       all classifiers by name
`classifier`        decorator that registers a classifier
`Classifier`        a classifier with its settings
==================  ===========================================================================
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import ParameterGrid
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from benchmarks.baselines.bayesian import Searched, TreeAugmented
from benchmarks.baselines.markov import MarkovModels


@dataclass(frozen=True)
class Classifier:
    """A classifier with the settings to try.

    Attributes
    ----------
    name : str
        Name on the command line.
    title : str
        Name in the table.
    build : callable
        ``build(seed, jobs, **settings)`` returns an estimator.
    features : sequence of str
        Names in `benchmarks.baselines.features.FEATURES`.
    grid : dict of str to sequence
        Values of each setting; every combination is tried on the validation images.
    components : int or None
        Number of principal components to which the standardised features are reduced; 0: features are only
        standardised; None: features are unchanged.
    trial_images : int or None
        Largest number of training images for trials.
    library : str or None
        Library of the extra [classical] that it needs.
    """

    name: str
    title: str
    build: Callable
    features: Sequence[str]
    grid: dict[str, Sequence[Any]]
    components: int | None
    trial_images: int | None
    library: str | None

    @property
    def settings(self) -> list[dict[str, Any]]:
        """Every combination of the grid, in a fixed order."""
        return [dict(sorted(one.items())) for one in ParameterGrid(self.grid)]

    def preparation(self, shape: tuple[int, ...], seed: int) -> Any:
        """Make the transformer that precedes the classifier: missing values, standardisation, principal components.

        Parameters
        ----------
        shape : tuple of int
            Shape of the training features.
        """
        if len(shape) > 2:
            return FunctionTransformer()
        steps = [SimpleImputer(keep_empty_features=True)]
        if self.components is not None:
            steps.append(StandardScaler())
        if self.components:
            steps.append(PCA(min(self.components, *shape), svd_solver='covariance_eigh', random_state=seed))
        return make_pipeline(*steps)


CLASSIFIERS: dict[str, Classifier] = {}


def classifier(
    name: str,
    title: str,
    features: Sequence[str],
    grid: dict[str, Sequence[Any]],
    components: int | None = None,
    trial_images: int | None = None,
    library: str | None = None,
) -> Callable:
    """Decorator that registers a function ``(seed, jobs, **settings)`` in `CLASSIFIERS`; see `Classifier`."""

    def add(build):
        CLASSIFIERS[name] = Classifier(name, title, build, features, grid, components, trial_images, library)
        return build

    return add


ALL = ('landmarks', 'pixels', 'lbp', 'gabor', 'hog')
FEWER = tuple(name for name in ALL if name != 'pixels')


@classifier('naive-bayes', 'naive Bayes', ALL, {'first': (10, 20, 50, 100, 200)}, components=200)
def naive_bayes(seed, jobs, first):
    """Gaussian naive Bayes on the first principal components."""
    return make_pipeline(FunctionTransformer(first_columns, kw_args={'n': first}), GaussianNB())


def first_columns(x, n):
    return x[:, :n]


@classifier('hmm', 'HMM over strips', ('strips',), {'n_states': (5, 8)}, trial_images=8000, library='hmmlearn')
def hmm(seed, jobs, n_states):
    return MarkovModels(n_states)


@classifier('linear-svm', 'linear SVM', ALL, {'C': (0.0001, 0.001)}, components=400)
def linear_svm(seed, jobs, C):
    return LinearSVC(C=C, dual=False, random_state=seed)


@classifier('tan', 'tree augmented naive Bayes', FEWER, {'n_features': (15, 30)}, trial_images=8000, library='pgmpy')
def tan(seed, jobs, n_features):
    return TreeAugmented(n_features)


@classifier(
    'structure-search',
    'structure search',
    FEWER,
    {'n_features': (10, 20), 'augmented': (True, False)},
    trial_images=8000,
    library='pgmpy',
)
def structure_search(seed, jobs, n_features, augmented):
    return Searched(n_features, augmented=augmented)


@classifier('random-forest', 'random forest', FEWER, {'min_samples_leaf': (1, 4)}, trial_images=5000)
def random_forest(seed, jobs, min_samples_leaf):
    return RandomForestClassifier(200, min_samples_leaf=min_samples_leaf, n_jobs=jobs, random_state=seed)


@classifier('boosted-trees', 'boosted trees', FEWER, {'n_estimators': (100, 200)}, library='lightgbm')
def boosted_trees(seed, jobs, n_estimators):
    """LightGBM (Ke et al. 2017, NeurIPS)."""
    return importlib.import_module('lightgbm').LGBMClassifier(
        n_estimators=n_estimators,
        num_leaves=15,
        colsample_bytree=0.2,
        max_bin=63,
        n_jobs=jobs,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )


@classifier('rbf-svm', 'RBF SVM', ALL, {'C': (1, 3, 10), 'gamma': (0.5, 1, 2)}, components=200, trial_images=6000)
def rbf_svm(seed, jobs, C, gamma):
    """RBF SVM on components normalised to length 1, so that gamma has the same scale for all features."""
    return make_pipeline(Normalizer(), SVC(C=C, gamma=gamma, cache_size=1000, random_state=seed))

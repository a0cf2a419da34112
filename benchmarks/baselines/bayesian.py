"""Bayesian networks as classifiers, with pgmpy; structure and probability tables are estimated from counts.

==================  ===========================================================================
`Discrete`          base class: the best features, discretised at quantiles
`TreeAugmented`     tree augmented naive Bayes
`Searched`          a network found by a search over structures
==================  ===========================================================================
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

CLASS = 'class'


class Discrete(ClassifierMixin, BaseEstimator):
    """Classifier that uses the features with the largest F ratio between classes, each discretised at its quantiles.

    Parameters
    ----------
    n_features : int
        Number of features; all if there are fewer.
    bins : int
        Number of bins of each feature.
    """

    def __init__(self, n_features: int = 30, bins: int = 4) -> None:
        self.n_features, self.bins = n_features, bins

    def fit(self, x: np.ndarray, y: np.ndarray) -> Discrete:
        """Fit to features (n, d) and classes (n,)."""
        varies = VarianceThreshold().fit(x)
        best = SelectKBest(f_classif, k=min(self.n_features, int(varies.get_support().sum())))
        cut = KBinsDiscretizer(
            self.bins, encode='ordinal', strategy='quantile', quantile_method='averaged_inverted_cdf'
        )
        self.discrete_ = make_pipeline(varies, best, cut)
        self.classes_ = np.unique(y)
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', message='Bins whose width', category=UserWarning)
            warnings.filterwarnings('ignore', category=FutureWarning, module='pgmpy')  # about its own imports
            self.discrete_.fit(x, y)
            table = self._table(x)
            table[CLASS] = y
            self.network_ = self._learn(table)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, (n, n_classes), for features (n, d), by variable elimination."""
        answers = self.network_.predict_probability(self._table(x))
        return answers[[f'{CLASS}_{label}' for label in self.classes_]].to_numpy()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predicted classes (n,) for features (n, d)."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _table(self, x):
        import pandas as pd  # comes with pgmpy

        values = self.discrete_.transform(x).astype(int)
        return pd.DataFrame(values, columns=[f'x{k}' for k in range(values.shape[1])])

    def _learn(self, table):
        """Learn a network from a table: the structure with `_structure`, probabilities with a uniform (BDeu) prior."""
        from pgmpy.models import DiscreteBayesianNetwork
        from pgmpy.parameter_estimator import DiscreteBayesianEstimator

        found = self._structure(table)
        network = DiscreteBayesianNetwork()
        network.add_nodes_from(table.columns)
        network.add_edges_from(found.edges())
        bins = self.discrete_[-1].n_bins_
        states = {f'x{k}': list(range(n)) for k, n in enumerate(bins)} | {CLASS: self.classes_.tolist()}
        prior = DiscreteBayesianEstimator(state_names=states, prior_type='BDeu', equivalent_sample_size=10)
        return network.fit(table, estimator=prior)


class TreeAugmented(Discrete):
    """Tree augmented naive Bayes [1]_: every feature depends on the class and on at most one other feature.

    References
    ----------
    .. [1] Friedman, Geiger and Goldszmidt (1997), Bayesian Network Classifiers, Machine Learning 29.
    """

    def _structure(self, table):
        from pgmpy.estimators import TreeSearch

        search = TreeSearch(table, root_node='x0', n_jobs=1)
        return search.estimate('tan', class_node=CLASS, show_progress=False)


class Searched(Discrete):
    """Greedy search over structures with a tabu list, by BIC.

    It replaces the stochastic structure search (SSS) of Cohen et al. [1]_, which walks at random through structures
    by their classification error. Here the error on validation images chooses among the settings of the search.

    Parameters
    ----------
    augmented : bool
        If True, the class is a parent of every feature, and the search adds edges between features. Otherwise the
        search is free.
    parents : int
        Largest number of parents of a node.

    References
    ----------
    .. [1] Cohen, Cozman, Sebe, Cirelo and Huang (2004), Semisupervised Learning of Classifiers: Theory, Algorithms,
       and Their Application to Human-Computer Interaction, PAMI 26.
    """

    def __init__(self, n_features: int = 20, bins: int = 4, augmented: bool = True, parents: int = 2) -> None:
        super().__init__(n_features, bins)
        self.augmented, self.parents = augmented, parents

    def _structure(self, table):
        from pgmpy.causal_discovery import ExpertKnowledge, HillClimbSearch

        edges = [(CLASS, name) for name in table.columns if name != CLASS] if self.augmented else []
        known = ExpertKnowledge(required_edges=edges)
        search = HillClimbSearch(
            'bic-d', max_indegree=self.parents, expert_knowledge=known, return_type='dag', show_progress=False
        )
        return search.fit(table).causal_graph_

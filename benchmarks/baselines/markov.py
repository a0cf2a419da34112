"""Hidden Markov models over the strips of a face, from the top down, with hmmlearn."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class MarkovModels(ClassifierMixin, BaseEstimator):
    """One hidden Markov model per class with Gaussian observations [1]_; predicts the class with the largest posterior.

    The states form a chain: each state is followed by itself or by the next one. They are initialised with equal parts
    of the face.

    Parameters
    ----------
    n_states : int
        Number of states.
    n_iter : int
        Number of iterations of expectation maximisation.

    References
    ----------
    .. [1] Nefian and Hayes (1998), Hidden Markov models for face recognition, ICASSP.
    """

    def __init__(self, n_states: int = 5, n_iter: int = 10) -> None:
        self.n_states, self.n_iter = n_states, n_iter

    def fit(self, x: np.ndarray, y: np.ndarray) -> MarkovModels:
        """Fit to sequences (n, t, d) and classes (n,)."""
        self.classes_, counts = np.unique(y, return_counts=True)
        self.prior_ = np.log(counts / len(y))
        self.models_ = [self._learn(x[y == label]) for label in self.classes_]
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predicted classes (n,) for sequences (n, t, d)."""
        scores = [[model.score(one) for one in x.astype(float)] for model in self.models_]
        return self.classes_[(np.array(scores).T + self.prior_).argmax(axis=1)]

    def _learn(self, x):
        from hmmlearn.hmm import GaussianHMM

        n, t, d = x.shape
        k = min(self.n_states, t)
        model = GaussianHMM(k, 'diag', n_iter=self.n_iter, init_params='', min_covar=1e-3, transmat_prior=1.01)
        model.startprob_ = np.eye(k)[0]
        model.transmat_ = (np.eye(k) + np.eye(k, k=1)) / 2
        model.transmat_[-1, -1] = 1
        part = np.arange(t) * k // t
        parts = [x[:, part == state].reshape(-1, d).astype(float) for state in range(k)]
        model.means_ = np.stack([one.mean(axis=0) for one in parts])
        model.covars_ = np.stack([one.var(axis=0) + 1e-3 for one in parts])
        return model.fit(x.reshape(n * t, d).astype(float), [t] * n)

"""Every classifier learns; Bayesian networks and chains have the structure that their names say."""

import numpy as np
import pytest

from benchmarks.baselines.classifiers import CLASSIFIERS
from benchmarks.baselines.markov import MarkovModels


def clusters(rng, n=240, d=6, n_classes=3):
    """Make classes that differ in their means, with some missing numbers in the rows."""
    y = np.arange(n) % n_classes
    x = rng.normal(size=(n, d)) + 1.5 * np.eye(n_classes, d)[y]
    x[::17, 1] = np.nan
    return x.astype(np.float32), y.astype(np.uint8)


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_every_classifier_learns_with_each_of_its_settings(name, rng):
    classifier = CLASSIFIERS[name]
    if classifier.library:
        pytest.importorskip(classifier.library)
    x, y = clusters(rng)
    if classifier.features == ('strips',):
        x = np.repeat(np.nan_to_num(x)[:, None], 4, axis=1) + 0.1 * rng.normal(size=(len(x), 4, 6)).astype(np.float32)
    ready = classifier.preparation(x[:180].shape, 0).fit(x[:180])
    for settings in classifier.settings:
        models = [classifier.build(0, 1, **settings).fit(ready.transform(x[:180]), y[:180]) for _ in range(2)]
        first, again = (model.predict(ready.transform(x[180:])) for model in models)
        assert np.array_equal(first, again)
        assert (first != y[180:]).mean() < 0.5, settings  # two of three by chance


def test_components_are_no_more_than_there_are(rng):
    x = rng.normal(size=(50, 12))
    assert CLASSIFIERS['rbf-svm'].preparation(x.shape, 0).fit_transform(x).shape == (50, 12)
    assert CLASSIFIERS['rbf-svm'].preparation((9, 12), 0).fit_transform(x[:9]).shape == (9, 9)


@pytest.fixture
def chained(rng):
    """x1 copies x0 nine times out of ten, and x2 depends only on the class."""
    n = 3000
    y = rng.integers(0, 2, n)
    x0 = rng.integers(0, 2, n)
    x1 = np.where(rng.random(n) < 0.9, x0, 1 - x0)
    x1 = np.where(rng.random(n) < 0.1, y, x1)
    x2 = np.where(rng.random(n) < 0.8, y, 1 - y)
    x0 = np.where(rng.random(n) < 0.1, y, x0)
    return np.stack([x0, x1, x2], axis=1) + 0.01 * rng.normal(size=(n, 3)), y  # the noise for quantiles


def test_tree_augmented_naive_bayes_finds_the_tree_and_answers_by_its_counts(chained):
    pytest.importorskip('pgmpy')
    from benchmarks.baselines.bayesian import TreeAugmented

    x, y = chained
    model = TreeAugmented(3, bins=2).fit(x, y)
    edges = set(model.network_.edges())
    assert {('class', 'x0'), ('class', 'x1'), ('class', 'x2'), ('x0', 'x1')} <= edges and len(edges) == 5
    values = model.discrete_.transform(x)
    parents = {b: a for a, b in edges if a != 'class'}

    def table(k, value, label, given):
        """Estimate P(xk = value | class, its other parent) by counting, with a prior of ten images in total."""
        mine = (y == label) if given is None else (y == label) & (values[:, given[0]] == given[1])
        cells = 4 if given is None else 8
        return ((mine & (values[:, k] == value)).sum() + 10 / cells) / (mine.sum() + 20 / cells)

    row = values[7]
    joint = np.array([((y == label).sum() + 5) / (len(y) + 10) for label in (0, 1)])
    for label in (0, 1):
        for k in range(3):
            parent = parents.get(f'x{k}')
            joint[label] *= table(k, row[k], label, parent and (int(parent[1]), row[int(parent[1])]))
    assert np.allclose(model.predict_proba(x[7:8])[0], joint / joint.sum(), atol=1e-6)


@pytest.mark.parametrize('augmented', [True, False])
def test_the_search_finds_what_depends_on_what(chained, augmented):
    pytest.importorskip('pgmpy')
    from benchmarks.baselines.bayesian import Searched

    x, y = chained
    model = Searched(3, bins=2, augmented=augmented).fit(x, y)
    edges = {frozenset(edge) for edge in model.network_.edges()}
    assert {frozenset(('x0', 'x1')), frozenset(('class', 'x2'))} <= edges
    assert (model.predict(x) != y).mean() < 0.25


def test_a_class_that_depends_on_nothing_is_answered_by_its_share(rng):
    pytest.importorskip('pgmpy')
    from benchmarks.baselines.bayesian import Searched

    x, y = rng.normal(size=(400, 3)), (np.arange(400) % 4 == 0).astype(int)
    assert (Searched(3, augmented=False).fit(x, y).predict(x) == 0).all()


def test_states_of_a_face_follow_one_another(rng):
    pytest.importorskip('hmmlearn')
    y = np.arange(60) % 2
    x = rng.normal(size=(60, 8, 2)) + np.linspace(0, 6, 8)[:, None] * np.where(y, 1, -1)[:, None, None]
    model = MarkovModels(4).fit(x, y)
    for one in model.models_:
        assert np.allclose(np.tril(one.transmat_, -1), 0) and np.allclose(np.triu(one.transmat_, 2), 0)
        assert one.startprob_[0] == pytest.approx(1)
        assert (np.diff(one.means_[:, 0]) * np.sign(one.means_[-1, 0]) > 0).all()  # in the order of the strips
    assert (model.predict(x) == y).all()


def test_the_share_of_a_class_counts_among_equals(rng):
    pytest.importorskip('hmmlearn')
    half = rng.normal(size=(20, 6, 2))
    x, y = np.concatenate([half] * 4), np.repeat([0, 1, 1, 1], 20)
    assert (MarkovModels(2).fit(x, y).predict(half) == 1).all()

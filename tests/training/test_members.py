"""Several networks trained side by side: each equals that of a separate run, and they are combined."""

import numpy as np
import pytest
from tiny import equal, network, run, trainer

from cnn import A
from utils.training import optimisers
from utils.training.augmentation import Augment
from utils.training.members import Members, member_seed, portions
from utils.training.settings import Settings


def members(k, make=network, seed=5):
    return lambda rng: Members([make(np.random.default_rng(member_seed(seed, m))) for m in range(k)])


def small_cnn(rng):
    return A((12, 12), 3, n_hidden=[8], width=1 / 16, rng=rng)


def apart(state, member):
    """Parameters and optimiser state of one member, under their names in a separate run."""
    found = {}
    for path, value in state['arrays'].items():
        group, _, name = path.partition('/')
        if name.startswith(f'member{member}.'):
            found[f'{group}/{name.partition(".")[2]}'] = value
    return found


@pytest.mark.parametrize(
    'options',
    [
        pytest.param({}, marks=pytest.mark.slow),
        {'ema_decay': 0.9, 'optimiser': optimisers.adam, 'learning_rate': 0.01},
        {'balance': 'sampling', 'trainShared': False},
        pytest.param(
            {'make': small_cnn, 'learning_rate': 0.003, 'augment': Augment(rotation=5, cutmix=0.5)},
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.parametrize('platform', ['cpu', pytest.param('gpu', marks=pytest.mark.slow)])
def test_each_member_is_what_a_run_of_its_own_gives(data, options, platform, monkeypatch):
    monkeypatch.setenv('SYMFER_PLATFORM', platform)
    options = dict(options)
    make = options.pop('make', network)
    together = trainer(data, members(2, make), **options)
    together.train(1)
    for m in range(2):
        alone = trainer(data, make, **{**options, 'seed': 5 + m})
        alone.train(1)
        got, wanted = apart(together.state(), m), alone.state()['arrays']
        assert set(got) == set(wanted) - {'counter'}
        for name in got:
            if not name.endswith(('norm.mean', 'norm.var')):  # measured for all on the same sample of images
                np.testing.assert_allclose(got[name], wanted[name], rtol=2e-5, atol=2e-6, err_msg=name)
    assert together.history[0]['images'] == 2 * len(data.reduced_training)


def test_many_steps_in_a_call_train_the_same_members(data):
    states = []
    for many in (False, True):
        t = trainer(data, members(2))
        t.many_steps = many
        t.train(2)
        states.append(t.state()['arrays'])
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-6, atol=1e-7, err_msg=name)


def test_members_that_are_broken_off_go_on_to_the_bit(data):
    options = {'portion': 0.6, 'make': members(2)}
    whole = run(trainer(data, **options))
    for stop_after in (2, 5):
        state = run(trainer(data, **options), stop_after=stop_after)
        other = trainer(data, **options)
        other.restore(state)
        assert equal(run(other), whole)


def test_members_answer_by_the_mean_of_their_logits(data):
    t = trainer(data, members(3))
    t.train(1)
    images = data.test.images(np.arange(32))
    each = [np.asarray(one.test(images), float) for one in t.functions.members]
    np.testing.assert_allclose(t.functions.test(images), np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
    assert not np.allclose(each[0], each[1])


@pytest.mark.parametrize('replacement', [False, True])
def test_portions_are_of_whole_images_and_differ(data, replacement):
    settings = Settings(portion=0.5, replacement=replacement)
    subset = data.reduced_training
    rows = portions(subset, data.training, settings, 3)
    views = len(subset) // len(np.unique(subset.source))
    n = round(0.5 * len(np.unique(subset.source)))
    for own in rows:
        assert len(own) == n * views
        _, counts = np.unique(subset.source[own], return_counts=True)
        assert (counts % views == 0).all()
        assert (counts > views).any() == replacement
    assert len({tuple(own) for own in rows}) == 3


def test_a_member_keeps_its_images_when_the_validation_images_are_added(data):
    settings = Settings(portion=0.5)
    parts = (data.reduced_training, data.training)
    before, after = (
        [set(subset.source[own]) for own in portions(subset, data.training, settings, 2)] for subset in parts
    )
    for a, b, other in zip(before, after, reversed(after)):
        assert len(a & b) > 0.8 * len(a) > len(a & other)


def test_all_images_are_each_members_without_a_portion(data):
    for own in portions(data.training, data.training, Settings(), 2):
        np.testing.assert_array_equal(own, np.arange(len(data.training)))

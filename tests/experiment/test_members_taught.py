"""Several networks side by side that learn from votes and from a teacher, and that are teachers."""

import numpy as np
import pytest
from small import Interrupted, lines_without_times, same_models, small
from voted import voted_set

import launch
import loaders
import mlp
from utils.experiment.teachers import open_teacher


@pytest.mark.slow
@pytest.mark.parametrize('augmented', [False, True])
def test_members_learn_from_members_and_votes(tiny_set, tiny_originals, tmp_path, monkeypatch, augmented):
    monkeypatch.chdir(tmp_path)
    dataset = voted_set(tiny_originals, tmp_path)
    small(dataset, savename='t.h5', members=2)
    options = dict(
        members=2, soft_labels=True, teacher='t.h5', teacher_args={'augmented': augmented}, augment={'mirror': 0.5}
    )
    whole = small(dataset, savename='whole.h5', **options)

    def stop(row):
        if (row['stage'], row['epoch']) == ('retrain', 1):
            raise Interrupted

    with pytest.raises(Interrupted):
        small(dataset, savename='m.h5', on_epoch=stop, **options)
    resumed = launch.test(resume='m.h5', verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('m.h5', 'whole.h5')
    streamed = small(dataset, savename='streamed.h5', trainShared=False, **options)
    assert lines_without_times(streamed.history) == lines_without_times(whole.history)
    with loaders.load(dataset) as data:
        o = {'teacher': ['t.h5'], 'network': mlp.MLP, 'val': True, 'batch_size': 50}
        z = open_teacher(launch.CONTEXT, o, data, lambda line: None)(data.training, False)
        p = np.log(launch.predict('t.h5', data.training.images(), raw=True))
    np.testing.assert_allclose(z - z.mean(axis=1, keepdims=True), p - p.mean(axis=1, keepdims=True), atol=1e-5)
    one = [small(dataset, savename=f'one{s}.h5', **{**options, 'members': 1, 'seed': s}) for s in range(2)]
    for a, b, c in zip(whole.history, *(x.history for x in one)):
        if a['stage'] == 'train':
            np.testing.assert_allclose(a['train_cost'], (b['train_cost'] + c['train_cost']) / 2, rtol=1e-4)

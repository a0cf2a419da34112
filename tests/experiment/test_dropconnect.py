"""DropConnect through an experiment."""

import pytest
from small import Interrupted, lines_without_times, same_models, small

import launch


@pytest.mark.slow
def test_an_experiment_with_it_is_resumed_to_the_last_bit_and_says_what_it_used(tiny_set):
    options = dict(p_dropConnect=0.2, dropConnect_moments=True, n_epochs=3)

    def stop(row):
        if (row['stage'], row['epoch']) == ('train', 2):
            raise Interrupted

    whole = small(tiny_set, savename='models/whole.h5', **options)
    with pytest.raises(Interrupted):
        small(tiny_set, on_epoch=stop, **options)
    resumed = launch.test(resume='models/m.h5', verbose=0, report=False)
    assert lines_without_times(resumed.history) == lines_without_times(whole.history)
    assert same_models('models/m.h5', 'models/whole.h5')
    without = small(tiny_set, savename='models/without.h5', n_epochs=3)
    assert lines_without_times(without.history) != lines_without_times(whole.history)


@pytest.mark.parametrize('value', [1, -0.1, 'half'])
def test_wrong_probabilities_are_refused(tiny_set, value):
    with pytest.raises(ValueError, match='p_dropConnect must be'):
        small(tiny_set, p_dropConnect=value)

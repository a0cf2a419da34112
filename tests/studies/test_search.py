"""The hyper-parameter search and the learning-rate range test."""

import json
from pathlib import Path

import numpy as np
import pytest

import launch
from utils.record import reading
from utils.studies import lr_finder, search

SMALL = dict(
    network='MLP', n_hidden=[8], batch_size=50, statistics_images=50, anneal_epochs=1, n_epochs=2, report=False
)


def test_rate_range_finds_the_steepest_descent_of_a_bowl():
    w, rate = np.array([10.0]), [0.0]

    def train(batch):
        cost = float(w[0] ** 2)
        w[0] -= rate[0] * 2 * w[0]
        return cost

    rates, costs, smooth, suggestion = lr_finder.raise_rate(
        train, range(200), lambda r: rate.__setitem__(0, r), 1e-3, 1e3, steps=100
    )
    assert costs[0] == 100 and 1e-3 < suggestion < 1 < rates[-1] < 1e3  # it diverges from rate 1 on
    assert smooth[0] == pytest.approx(costs[0])
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(1e6) / 99)


def test_rate_range_of_a_network(tiny_set, capsys):
    assert (
        launch.main(
            [
                'lr-find',
                '--dataset',
                str(tiny_set),
                '--network',
                'MLP',
                '--n_hidden',
                '8',
                '--batch_size',
                '20',
                '--steps',
                '25',
            ]
        )
        == 0
    )
    assert 'tried rates from 0.0001 to ' in capsys.readouterr().out and Path('rates.png').stat().st_size > 1000
    assert launch.main(['lr-find', '--lowest', '2', '--highest', '1']) == 2
    assert capsys.readouterr().err.startswith('error: expected 0 < lowest < highest')


def test_search_goes_on_after_an_interruption_and_prunes(tiny_set):
    optuna = pytest.importorskip('optuna')
    done, saved = [], {}

    def work(options, on_epoch):
        """Replace `launch.run_trial`: the cost is the distance of the rate from 0.1, and rates above 0.5 are bad."""
        if len(done) == 3 and not saved:
            saved.update(options)
            raise KeyboardInterrupt
        done.append(options)
        cost = abs(np.log(options['learning_rate'] / 0.1))
        for epoch in range(1, 6):
            on_epoch({'stage': 'train', 'epoch': epoch, 'validation_cross_entropy': cost})
        folder = Path(options['savename']).with_suffix('') / 'run-001'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'run.json').write_text(
            json.dumps(
                {
                    'format': reading.FORMAT,
                    'version': reading.VERSION,
                    'name': 's',
                    'fingerprint': 'f',
                    'model': str(folder.with_suffix('.h5')),
                }
            )
        )
        (folder / 'config.yaml').write_text('seed: 0')
        (folder / 'history.csv').write_text('stage,epoch\n')
        (folder / 'result.json').write_text(
            json.dumps({'status': 'finished', 'validation_cross_entropy': cost, 'test_error': 50.0, 'evaluation': {}})
        )
        return 'finished'

    space = search.parse_space(['learning_rate=log:0.001..1', 'n_hidden=[8],[8,8]'])
    with pytest.raises(KeyboardInterrupt):
        search.run_study(space, 12, 'models/s', work, lambda text: None)
    assert len(done) == 3
    study = search.run_study(space, 12, 'models/s', work, lambda text: None)
    assert done[3] == saved and len(done) == 12  # the interrupted trial comes first, and nothing runs twice
    states = [trial.state.name for trial in study.trials]
    assert states.count('PRUNED') >= 1 and states.count('COMPLETE') + states.count('PRUNED') == 12
    assert 0.01 < study.best_params['learning_rate'] < 0.9
    search.run_study(space, 12, 'models/s', work, lambda text: None)
    assert len(done) == 12
    assert isinstance(study, optuna.Study)


def test_search_goes_by_the_rule(tiny_set):
    pytest.importorskip('optuna')
    options = {**SMALL, 'n_epochs': 1, 'dataset': str(tiny_set), 'savename': 'models/e.h5', 'verbose': 0}
    study = launch.search({'n_hidden': [[4], [8]]}, 2, rule='error', **options)
    values = [reading.read_run(folder)['result']['validation_error'] for folder in Path('models').glob('e_*/')]
    assert study.best_value == min(values) > 10  # in %
    with pytest.raises(
        ValueError, match="minimises the validation error, not the validation cross-entropy: keep rule='error'"
    ):
        launch.search({'n_hidden': [[4], [8]]}, 3, **options)
    with pytest.raises(ValueError, match='the figure of one rule'):
        launch.search({'rule': ['error', 'entropy']}, 3, **options)
    with pytest.raises(ValueError, match='val must be True'):
        launch.search({'val': [True, False]}, 3, **options)


def test_search_runs_experiments_chosen_on_validation(tiny_set):
    pytest.importorskip('optuna')
    study = launch.search(
        {'n_hidden': [[4], [8]], 'learning_rate': 'log:0.01..0.2'},
        2,
        dataset=str(tiny_set),
        savename='models/o.h5',
        verbose=0,
        **{**SMALL, 'n_epochs': 1},
    )
    values = [reading.read_run(folder)['result']['validation_cross_entropy'] for folder in Path('models').glob('o_*/')]
    assert len(values) == 2 and study.best_value == pytest.approx(min(values))


def test_the_range_test_starts_afresh_and_refuses_a_model_to_resume(tiny_set):
    with pytest.raises(ValueError, match="resume is for one run, got 'm.h5': leave it out"):
        launch.rate_range(resume='m.h5', dataset=str(tiny_set), figure=None, verbose=0, **SMALL)

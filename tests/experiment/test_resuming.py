"""An experiment is resumed with the data set and the network it started with, or says what has changed."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small import SMALL as SMALL_RUN

import cnn
import launch
import loaders
from utils.experiment import resuming, schema
from utils.experiment.arguments import named
from utils.files import models
from utils.results import predictions
from utils.studies import comparison, ensembles

SMALL = SMALL_RUN | dict(n_epochs=1, savename='models/m.h5')


def as_early_versions_saved(model):
    state, config = models.load(model)
    models.save(
        model, state, {key: value for key, value in config.items() if key not in ('content_digest', 'network_source')}
    )


def test_every_argument_is_said_to_decide_the_result_or_not():
    import inspect

    every = [*schema.names(decides='result'), *schema.names(decides='length'), *schema.names(decides='nothing')]
    assert sorted(every) == sorted(inspect.signature(launch.test).parameters)
    assert set(schema.names(saved=False)) <= set(schema.names(decides='nothing'))


# -------------------------------------------------------------------------------------- the data set

OTHERS = {
    'set 1': {'sets': (1,)},
    'more held out': {'validation': 40},
    'another seed': {'seed': 1},
    'other views': {'sets': (loaders.Recipe('set 2', ('identity', 'rotate45'), number=2),)},
}


def made(originals, folder, sets=(2,), **options):
    return loaders.build(originals, sets=sets, out=folder, info=lambda *line: None, **{'validation': 30, **options})[0]


@pytest.mark.parametrize('other', OTHERS)
def test_another_set_of_the_same_source_is_not_gone_on_with(tiny_set, tiny_originals, other):
    launch.test(**SMALL, dataset=tiny_set)
    before, path = Path('models/m.h5').read_bytes(), made(tiny_originals, 'other', **OTHERS[other])
    with pytest.raises(
        ValueError, match="'models/m.h5' was trained on another data set than 'other/.*give the model's data set"
    ):
        launch.test(resume='models/m.h5', dataset=path, n_epochs=2, verbose=0)
    assert Path('models/m.h5').read_bytes() == before and len(list(Path('models/m').iterdir())) == 1


@pytest.mark.parametrize(
    'other, message', [('set 1', 'set 1, not set 2'), ('more held out', 'number of training images')]
)
def test_of_models_of_early_versions_what_they_know_of_their_set_is_compared(tiny_set, tiny_originals, other, message):
    launch.test(**SMALL, dataset=tiny_set)
    as_early_versions_saved('models/m.h5')
    with pytest.raises(ValueError, match=message):
        launch.test(resume='models/m.h5', dataset=made(tiny_originals, 'other', **OTHERS[other]), verbose=0)
    launch.test(resume='models/m.h5', n_epochs=2, verbose=0)
    assert models.load('models/m.h5')[1]['content_digest']


def test_the_same_set_may_lie_elsewhere(tiny_set, tiny_originals):
    launch.test(**SMALL, dataset=tiny_set)
    shutil.copyfile(tiny_set, 'moved.h5')
    again = launch.test(resume='models/m.h5', dataset='moved.h5', im_dim=[12, 12], n_epochs=2, verbose=0)
    assert again.config['options']['dataset'] == 'moved.h5'
    assert (
        launch.test(resume='models/m.h5', dataset=made(tiny_originals, 'remade'), verbose=0).test_error
        == again.test_error
    )


def copied(run, folder, **about):
    shutil.copytree(run, folder)
    saved = json.loads((folder / 'run.json').read_text())
    (folder / 'run.json').write_text(
        json.dumps({key: value for key, value in {**saved, **about}.items() if value is not None})
    )
    return folder


@pytest.mark.parametrize('about', [{'content_digest': 'another'}, {'content_digest': None, 'data_name': 'set 1'}])
def test_runs_on_other_sets_of_one_source_are_not_compared(tiny_runs, tmp_path, about):
    other = copied(tiny_runs[1], tmp_path / 'm/run-001', **about)
    with pytest.raises(comparison.ComparisonError, match='used different data sets'):
        comparison.compare([tiny_runs[0], other], info=lambda line: None)
    with pytest.raises(
        predictions.RunError, match='used different data sets with the same images, .*: use all members'
    ):
        ensembles.ensemble([tiny_runs[0], other], info=lambda line: None)
    assert len(ensembles.ensemble([tiny_runs[0], other], chosen=False, info=lambda line: None)[1]) == 2


def test_runs_on_copies_of_one_set_are_put_together(tiny_runs, tmp_path):
    other = copied(tiny_runs[1], tmp_path / 'm/run-001')
    config = (other / 'config.yaml').read_text()
    (other / 'config.yaml').write_text(config.replace('/set2.h5', '/moved.h5'))
    assert 'moved.h5' in (other / 'config.yaml').read_text()
    assert len(comparison.compare([tiny_runs[0], other], info=lambda line: None)) == 1
    early = [copied(tiny_runs[0], tmp_path / 'a/run-001', content_digest=None), other]
    assert len(comparison.compare(early, info=lambda line: None)) == 2


# --------------------------------------------------------------------------------------- the network

SCRIPT = '''"""A script."""
import mlp
from utils.layer import Layer, flatten
from mlp.layers import FullyConnected

SCALE, OTHER = 1., 2.


def scaled(x):
    return x * SCALE


class Unused:
    pass


class Mine(Layer):
    """A network."""

    def __init__(self, im_dim, n_classes, n_hidden=(8,), p_drop=0., *, rng):
        self.fc = FullyConnected(im_dim[0] * im_dim[1], n_classes, n_hidden, p_drop, rng=rng)

    def __call__(self, x, phase):
        return self.fc(scaled(flatten(x)), phase)


print('trains')
'''
HARMLESS = [
    ('    """A network."""\n', '    # as in the paper\n'),
    ('class Unused:\n    pass', 'class Unused:\n    x = 1'),
    ('return x * SCALE', 'return (x\n            * SCALE)'),
    ('import mlp\n', 'import os\n'),
    ('"""A script."""', '"""Another."""'),
    ("print('trains')", 'print(1)'),
    ('n_hidden=(8,)', 'n_hidden=(9,)'),
]
EDITS = [
    ('SCALE, OTHER = 1., 2.', 'SCALE, OTHER = 3., 2.', 'SCALE'),
    ('return x * SCALE', 'return x / SCALE', 'return x / SCALE'),
    ('self.fc(scaled(flatten(x)), phase)', 'self.fc(flatten(x), phase)', r'self.fc\(flatten\(x\), phase\)'),
    ('from mlp.layers import FullyConnected', 'from mine import FullyConnected', 'from mine import'),
    ('p_drop=0.', 'p_drop=.5', 'p_drop=0.5'),
]
GIVEN = {'n_hidden': [8], 'p_drop': None}


@pytest.fixture
def script():
    def write(*changes):
        text = SCRIPT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        Path('mine.py').write_text(text)
        return named('mine.py:Mine', {}, 'network', 'Class')

    return write


def test_the_source_of_a_network_is_what_it_uses(script):
    source = resuming.network_source(script(), GIVEN, False)
    for change in HARMLESS:
        assert resuming.source_in(SCRIPT.replace(*change), 'Mine', GIVEN, False) == source
    for old, new, _ in EDITS:
        assert resuming.source_in(SCRIPT.replace(old, new), 'Mine', GIVEN, False) != source
    assert resuming.network_source(functools.partial(script(), n_hidden=[3]), GIVEN, False) == source
    assert 'FullyConnected' not in resuming.network_source(cnn.A, {}, True).partition('class A')[0]
    assert resuming.network_source(type('Made', (), {}), {}, False) is None


@pytest.mark.parametrize('old, new, shown', EDITS[:3])
def test_an_edited_network_is_not_gone_on_with_unless_it_is_accepted(tiny_set, script, capsys, old, new, shown):
    options = {**SMALL, 'network': script(), 'dataset': tiny_set}
    launch.test(**options)
    before = Path('models/m.h5').read_bytes()
    launch.test(resume='models/m.h5', network=script(HARMLESS[0]), savename='same.h5', verbose=0)
    edited = script((old, new))
    with pytest.raises(
        ValueError, match=rf"(?s)network Mine has changed since 'models/m.h5' was trained:.*\n-.*\n\+.*{shown}"
    ):
        launch.test(resume='models/m.h5', network=edited, n_epochs=2, verbose=0)
    assert Path('models/m.h5').read_bytes() == before and len(list(Path('models/m').iterdir())) == 1
    launch.test(resume='models/m.h5', network=edited, n_epochs=2, verbose=1, accept_changed_network=True)
    assert 'has changed since' in capsys.readouterr().out
    launch.test(resume='models/m.h5', network=edited, n_epochs=3, verbose=0)  # the saved class is now the edited one
    assert 'accept_changed_network' not in models.load('models/m.h5')[1]['options']


def test_a_model_that_is_used_with_an_edited_network_warns(tiny_set, script, recwarn):
    launch.test(**{**SMALL, 'network': script(), 'dataset': tiny_set})
    image = np.zeros((1, 12, 12), np.uint8)
    launch.predict('models/m.h5', image, network=script(HARMLESS[0]))
    assert not [one for one in recwarn if 'has changed since' in str(one.message)]
    with pytest.warns(UserWarning, match='network Mine has changed since'):
        launch.predict('models/m.h5', image, network=script(EDITS[0][:2]))


def test_of_models_of_early_versions_the_source_is_in_the_run_folder(tiny_set, script):
    launch.test(**{**SMALL, 'network': script(), 'dataset': tiny_set})
    as_early_versions_saved('models/m.h5')
    with pytest.raises(ValueError, match='network Mine has changed since'):
        launch.test(resume='models/m.h5', network=script(EDITS[0][:2]), verbose=0)
    Path('models/m').rename('moved')
    launch.test(resume='models/m.h5', network=script(EDITS[0][:2]), verbose=0)


def test_an_edit_of_a_network_of_symfers_is_noticed_too(tiny_set):
    launch.test(**SMALL, dataset=tiny_set)
    state, config = models.load('models/m.h5')
    assert config['network_source'].startswith('class MLP')
    other = {**config, 'network_source': config['network_source'] + '    x = 1\n'}
    models.save('models/m.h5', state, other)
    with pytest.raises(ValueError, match='network MLP has changed since'):
        launch.test(resume='models/m.h5', n_epochs=2, verbose=0)
    assert (
        launch.main(['--resume', 'models/m.h5', '--n_epochs', '2', '--accept-changed-network', '--verbose', '0']) == 0
    )


def test_a_network_without_a_source_is_gone_on_with_and_that_is_said(tiny_set, script, capsys):
    launch.test(**{**SMALL, 'network': script(), 'dataset': tiny_set})
    Path('mine.py').unlink()
    launch.test(resume='models/m.h5', network=type('Mine', (named_again(),), {}), verbose=1)
    assert 'is not known' in capsys.readouterr().out


def named_again():
    Path('other.py').write_text(SCRIPT)
    return named('other.py:Mine', {}, 'network', 'Class')

"""The cross-data matrix: independently computed figures, classes by name, other sizes, and what cannot be tested."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import pattern_images
from small import SMALL

import launch
from loaders import Originals, build, load
from utils.files import models
from utils.studies.matrix import cross_evaluate


@pytest.fixture(scope='module')
def other_set(tmp_path_factory):
    """Path of a set of 24x24 images with classes in another order, without class b and with an additional class d."""
    images, labels = pattern_images(140, np.random.default_rng(21), side=24)
    names = {0: 'a', 1: 'd', 2: 'c'}
    classes = ('d', 'c', 'a')
    labels = np.array([classes.index(names[label]) for label in labels], np.uint8)
    usage = np.repeat([0, 2], [80, 60]).astype(np.uint8)
    source = Originals(images, labels, usage, np.arange(140, dtype=np.int32), classes)
    (path,) = build(source, (1,), tmp_path_factory.mktemp('other'), validation=10, info=lambda *line: None)
    return path


@pytest.fixture(scope='module')
def trained(tiny_set, other_set, tmp_path_factory):
    """Models of the two sets."""
    folder = tmp_path_factory.mktemp('trained')
    results = [
        launch.test(**{**SMALL, 'n_epochs': 3, 'dataset': data, 'savename': folder / f'{name}.h5'})
        for name, data in (('tiny', tiny_set), ('other', other_set))
    ]
    return [Path(result.savename) for result in results]


def logits_by_hand(model, images):
    """Compute the perceptron of a model file in NumPy, float64, with hidden units times the probability of keeping."""
    arrays = {name: np.asarray(value, float) for name, value in models.load(model)[0]['arrays'].items()}
    hidden, norm = (
        images.reshape(len(images), -1) / 255 @ arrays['parameters/fc.hidden0.W'],
        'parameters/fc.hidden0.norm.',
    )
    hidden = (hidden - arrays[f'{norm}mean']) / np.sqrt(arrays[f'{norm}var'] + 1e-5)
    hidden = 0.5 * np.maximum(hidden * arrays[f'{norm}gamma'] + arrays[f'{norm}beta'], 0)
    return hidden @ arrays['parameters/fc.softmax.W'] + arrays['parameters/fc.softmax.b']


def figures(truth, answer):
    """Error and mean recall in %."""
    return 100 * (truth != answer).mean(), 100 * np.mean([(answer[truth == c] == c).mean() for c in np.unique(truth)])


def test_the_figures_are_those_computed_by_hand(trained, tiny_set, other_set, tmp_path):
    said = []
    matrix, folder = launch.cross_evaluate(trained, [tiny_set, other_set], folder=tmp_path / 'm', info=said.append)
    with load(tiny_set) as tiny, load(other_set) as other:
        test, views, theirs = tiny.test, tiny.special_test, other.test
        # 12 pixels of 24 are means over 2x2, as INTER_AREA has them; of 12, 24: each pixel four times.
        halved = np.rint(theirs.images().reshape(-1, 12, 2, 12, 2).mean(axis=(2, 4)) + 1e-9)
        first, second = trained
        # the first model, classes a, b, c, on its own set: as they are, and the mean over both views
        plain = figures(test.y, logits_by_hand(first, test.images()).argmax(axis=1))
        summed = logits_by_hand(first, views.images()).reshape(60, 2, 3).sum(axis=1)
        cell = matrix['cells'][0][0]
        assert (cell['plain']['error'], cell['plain']['mean_recall']) == pytest.approx(plain)
        assert (cell['error'], cell['mean_recall']) == pytest.approx(figures(test.y, summed.argmax(axis=1)))
        assert cell['error'] == cell['special']['error'] and cell['images'] == 60 and not cell['left_out']
        # on the other set, where a and c are in common, in other places
        common = np.isin(theirs.y, (1, 2))
        truth = np.where(theirs.y[common] == 2, 0, 1)  # a, c
        answer = logits_by_hand(first, halved[common])[:, [0, 2]].argmax(axis=1)
        cell = matrix['cells'][0][1]
        assert (cell['error'], cell['mean_recall']) == pytest.approx(figures(truth, answer))
        expected = np.zeros((2, 2), int)
        np.add.at(expected, (truth, answer), 1)
        assert cell['plain']['confusion'] == expected.tolist() and 'special' not in cell
        assert cell['images'] == common.sum() and cell['left_out'] == {'d': int((theirs.y == 0).sum())}
        assert cell['classes'] == ['a', 'c'] and cell['resized'] and not cell['same_source']
        # the second model, classes d, c, a, on its own set
        own = figures(theirs.y, logits_by_hand(second, theirs.images()).argmax(axis=1))
        assert (matrix['cells'][1][1]['error'], matrix['cells'][1][1]['mean_recall']) == pytest.approx(own)
        # and on the first
        common = np.isin(test.y, (0, 2))
        enlarged = test.images()[common].repeat(2, axis=1).repeat(2, axis=2)
        answer = logits_by_hand(second, enlarged)[:, [1, 2]].argmax(axis=1)
        own = figures(np.where(test.y[common] == 2, 0, 1), answer)
        assert (
            matrix['cells'][1][0]['plain']['error'],
            matrix['cells'][1][0]['plain']['mean_recall'],
        ) == pytest.approx(own)
    assert matrix['cells'][1][0]['classes'] == ['c', 'a'] and matrix['cells'][1][0]['left_out'] == {'b': 20}
    same = [[cell['same_source'] for cell in row] for row in matrix['cells']]
    assert same == [[True, False], [False, True]]
    for row, place, mean in zip(matrix['cells'], (1, 0), matrix['mean_of_others']):
        assert mean == {key: row[place][key] for key in ('error', 'mean_recall')}
    text = '\n'.join(said)
    assert 'images of 24x24 resized to 12x12' in text and 'images of 12x12 resized to 24x24' in text
    assert f"images of classes that '{first}' does not know are left out: 20 of d" in text
    assert f"has no b: '{first}' does not predict these classes there" in text


def test_its_files_hold_it(trained, tiny_set, other_set, tmp_path):
    matrix, folder = launch.cross_evaluate(
        trained, [other_set, tiny_set], folder=tmp_path / 'm', info=lambda line: None
    )
    assert json.loads((folder / 'matrix.json').read_text()) == json.loads(json.dumps(matrix))
    for key in ('error', 'mean_recall'):
        rows = list(csv.reader((folder / f'{key}.csv').read_text().splitlines()))
        assert rows[0] == ['model', 'set1', 'set2', 'mean of others']
        for row, cells, mean, name in zip(rows[1:], matrix['cells'], matrix['mean_of_others'], ('tiny', 'other')):
            assert row[0] == name and [float(v) for v in row[1:]] == [*(cell[key] for cell in cells), mean[key]]
        assert (folder / f'{key}.png').stat().st_size > 3000
    rows = list(csv.DictReader((folder / 'cells.csv').read_text().splitlines()))
    assert len(rows) == 4 and [row['left_out'] for row in rows] == ['20', '0', '0', '20']
    assert float(rows[1]['special_error']) == matrix['cells'][0][1]['special']['error']
    assert rows[0]['special_error'] == '' and rows[0]['plain_error'] != ''


def test_a_cell_is_what_evaluate_gives(trained, tiny_set, tmp_path):
    scores, _ = launch.evaluate(trained[0], tiny_set, folder=tmp_path / 'e', report=False, info=lambda line: None)
    matrix, folder = launch.cross_evaluate(
        [trained[0].with_suffix('') / 'run-001'], [tiny_set], report=False, info=lambda line: None
    )
    assert folder == trained[0].with_suffix('') / 'run-001' / 'matrix-001' and not list(folder.glob('*.png'))
    for kind in ('plain', 'special'):
        cell, whole = matrix['cells'][0][0][kind], scores[kind]['whole']
        assert cell['confusion'] == whole['confusion'] and cell['interval'] == whole['interval']
        assert cell['cross_entropy'] == pytest.approx(whole['cross_entropy'], rel=1e-5)
    assert matrix['mean_of_others'] == [{'error': None, 'mean_recall': None}]
    plain, _ = launch.cross_evaluate(
        trained[:1], [tiny_set], folder=tmp_path / 'p', special_test=False, report=False, info=lambda line: None
    )
    assert 'special' not in plain['cells'][0][0] and plain['cells'][0][0]['error'] == scores['plain']['whole']['error']


def test_the_command_tells_models_and_sets_apart(trained, tiny_set, other_set, capsys):
    files = [str(path) for path in (trained[0], tiny_set, trained[1], other_set)]
    assert launch.main(['evaluate', *files, '--no-report', '--folder', 'all']) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ['error,', '%', 'set2', 'set1', 'mean', 'of', 'others'] in lines
    assert ['mean', 'recall,', '%', 'set2', 'set1', 'mean', 'of', 'others'] in lines
    errors = next(line for line in lines if line[:1] == ['tiny'])
    assert errors[1].endswith('*') and not errors[2].endswith('*') and errors[2] == errors[3]
    assert launch.main(['evaluate', *files[:2], '--no-report', '--folder', 'one']) == 0  # one and one: as ever
    assert Path('one/evaluation.json').is_file() and not Path('one/matrix.json').exists()
    assert 'test error, whole' in capsys.readouterr().out


def test_what_makes_no_matrix_gets_one_line(trained, tiny_set, other_set, tmp_path, capsys):
    images, labels = pattern_images(60, np.random.default_rng(2))
    usage = np.repeat([0, 2], 30).astype(np.uint8)
    source = Originals(images, labels, usage, np.arange(60, dtype=np.int32), ('a', 'x', 'y'))
    (strange,) = build(source, (1,), tmp_path / 'strange', info=lambda *line: None)
    Path('text.h5').write_text('no set')
    model = str(trained[0])
    for words, message in (
        ([model, str(trained[1]), str(trained[0])], 'needs at least a model and a set, got 3 models and 0 sets'),
        ([str(tiny_set), str(other_set), model], 'cannot be loaded: it is an HDF5 file, but not a symfer model'),
        ([model, str(tiny_set), 'absent.h5'], 'absent.h5: no such file'),
        ([model, str(tiny_set), 'text.h5'], 'dataset must be an HDF5 set: text.h5: not an HDF5 file'),
        (['absent.h5', str(tiny_set), str(other_set)], "there is no model file 'absent.h5'"),
        ([model, str(tiny_set), str(strange)], 'has a, x, y: a test needs two in common'),
    ):
        assert launch.main(['evaluate', *words, '--folder', 'out']) == 2
        error = capsys.readouterr().err
        assert error.startswith('error: ') and error.count('\n') == 1
        assert message in error
    with pytest.raises(ValueError, match='batch_size must be a whole number >= 1, got 0'):
        launch.cross_evaluate([model], [tiny_set], batch_size=0)
    assert not Path('out').exists()


def test_a_network_of_ones_own_goes_with_symfers(trained, tiny_set, tmp_path):
    script = tmp_path / 'own.py'
    script.write_text(
        'import mlp\n\n\nclass Mine(mlp.MLP):\n    def __init__(self, im_dim, n_classes, *, rng):\n'
        '        super().__init__(im_dim, n_classes, (6,), rng=rng)\n'
    )
    own = f'{script}:Mine'
    options = {key: value for key, value in SMALL.items() if key not in ('network', 'n_hidden')}
    launch.test(**options, dataset=tiny_set, network=own, savename='mine.h5')
    with pytest.raises(ValueError, match='pass it as network='):
        cross_evaluate(launch.CONTEXT, ['mine.h5', trained[0]], [tiny_set], info=lambda line: None)
    matrix, _ = launch.cross_evaluate(['mine.h5', trained[0]], [tiny_set], network=own, info=lambda line: None)
    alone, _ = launch.cross_evaluate([trained[0]], [tiny_set], folder='alone', info=lambda line: None)
    assert matrix['cells'][1] == alone['cells'][0] and matrix['cells'][0] != matrix['cells'][1]

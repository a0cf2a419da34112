"""Figures and the HTML report of a run and of an evaluation; the command `evaluate`."""

import csv
import re
import types
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

import cnn
import launch
import loaders
from utils.results import predictions, report
from utils.results.plots import Subject, answers, histograms, network

FIGURES = (
    'curves',
    'confusion',
    'mistakes',
    'calibration',
    'filters',
    'features',
    'saliency',
    'weights',
    'activations',
)


@pytest.fixture(scope='module')
def run(tiny_set, tmp_path_factory):
    """A small convolutional network, trained, with its report."""
    folder = tmp_path_factory.mktemp('run')
    return launch.test(
        network=cnn.LeNet5,
        n_hidden=[8],
        batch_size=50,
        n_epochs=2,
        anneal_epochs=1,
        verbose=0,
        learning_rate=0.002,
        dataset=_padded(tiny_set, folder),
        savename=folder / 'm.h5',
        name='<b>&',
    )


def _padded(tiny_set, folder):
    """The tiny set at 16x16 pixels: LeNet-5 needs them."""
    with loaders.load(tiny_set) as data:
        parts = [(data.training, data.training.view == 0), (data.test, slice(None))]
        x = np.concatenate([np.pad(s.images()[rows], ((0, 0), (2, 2), (2, 2))) for s, rows in parts])
        y, usage, source = (
            np.concatenate([getattr(s, c)[rows] for s, rows in parts]) for c in ('y', 'usage', 'source')
        )
        (path,) = loaders.build(
            loaders.Originals(x, y, usage, source, data.classes),
            sets=(2,),
            out=folder,
            validation=30,
            info=lambda *line: None,
        )
    return path


class Page(HTMLParser):
    """The links and the text of an HTML file."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.text = [], [], ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ('src', 'href')]

    def handle_data(self, data):
        self.text += data


def test_every_figure_is_drawn_and_the_report_holds_them_all(run):
    for name in FIGURES:
        assert imread(run.folder / 'figures' / f'{name}.png').std() > 0
    page = Page((run.folder / 'report.html').read_text())
    assert page.tags.count('img') == len(FIGURES)
    assert all(link.startswith('data:image/png;base64,') for link in page.links)  # it works offline
    assert '<b>&' in page.text and 'b' not in page.tags
    assert f'{run.special_test_error:.2f}' in page.text and 'learning_rate: 0.002' in page.text
    assert (
        'no figure of what excites the feature maps: the projection is only defined for rectifiers' in page.text
    )  # LeNet-5 has tanh
    assert 'fingerprint' in page.text and 'entropy point: epoch' in page.text


@pytest.mark.parametrize(
    'rule, caption',
    [
        ('entropy', 'the one with the smallest validation cross-entropy.'),
        ('error', 'the one with the smallest validation error.'),
    ],
)
def test_the_caption_of_the_curves_says_by_what_the_epoch_was_kept(run, rule, caption, tmp_path):
    report.write_report(tmp_path / 'r.html', 'title', run.evaluation, run.folder / 'figures', rule=rule)
    assert caption in Page((tmp_path / 'r.html').read_text()).text


def test_evaluate_gives_the_figures_of_the_run(run, tmp_path):
    said = []
    scores, folder = launch.evaluate(run.savename, run.config['options']['dataset'], report=False, info=said.append)
    assert folder == run.savename.with_suffix('') / 'evaluation-001'
    assert scores['special']['whole']['error'] == pytest.approx(run.special_test_error)
    assert scores['plain'].keys() == run.evaluation['plain'].keys()
    assert any('95 % interval' in line for line in said) and any('precision' in line for line in said)
    with open(folder / 'confusion.csv') as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == ['a', 'b', 'c']
    assert sum(int(n) for row in rows[1:] for n in row[1:]) == 60
    np.testing.assert_allclose(
        predictions.read_logits(folder)['special'], predictions.read_logits(run.folder)['special'], rtol=1e-4, atol=1e-5
    )
    again, second = launch.evaluate(run.folder, run.config['options']['dataset'], info=lambda line: None)
    assert again == scores and second == run.folder / 'evaluation-001' and (second / 'report.html').is_file()
    with pytest.raises(ValueError, match='is not empty: choose a new or empty folder'):
        launch.evaluate(run.folder, run.config['options']['dataset'], folder=second)


def test_what_cannot_be_evaluated_gets_one_line(run, tiny_set, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('empty').mkdir()
    for model, data, message in (
        ('absent.h5', tiny_set, "there is no model file 'absent.h5'"),
        ('empty', tiny_set, "'empty' is a folder without a model"),
        (
            run.savename,
            tiny_set,
            r'was trained on images of size \[16, 16\], but the images of .* have size \[12, 12\]',
        ),
        (run.savename, 'absent.h5', 'absent.h5: no such file'),
    ):
        assert launch.main(['evaluate', str(model), str(data)]) == 2
        error = capsys.readouterr().err
        assert re.search(message, error) and error.startswith('error: ') and error.count('\n') == 1
    assert (
        launch.main(
            ['evaluate', str(run.savename), str(run.config['options']['dataset']), '--no-report', '--folder', 'here']
        )
        == 0
    )
    assert 'special test error, whole' in capsys.readouterr().out and Path('here/predictions.csv').is_file()


def test_a_network_without_convolutions_or_mistakes_has_fewer_figures():
    assert network.feature_maps(np.zeros((4, 4)), {}) is None
    assert answers.worst_mistakes(None, np.arange(3), np.eye(3), 'abc') is None
    assert network.first_layer_filters(np.zeros((5, 2)), (4, 4)) is None
    assert network.first_layer_filters(np.ones((16, 70)), (4, 4)) is not None
    assert histograms.histograms([], 'weights', '') is None


def test_examples_are_right_answers_where_there_are_any():
    p = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.3, 0.7, 0], [0.8, 0.1, 0.1]])
    subset = types.SimpleNamespace(y=np.array([0, 0, 1, 2]))
    subject = Subject(None, (2, 2), subset, 'abc', {'plain': np.log(p + 1e-9)}, {'plain': {}})
    assert subject.examples.tolist() == [0, 2, 3]

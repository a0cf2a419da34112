"""The layers of a network, counted by hand; their drawing."""

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import launch
from cnn.layers import Conv, MaxPool, Residual
from mlp.layers import FullyConnected
from utils.cli.program import main
from utils.layer import Layer, parameter, parameters
from utils.results import structure_drawing
from utils.results.structure import structure
from utils.results.structure_drawing import as_dot, as_mermaid, write_drawing

IM_DIM, N_CLASSES = (12, 16), 3


class Small(Layer):
    """A convolution with two groups, a residual block, a parameter of the network, an auxiliary classifier."""

    def __init__(self, im_dim, n_classes, filters=4, *, rng):
        self.conv = Conv(1, filters, size=5, pool=MaxPool(2), batch_norm=True, rng=rng)
        self.grouped = Conv(filters, 6, size=3, groups=2, rng=rng)
        self.block = Residual(6, 6, rng=rng)
        self.scale = parameter(np.ones(6))
        self.auxiliary = FullyConnected(6 * 6 * 8, n_classes, (), 0, rng=rng)
        self.fc = FullyConnected(6 * 6 * 8, n_classes, (5,), 0, rng=rng)

    def __call__(self, x, phase):  # (n, 12, 16, 1)
        x = self.block(self.grouped(self.conv(x, phase), phase), phase) * self.scale  # (n, 6, 8, 6)
        if phase.train:
            phase.add_logits(self.auxiliary(x, phase), 0.3)
        return self.fc(x, phase)


@pytest.fixture(scope='module')
def small():
    return structure(Small(IM_DIM, N_CLASSES, rng=np.random.default_rng(0)), IM_DIM)


def test_shapes_parameters_and_operations_are_those_counted_by_hand(small):
    found = {row.name: (row.shape, row.parameters, row.operations) for row in small.rows}
    assert found['conv'] == ((6, 8, 4), 5 * 5 * 4 + 2 * 4, 12 * 16 * 4 * 25)
    assert found['grouped'] == ((6, 8, 6), 3 * 3 * 2 * 6 + 6, 6 * 8 * 6 * 9 * 2)
    for name in ('block.conv1', 'block.conv2'):
        assert found[name][0] == (6, 8, 6) and found[name][2] == 6 * 8 * 6 * 9 * 6
    assert found['fc.hidden0'] == ((5,), 288 * 5 + 5, 288 * 5)
    assert found['fc.softmax'] == ((3,), 5 * 3 + 3, 5 * 3)
    assert found[''] == ((), 6, 0)
    assert found['auxiliary'] == ((), 288 * 3 + 3, 0)
    assert small.operations == sum(row.operations for row in small.rows)
    assert small.statistics >= 8


def test_rows_add_up_to_all_trained_parameters(small):
    network = Small(IM_DIM, N_CLASSES, rng=np.random.default_rng(0))
    every = sum(p.get_value().size for p in parameters(network, trainable=True).values())
    assert small.parameters == sum(row.parameters for row in small.rows) == every


@pytest.mark.parametrize('name', ['A', 'C', 'D', 'LeNet5', 'Sprint', 'MLP'])
def test_networks_of_symfer_add_up(name):
    found = launch.summary(name)
    assert found.parameters == sum(row.parameters for row in found.rows)
    assert found.operations == sum(row.operations for row in found.rows) > 0
    assert found.ends == (len(found.rows) - 1,)


def test_memory_counts_linear_outputs_places_of_maxima_and_what_layers_give(small):
    conv = small.rows[0]
    values, pooled, places = 12 * 16 * 4 * 4, 6 * 8 * 4 * 4, 0
    assert values + pooled + places <= conv.kept <= values + 2 * pooled
    assert small.kept == sum(row.kept for row in small.rows)


def test_arrows_of_a_residual_block_go_around_it(small):
    rows = {row.name: k for k, row in enumerate(small.rows)}
    inputs = {row.name: row.inputs for row in small.rows}
    assert inputs['conv'] == (-1,) and inputs['grouped'] == (rows['conv'],)
    assert inputs['block.conv2'] == (rows['block.conv1'],)
    assert set(inputs['fc.hidden0']) == {rows['grouped'], rows['block.conv2']}


def test_a_layer_that_is_applied_twice_has_its_parameters_once():
    class Twice(Small):
        def __call__(self, x, phase):
            x = self.grouped(self.conv(x, phase), phase)
            return self.fc(self.block(self.block(x, phase), phase), phase)

    found = structure(Twice(IM_DIM, N_CLASSES, rng=np.random.default_rng(0)), IM_DIM)
    again = [row for row in found.rows if row.name == 'block.conv1']
    assert len(again) == 2 and again[0].parameters > again[1].parameters == 0
    assert again[0].operations == again[1].operations
    assert found.parameters == sum(row.parameters for row in found.rows)


def test_the_table_has_a_line_for_each_layer(small):
    lines = str(small).splitlines()
    assert lines[0] == 'network Small' and '12x16x1' in lines[2]
    assert [line.split()[0] for line in lines[3:9]] == [
        'conv', 'grouped', 'block.conv1', 'block.conv2', 'fc.hidden0', 'fc.softmax'
    ]  # fmt: skip


def test_drawings_have_a_node_for_each_layer_and_an_arrow_for_each_input(small, tmp_path):
    arrows = sum(len(row.inputs) for row in small.rows) + len(small.ends)
    assert as_dot(small).count(' -> ') == as_mermaid(small).count(' --> ') == arrows
    assert write_drawing(small, tmp_path / 'a.mmd').read_text().startswith('flowchart TD\n  image["images<br>12x16x1"]')
    assert 'block.conv1\\nConv\\n6x8x6' in write_drawing(small, tmp_path / 'a.dot').read_text()


@pytest.mark.skipif(shutil.which('dot') is None, reason='Graphviz is not installed')
def test_graphviz_draws_all_layers(small, tmp_path):
    texts = ''.join(ElementTree.parse(write_drawing(small, tmp_path / 'a.svg')).getroot().itertext())
    assert all(row.name in texts for row in small.rows if row.shape)


def test_without_graphviz_a_picture_is_refused_before_anything_else(monkeypatch):
    monkeypatch.setattr(structure_drawing.shutil, 'which', lambda program: None)
    with pytest.raises(ValueError, match="'a.svg' needs Graphviz.* apt-get install graphviz, or give a name .* .mmd"):
        launch.summary('A', drawing='a.svg')


def test_what_graphviz_says_of_a_failure_is_told(small, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, b'', b'out of ink\n')
    monkeypatch.setattr(structure_drawing.shutil, 'which', lambda program: '/usr/bin/dot')
    monkeypatch.setattr(structure_drawing.subprocess, 'run', lambda *args, **kwargs: failed)
    with pytest.raises(ValueError, match='could not draw .*: out of ink'):
        write_drawing(small, tmp_path / 'a.svg')
    assert not (tmp_path / 'a.svg').exists()


def test_a_network_that_is_made_and_a_class_of_a_script(tmp_path):
    assert launch.summary(Small(IM_DIM, 3, rng=np.random.default_rng(0)), IM_DIM).name == 'Small'
    given = launch.summary(Small, IM_DIM, 3, network_args={'filters': 2})
    assert given.rows[0].shape == (6, 8, 2)


def test_the_model_that_ships_on_the_command_line(capsys):
    assert main(['summary', 'trained_models/fer2013_B.h5']) == 0
    text = capsys.readouterr().out
    assert text.startswith('network B\n') and '48x48x1' in text and '3,323,863 trained' in text


@pytest.mark.parametrize(
    'words, message',
    [
        (['Q'], 'network must be one of A, B, '),
        (['nowhere.h5'], "there is no model 'nowhere.h5'"),
        (['README.md'], "'README.md' is neither a model file nor a network"),
        (['A', '--size', '4x4'], 'images of 4x4 pixels are too small for network A'),
        (['A', '--size', 'large'], '--size must be HEIGHTxWIDTH'),
        (['A', '--drawing', 'a.gif'], 'drawing must end in .svg, .png, .pdf, .dot, .mmd'),
        (['trained_models/fer2013_B.h5', '--classes', '3'], 'which has its own n_classes: leave n_classes out'),
        (['A', '--network_args', '{"wide": 1}'], "network A does not take network_args 'wide'"),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(words, message, capsys):
    assert main(['summary', *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1 and message in error


def test_other_objects_are_refused():
    for wrong in (3, int, lambda im_dim, n_classes, rng: None):
        with pytest.raises(ValueError, match='network must be a class'):
            launch.summary(wrong)

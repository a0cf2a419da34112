"""The drawings in docs/images show the code as it is."""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'docs' / 'extensions'))
import drawings  # noqa: E402

AGAIN = 'run python docs/extensions/drawings.py'


def titles(name, kind):
    """What Graphviz has drawn: the names of its nodes or edges."""
    space = '{http://www.w3.org/2000/svg}'
    groups = ElementTree.parse(drawings.IMAGES / name).getroot().iter(f'{space}g')
    return {group.find(f'{space}title').text for group in groups if group.get('class') == kind}


def test_the_architecture_is_that_of_the_code():
    edges = drawings.reduced(drawings.imports())
    assert titles('architecture.svg', 'edge') == {f'{a}->{b}' for a, b in edges}, AGAIN
    assert titles('architecture.svg', 'node') == {place for edge in edges for place in edge}, AGAIN
    assert {'launch', 'cnn', 'mlp', 'loaders', 'utils/ops', 'utils/cli'} <= titles('architecture.svg', 'node')


def test_arrows_lead_down():
    edges = drawings.imports()
    assert not {(b, a) for a, b in edges} & edges
    assert not any(a == 'utils/ops' or a == 'loaders' for a, b in edges)


def test_reduced_edges_reach_what_all_edges_reach():
    def closure(edges):
        reach = set(edges)
        while more := {(a, d) for a, b in reach for c, d in edges if b == c} - reach:
            reach |= more
        return reach

    edges = drawings.imports()
    fewer = drawings.reduced(edges)
    assert len(fewer) < len(edges) and closure(fewer) == closure(edges)


def test_the_passes_are_those_of_the_code():
    from utils.backend import rewrites

    names = [name for name in re.findall(r'^(\w+) \[label', drawings.rewrites(), re.M)]
    order = rewrites.DATABASE.__position__
    own = [name for name in names if name in order]
    assert own == sorted(own, key=lambda name: order[name]) and set(own) == set(order)
    assert titles('rewrites.svg', 'node') == set(names), AGAIN


def test_the_drawing_of_a_network_is_that_of_its_summary():
    import launch

    rows = launch.summary('D').rows
    assert titles('network_D.svg', 'node') == {'image', 'logits', *(f'layer{k}' for k in range(len(rows)))}, AGAIN
    assert len(titles('network_D.svg', 'edge')) == sum(len(row.inputs) for row in rows) + 1, AGAIN


@pytest.mark.parametrize('run', ['A-set1/seed-0', 'B-online/shipped'])
def test_the_curves_are_of_runs_that_are_there(run):
    rows = drawings.history(run)
    assert {row['stage'] for row in rows} == {'train', 'retrain', 'anneal'}
    assert (drawings.IMAGES / f'curves_{run.partition("/")[0]}.png').exists()

"""Audit against a search of all pairs, contact sheets, and the command line."""

import csv
from itertools import combinations

import cv2
import numpy as np
import pytest
from loaders_data import fer2013_sized, originals, write_folders, write_table

from loaders import DataError, build, load
from loaders.__main__ import main
from loaders.audit.findings import audit, figures, near_pairs, report, write_list
from loaders.audit.show import sheet, show
from loaders.sets.transforms import mirror


def with_findings():
    """Make data with exact, near, mirrored and contradicting duplicates and constant images."""
    data = originals(np.full((3, 7), 10))
    rng = np.random.default_rng(3)
    test = np.flatnonzero(data.usage > 0)
    images = data.images
    images[test[:6]] = images[:6]  # exact
    images[test[6:12]] = np.clip(images[6:12] + rng.normal(0, 12, (6, 48, 48)), 0, 255)
    images[test[100:103]] = mirror(images[12:15], None)
    images[20:23] = images[23]  # a group of four
    images[[30, test[50]]] = 0  # constant
    return data


def slow_audit(data):
    """Audit every pair in double precision and return the findings that `figures` counts."""
    n = len(data)
    flat = data.images.reshape(n, -1).astype(float)
    equal, near = {}, {}
    for a, b in combinations(range(n), 2):
        if (flat[a] == flat[b]).all():
            equal[a, b] = True
        elif flat[a].std() and flat[b].std():
            near[a, b] = np.corrcoef(flat[a], flat[b])[0, 1]
    return equal, near


def test_audit_equals_a_search_of_all_pairs():
    data = with_findings()
    found = audit(data, near=0.9)
    equal, near = slow_audit(data)
    expected = {pair: r for pair, r in near.items() if r >= 0.9}
    assert {tuple(pair) for pair in found.pairs.tolist()} == set(expected)
    for pair, r in zip(found.pairs.tolist(), found.correlation):
        assert r == pytest.approx(expected[tuple(pair)], abs=1e-5)
    assert {(a, b) for a, b in combinations(range(len(data)), 2) if found.group[a] == found.group[b]} == set(equal)
    np.testing.assert_array_equal(np.flatnonzero(found.constant), [30, np.flatnonzero(data.usage > 0)[50]])
    f = figures(data, found)
    assert (f['surplus'], f['groups'], f['grouped']) == (6 + 3 + 1, 8, 18)
    assert sum(f['leaked']) == 7
    assert sum(f['near'][0.9]) == 13
    assert sum(f['mirrored'][0.98]) == 3


def test_contradicting_groups_are_counted():
    data = originals(np.full((3, 7), 3))
    happy, sad = (np.flatnonzero(data.labels == k) for k in (3, 4))
    data.images[happy[1]] = data.images[happy[0]]  # agree
    data.images[happy[2:4]] = data.images[sad[0]]  # contradict: 3 images
    f = figures(data, audit(data, near=None))
    assert (f['contradicting'], f['contradicting_images']) == (1, 3)


def test_near_duplicates_do_not_depend_on_the_blocks(monkeypatch):
    images = with_findings().images
    pairs, r = near_pairs(images, 0.9)
    monkeypatch.setattr('loaders.audit.findings.BLOCK', 17)
    other, s = near_pairs(images, 0.9)
    order, other_order = np.lexsort(pairs.T), np.lexsort(other.T)
    np.testing.assert_array_equal(pairs[order], other[other_order])
    np.testing.assert_allclose(r[order], s[other_order], atol=1e-6)


@pytest.mark.parametrize('near', [0, 1, -1, 2])
def test_correlation_out_of_range(near):
    with pytest.raises(DataError, match='a correlation must lie between 0 and 1'):
        audit(originals(), near)


def test_list_of_findings(tmp_path):
    data = with_findings()
    found = audit(data)
    write_list(tmp_path / 'duplicates.csv', data, found)
    rows = list(csv.DictReader(open(tmp_path / 'duplicates.csv')))
    kinds = [row['kind'] for row in rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == dict(
        exact=18, near=len(found.pairs), constant=2, mirrored=3
    )
    groups = {}
    for row in rows:
        if row['kind'] == 'exact':
            groups.setdefault(row['group'], []).append(int(row['source']))
    for group in groups.values():
        assert len(group) > 1 and (data.images[group] == data.images[group[0]]).all()
    with pytest.raises(DataError, match='cannot be written'):
        write_list(tmp_path, data, found)


def test_report_without_near_duplicates_is_short():
    data = with_findings()
    assert len(report(data, audit(data, None), None)) == 4


def test_sheet_places_every_image():
    images = np.arange(1, 8, dtype=np.uint8).repeat(30 * 20).reshape(7, 30, 20)
    picture = sheet(images, 3, 'a title', scale=2)
    for value in range(1, 8):
        rows, columns = np.nonzero(picture == value)
        assert np.ptp(rows) == 59 and np.ptp(columns) == 39 and len(rows) == 60 * 40


def test_show_writes_a_sheet_a_class_and_one_of_the_views(tmp_path):
    build(originals(), (3,), tmp_path, info=lambda line: None)
    with load(tmp_path / 'set3.h5') as data:
        paths = show(data, tmp_path / 'figures', image=int(data.training.source[0]))
        with pytest.raises(DataError, match='no training image has the number 99999'):
            show(data, tmp_path, image=99999)
    assert len(paths) == 8
    for path in paths:
        picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        assert picture.shape[0] > 88 and picture.std() > 10


def run(monkeypatch, capsys, *arguments):
    """Run a command and return its exit status, output and errors."""
    monkeypatch.setattr('sys.argv', ['loaders', *map(str, arguments)])
    try:
        status = main()
    except SystemExit as end:
        status = end.code
    return status, *capsys.readouterr()


def test_command_that_builds(tmp_path, monkeypatch, capsys):
    source = write_folders(tmp_path / 'fer', originals())
    status, out, _ = run(
        monkeypatch,
        capsys,
        source,
        '--sets',
        1,
        2,
        '-o',
        tmp_path,
        '--validation',
        '0.5',
        '--prefix',
        'my-',
        '--stratify',
        '--no-twins',
    )
    assert status == 0
    assert 'recognised: folder edition of FER2013' in out
    assert 'Training angry: 2, FER2013 has 3995' in out
    assert f'{tmp_path}/my-set2.h5: 48x48, training 28, test 28, validation 14' in out
    with load(tmp_path / 'my-set1.h5') as data:
        assert len(data.validation) == 7


def test_command_recognises_the_counts_of_fer2013(tmp_path, monkeypatch, capsys):
    source = write_table(tmp_path / 'fer2013.csv', fer2013_sized((4, 4)))
    status, out, _ = run(monkeypatch, capsys, source, '--sets', 1, '--size', '4x4', '-o', tmp_path)
    assert status == 0 and "these are FER2013's counts" in out
    assert 'PrivateTest      3589      491       55      528      879      594' in out


def test_command_that_audits(tmp_path, monkeypatch, capsys):
    source = write_table(tmp_path / 'fer2013.csv', with_findings())
    status, out, _ = run(monkeypatch, capsys, 'audit', source, '--list', tmp_path / 'list.csv')
    assert status == 0 and 'exact duplicates: 10 surplus copies, 8 groups of 18 images' in out
    assert 'near duplicates: ' in out and (tmp_path / 'list.csv').exists()
    status, _, err = run(monkeypatch, capsys, 'audit', source, '--exact', '--list', tmp_path / 'list.csv')
    assert status == 2 and 'list.csv: already exists' in err
    assert run(monkeypatch, capsys, 'audit', source, '--exact', '--list', tmp_path / 'list.csv', '--overwrite')[0] == 0
    status, out, _ = run(monkeypatch, capsys, 'audit', source, '--exact')
    assert status == 0 and 'near duplicates: ' not in out


def test_command_that_shows(tmp_path, monkeypatch, capsys):
    build(originals(), (1,), tmp_path, info=lambda line: None)
    status, out, _ = run(monkeypatch, capsys, 'show', tmp_path / 'set1.h5', '-o', tmp_path)
    assert status == 0 and len(out.splitlines()) == 8
    status, _, err = run(monkeypatch, capsys, 'show', tmp_path / 'set1.h5', '-o', tmp_path)
    assert status == 2 and 'png: already exists' in err
    assert run(monkeypatch, capsys, 'show', tmp_path / 'set1.h5', '-o', tmp_path, '--overwrite')[0] == 0


@pytest.mark.parametrize(
    'arguments, message',
    [
        ((), 'SOURCE'),
        (('nowhere.csv',), 'nowhere.csv: No such file'),
        (('x', '--sets', '5'), '--sets'),
        (('x', '--size', '48'), '--size'),
        (('x', '--seed', '-1'), '--seed'),
        (('x', '--validation', 'some'), '--validation'),
        (('audit', 'nowhere.h5'), 'nowhere.h5: No such file'),
        (('show',), 'SET'),
        (('show', 'nowhere.h5'), 'nowhere.h5: no such file'),
        (('x', '--bad'), '--bad'),
    ],
)
def test_every_error_of_the_command_line_is_one_line_and_status_2(monkeypatch, capsys, arguments, message):
    status, _, errors = run(monkeypatch, capsys, *arguments)
    assert status == 2
    assert errors.startswith('error: ') and errors.count('\n') == 1 and message in errors


def test_a_bad_row_on_the_command_line(tmp_path, monkeypatch, capsys):
    path = write_table(tmp_path / 'fer2013.csv', originals())
    lines = path.read_text().splitlines()
    lines[9] = '9' + lines[9][1:]
    path.write_text('\n'.join(lines))
    status, _, errors = run(monkeypatch, capsys, path, '-o', tmp_path)
    assert status == 2
    assert errors == f"error: {path}: line 10: expected a label from 0 to 6, found '9'\n"
    status, out, _ = run(monkeypatch, capsys, path, '-o', tmp_path, '--skip-bad')
    assert status == 0 and f'left out: {path}: line 10' in out


def test_a_class_that_a_spreadsheet_would_run_is_guarded_in_the_list(tmp_path):
    data = with_findings()
    data.classes = ('=cmd|calc', *data.classes[1:])
    write_list(tmp_path / 'list.csv', data, audit(data, None))
    with open(tmp_path / 'list.csv', newline='') as file:
        cells = {cell for row in csv.reader(file) for cell in row}
    assert "'=cmd|calc" in cells and '=cmd|calc' not in cells

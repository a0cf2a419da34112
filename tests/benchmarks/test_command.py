"""`python -m benchmarks.classical`: rows are kept, bad input gets one line."""

import json

import pytest

from benchmarks import classical
from benchmarks.baselines import classifiers, protocol, table
from utils.files.extras import MissingExtra

ROWS = ('pixels+naive-bayes', 'pixels+linear-svm')


@pytest.fixture
def command(small_path, tmp_path, capsys):
    def run(*arguments, source=small_path):
        code = classical.main([str(source), '--out', str(tmp_path / 'rows.json'), *arguments])
        return code, *capsys.readouterr()

    return run


def test_a_stopped_run_goes_on_after_its_rows(command, tmp_path, monkeypatch):
    original, calls = protocol.run, []

    def stop_at_the_second(*args, **options):
        calls.append(args[1].name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(protocol, 'run', stop_at_the_second)
    code, _, err = command('--only', *ROWS)
    assert code == 130 and 'the same command continues' in err
    code, out, _ = command('--only', *ROWS)
    assert code == 0 and calls == ['naive-bayes', 'linear-svm', 'linear-svm']
    assert '1/2 pixels+naive-bayes: already finished' in out and '2/2 pixels+linear-svm: test error' in out
    saved = json.loads((tmp_path / 'rows.json').read_text())
    assert [row['name'] for row in saved['rows']] == list(ROWS)
    assert saved['about']['set'] and saved['about']['versions']['scikit-learn']


def test_a_row_of_other_settings_is_made_anew(command, monkeypatch):
    command('--only', ROWS[0])
    changed = {**vars(classifiers.CLASSIFIERS['naive-bayes']), 'grid': {'first': (5,)}}
    monkeypatch.setitem(classifiers.CLASSIFIERS, 'naive-bayes', classifiers.Classifier(**changed))
    _, out, _ = command('--only', ROWS[0])
    assert 'with first=5' in out and out.count('| pixels |') == 1


def test_the_table_goes_between_the_marks_of_a_page(command, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('before\n<!-- classical -->\nold\n<!-- end of classical -->\nafter\n')
    command('--only', *ROWS, '--page', str(page))
    text = page.read_text()
    assert text.startswith('before\n') and text.endswith('\nafter\n') and 'old' not in text
    (missing,) = [line for line in text.splitlines() if line.startswith('Not yet run: ')]
    assert 'hog+rbf-svm' in missing and not any(row in missing for row in ROWS)
    rows = [line.split(' | ') for line in text.splitlines() if line.startswith('| pixels')]
    errors = [float(row[4].strip('*')) for row in rows]
    assert len(rows) == 2 and errors == sorted(errors) and all(len(row) == len(table.HEADER) for row in rows)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--only', 'hgo'], "expected names among boosted-trees, gabor, .*, got 'hgo'"),
        (['--images', '3', '--only', ROWS[0]], 'expected 30 to 150 images, got 3'),
        (['--jobs', '0', '--only', ROWS[0]], '--jobs must be at least 1, got 0'),
        (['--page', 'none.md', '--only', ROWS[0]], 'none.md'),
    ],
)
def test_bad_arguments_get_one_line(command, arguments, message):
    code, out, err = command(*arguments)
    assert code == 2 and err.startswith('error: ') and err.count('\n') == 1 and not out
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(err)


def test_rows_of_another_seed_are_not_mixed(command):
    command('--only', ROWS[0])
    code, _, err = command('--only', ROWS[0], '--seed', '1')
    assert code == 2 and 'holds rows with seed 0, these have 1: name another file with --out' in err


@pytest.mark.parametrize(
    'content', ['', '[]', '{"about": {}, "rows": [1]}', '{"about": 3, "rows": []}', '{"rows": [{}]}']
)
def test_another_file_is_not_written_over(command, tmp_path, content):
    (tmp_path / 'rows.json').write_text(content)
    code, _, err = command('--only', ROWS[0])
    assert code == 2 and 'is not a file of rows of this program' in err
    assert (tmp_path / 'rows.json').read_text() == content


def test_a_set_that_is_none_gets_one_line(command, tmp_path):
    code, _, err = command('--only', ROWS[0], source=tmp_path / 'none.h5')
    assert code == 2 and 'no such file' in err and err.count('\n') == 1


def test_a_page_without_marks_is_refused_before_anything_is_learned(command, tmp_path):
    (tmp_path / 'page.md').write_text('nothing')
    code, out, err = command('--only', ROWS[0], '--page', str(tmp_path / 'page.md'))
    assert code == 2 and not out and 'lacks the lines <!-- classical --> and <!-- end of classical -->' in err


def test_a_missing_library_names_the_extra_before_anything_is_learned(command, monkeypatch):
    def missing(module, extra, purpose):
        raise MissingExtra(f'{module}: [{extra}]')

    monkeypatch.setattr(classical, 'need', missing)
    code, out, err = command('--only', 'pixels+naive-bayes', 'hog+linear-svm')
    assert (code, out, err) == (2, '', 'error: skimage: [classical]\n')
    assert command('--only', 'pixels+naive-bayes')[0] == 0  # this one needs none


def test_landmarks_are_left_out_without_the_detector(command, monkeypatch):
    def missing():
        raise MissingExtra('the face detector is not installed')

    monkeypatch.setattr('benchmarks.baselines.features.detector', missing)
    code, out, _ = command('--only', 'landmarks+naive-bayes', ROWS[0])
    assert code == 0 and '1/2 landmarks+naive-bayes: left out: the face detector' in out and '2/2 pixels' in out


def test_the_list_names_every_row(capsys):
    assert classical.main(['--list']) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == list(protocol.pairs()) and 'hog+rbf-svm' in names

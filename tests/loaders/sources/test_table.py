"""Tables: every pixel read as int() reads it, every bad row reported with line and reason."""

import io

import numpy as np
import pytest
from loaders_data import originals, same, table_lines, write_table

from loaders import DataError, read
from loaders.sources.table import parse_pixels, read_table


def read_lines(lines, **options):
    return read_table(io.BytesIO('\n'.join(lines).encode()), 'some.csv', **options)


def test_parse_pixels_reads_every_grey_level():
    levels = list(range(256))
    fields = [' '.join(map(str, levels)).encode(), ' '.join(map(str, levels[::-1])).encode()]
    np.testing.assert_array_equal(parse_pixels(fields, 256), [levels, levels[::-1]])


@pytest.mark.parametrize(
    'field',
    [
        b'1 2',
        b'1 2 3 4',
        b'1 2 256',
        b'1 2 300',
        b'1 2 999',
        b'1 2 1000',
        b'1 2 -3',
        b'1 2 x',
        b'1 2 1x',
        b'1 2 x11',
        b'1  2 3',
        b' 1 2 3',
        b'1 2 3 ',
        b'1 2 3.',
        b'1\t2 3',
        b'',
        b'1 2 1:0',
        b'1 2 1/0',
        b'1 2 \xb2',
    ],
)
def test_parse_pixels_refuses_all_but_the_plain_form(field):
    assert parse_pixels([b'7 8 9', field], 3) is None
    assert parse_pixels([field, b'7 8 9'], 3) is None


def test_parse_pixels_sees_a_pixel_missing_here_and_one_too_many_there():
    assert parse_pixels([b'1 2', b'1 2 3 4'], 3) is None


def test_table_equals_what_was_written(tmp_path):
    data = originals(np.full((3, 7), 8))  # more than one batch
    assert same(read(write_table(tmp_path / 'fer2013.csv', data)), data)


@pytest.mark.parametrize('columns', [('emotion', ' Usage', ' pixels'), ('Usage', 'pixels', 'emotion')])
def test_columns_are_found_by_name_in_any_order_with_blanks(tmp_path, columns):
    data = originals()
    assert same(read(write_table(tmp_path / 'icml_face_data.csv', data, columns)), data)


@pytest.mark.parametrize(
    'change',
    [
        lambda text: text.replace('\n', '\r\n'),
        lambda text: text.rstrip('\n'),
        lambda text: text + '\n\n',
        lambda text: '\ufeff' + text,
        lambda text: text.replace(',', ' , '),
        lambda text: '\n'.join(','.join(f'"{field}"' for field in line.split(',')) for line in text.splitlines()),
        lambda text: text.replace(' ', '  ', 500),
        lambda text: text.replace('\n', '\n\n', 3),
    ],
    ids=[
        'CRLF',
        'no end of line',
        'blank lines at the end',
        'byte order mark',
        'blanks',
        'quotes',
        'double blanks',
        'blank lines',
    ],
)
def test_harmless_differences_of_form(tmp_path, change):
    data = originals()
    path = tmp_path / 'fer2013.csv'
    path.write_text(change('\n'.join(table_lines(data)) + '\n'), newline='')
    assert same(read(path), data)


def broken(line, field, value):
    """Replace a field of a line by a value, or by the result of a function of it."""
    fields = line.split(',')
    fields[field] = value(fields[field]) if callable(value) else value
    return ','.join(fields)


def with_pixel(value):
    return lambda pixels: ' '.join([*pixels.split()[:7], value, *pixels.split()[8:]])


BAD_ROWS = [
    (1, lambda p: p.rsplit(' ', 1)[0], r'expected 2304 pixels \(48x48\), found 2303'),
    (1, lambda p: p + ' 5', r'expected 2304 pixels \(48x48\), found 2305'),
    (1, '', r'expected 2304 pixels \(48x48\), found 0'),
    (1, with_pixel('256'), "expected pixels from 0 to 255, found '256' as pixel 7"),
    (1, with_pixel('-1'), "expected pixels from 0 to 255, found '-1' as pixel 7"),
    (1, with_pixel('nan'), "expected pixels from 0 to 255, found 'nan' as pixel 7"),
    (1, with_pixel('12.5'), "expected pixels from 0 to 255, found '12.5' as pixel 7"),
    (0, '7', "expected a label from 0 to 6, found '7'"),
    (0, '-1', "expected a label from 0 to 6, found '-1'"),
    (0, 'happy', "expected a label from 0 to 6, found 'happy'"),
    (2, 'Testing', "expected Training, PublicTest or PrivateTest, found 'Testing'"),
    (2, 'Training,8', 'expected 3 fields, found 4'),
]


@pytest.mark.parametrize('field, value, message', BAD_ROWS)
@pytest.mark.parametrize('row', [0, 20, 41])
def test_bad_row_is_named(tmp_path, field, value, message, row):
    lines = table_lines(originals())
    lines[row + 1] = broken(lines[row + 1], field, value)
    path = tmp_path / 'fer2013.csv'
    path.write_text('\n'.join(lines))
    with pytest.raises(DataError, match=f'^{path}: line {row + 2}: {message}$'):
        read(path)


def test_bad_row_in_a_later_block_is_named():
    lines = table_lines(originals(np.full((3, 7), 40)))  # 7 MB, two blocks
    lines[800] = broken(lines[800], 0, '9')
    with pytest.raises(DataError, match='^some.csv: line 801: expected a label'):
        read_lines(lines)


def test_skip_bad_leaves_rows_out_lists_them_and_keeps_the_numbers_of_the_others(tmp_path):
    data = originals()
    lines = table_lines(data)
    for row, (field, value, _) in ((3, BAD_ROWS[0]), (17, BAD_ROWS[7])):
        lines[row + 1] = broken(lines[row + 1], field, value)
    path = tmp_path / 'fer2013.csv'
    path.write_text('\n'.join(lines))
    found = read(path, skip_bad=True)
    good = np.delete(np.arange(len(data)), [3, 17])
    np.testing.assert_array_equal(found.ids, good)
    np.testing.assert_array_equal(found.images, data.images[good])
    np.testing.assert_array_equal(found.labels, data.labels[good])
    assert [note.split(': ')[2] for note in found.notes] == ['line 5', 'line 19']


def test_a_row_cut_off_at_the_end_of_the_file(tmp_path):
    path = write_table(tmp_path / 'fer2013.csv', originals())
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DataError, match=r'line 43: expected'):
        read(path)


@pytest.mark.parametrize(
    'text, message',
    [
        (
            '0,1 2 3,Training\n',
            "line 1: expected column names with emotion, pixels and Usage, found '0,1 2 3,Training'",
        ),
        ('emotion,pixels,Usage\n', 'no images below the column names'),
        ('', 'empty file'),
        ('pixels\n1 2 3\n', 'no column emotion: images without labels can neither train nor test'),
    ],
)
def test_tables_that_are_none(tmp_path, text, message):
    path = tmp_path / 'fer2013.csv'
    path.write_text(text)
    with pytest.raises(DataError, match=f'{path}: {message}'):
        read(path)


def test_a_line_without_end_is_not_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr('loaders.sources.table.BLOCK', 1 << 10)
    path = tmp_path / 'fer2013.csv'
    path.write_bytes(b'emotion,pixels,Usage\n' + b'0' * 100_000)
    with pytest.raises(DataError, match='a line of more than 16384 bytes'):
        read(path)


def test_other_classes_and_another_size(tmp_path):
    data = originals(np.full((3, 2), 3), size=(5, 6))
    path = write_table(tmp_path / 'own.csv', data)
    found = read(path, size=(5, 6), classes=('calm', 'tense'))
    assert found.classes == ('calm', 'tense')
    np.testing.assert_array_equal(found.images, data.images)


def test_an_empty_class(tmp_path):
    counts = np.full((3, 7), 2)
    counts[0, 1] = 0
    path = write_table(tmp_path / 'fer2013.csv', originals(counts))
    with pytest.raises(DataError, match='class disgust has no training image'):
        read(path)

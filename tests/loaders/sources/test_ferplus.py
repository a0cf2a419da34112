"""FER+: votes joined to the table."""

import numpy as np
import pytest
from loaders_data import originals, write_folders, write_table

from loaders import DataError, read

HEADER = 'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF'


FERPLUS_COLUMN = (4, 5, 6, 1, 3, 2, 0)  # of each FER2013 class


def write_votes(path, data, change=None):
    """Write FER+ votes that mostly agree with the labels; `change` replaces the votes of some rows."""
    rows = []
    for label, usage in zip(data.labels, data.usage):
        votes = [0] * 10
        votes[FERPLUS_COLUMN[label]] = 8
        votes[9] = 2
        rows.append([('Training', 'PublicTest', 'PrivateTest')[usage], '', *votes])
    for row, votes in (change or {}).items():
        rows[row][2:] = votes
    path.write_text('\n'.join([HEADER, *(','.join(map(str, row)) for row in rows)]) + '\n')
    return path


def test_ferplus_majority(tmp_path):
    data = originals(np.full((3, 7), 3))
    contempt, tie, no_face = np.flatnonzero((data.labels == 3) & (data.usage < 2))[:3]
    votes = write_votes(
        tmp_path / 'fer2013new.csv',
        data,
        {
            contempt: [1, 1, 0, 0, 0, 0, 0, 8, 0, 0],
            tie: [4, 4, 0, 1, 0, 0, 0, 0, 0, 1],
            no_face: [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
        },
    )
    found = read(write_table(tmp_path / 'fer2013.csv', data), votes=votes, contempt=True)
    assert found.classes[:4] == ('angry', 'disgust', 'fear', 'happy')
    assert found.classes[7] == 'contempt' and len(found) == len(data) - 1
    assert no_face not in found.ids
    label = dict(zip(found.ids.tolist(), found.labels.tolist()))
    assert label[int(contempt)] == 7 and label[int(tie)] == 3  # happiness before neutral
    others = set(range(len(data))) - {int(contempt), int(tie), int(no_face)}
    assert all(label[row] == data.labels[row] for row in others)
    assert any('1 ties' in note and '1 images without a class' in note for note in found.notes)
    assert found.votes.dtype == np.uint8 and found.votes.shape == (len(found), 8)
    row = dict(zip(found.ids.tolist(), found.votes.tolist()))
    assert row[int(contempt)] == [0, 0, 0, 1, 0, 0, 1, 8]  # FER2013's order and contempt
    assert row[int(tie)] == [0, 0, 0, 4, 1, 0, 4, 0]  # 1 for sadness; that for not a face is dropped

    seven = read(tmp_path / 'fer2013.csv', votes=votes)
    assert seven.classes == data.classes and len(seven) == len(data) - 2
    assert contempt not in seven.ids and '1 images of contempt left out' in seven.notes
    assert seven.votes.shape == (len(seven), 7)


def test_ferplus_votes_in_another_order_are_refused(tmp_path, data):
    source = write_table(tmp_path / 'fer2013.csv', data)
    votes = tmp_path / 'fer2013new.csv'
    other = originals()
    other.labels = (other.labels + 1) % 7
    with pytest.raises(DataError, match='not in the order of the challenge'):
        read(source, votes=write_votes(votes, other))
    other.usage = other.usage[::-1]
    with pytest.raises(DataError, match='its 42 rows of votes do not match the 42 images row by row'):
        read(source, votes=write_votes(votes, other))
    with pytest.raises(DataError, match="FER. votes belong to the rows of the challenge's table, not to: folder"):
        read(write_folders(tmp_path / 'fer', data), votes=write_votes(votes, data))
    votes.write_text('a,b\n1,2\n')
    with pytest.raises(DataError, match='line 1: not fer2013new.csv: no column NF, Usage'):
        read(source, votes=votes)


def test_ferplus_bad_row(tmp_path, data):
    source = write_table(tmp_path / 'fer2013.csv', data)
    votes = write_votes(tmp_path / 'fer2013new.csv', data, {4: ['x'] * 10})
    with pytest.raises(DataError, match="fer2013new.csv: line 6: .*'x'"):
        read(source, votes=votes)

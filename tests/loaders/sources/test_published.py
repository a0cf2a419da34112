"""Published data sets in all their layouts: classes, persons, splits, boxes, and what is left out."""

import numpy as np
import published_data as published
import pytest
from loaders_data import CLASSES
from sources_data import zip_folder

from loaders import DataError, read
from loaders.sources import importing

EIGHT = (*CLASSES, 'contempt')


def without(written, *names):
    """Remove some classes from what was written."""
    return {level: what for level, what in written.items() if what[0] not in names}


def note(originals, text):
    """Return the only note with this text."""
    (found,) = [line for line in originals.notes if text in line]
    return found


@pytest.mark.parametrize(
    'write, layout',
    (
        (published.rafdb, 'RAF-DB: list_patition_label.txt and aligned images'),
        (published.rafdb_folders, 'RAF-DB: train|test/<1 to 7>/<image>'),
        (published.sfew, 'SFEW: Train and Val of <class>/<image>'),
    ),
)
@pytest.mark.parametrize('packed', (False, True))
def test_sets_with_seven_classes_and_a_split(tmp_path, write, layout, packed):
    written = write(tmp_path / 'set')
    found = read(zip_folder(tmp_path / 'set.zip', tmp_path / 'set') if packed else tmp_path / 'set')
    published.check(found, written)
    assert found.layout == layout and found.classes == CLASSES and found.person is None and found.votes is None
    assert note(found, 'split') == "the source's own split: 14 training and 7 test images"
    np.testing.assert_array_equal(found.ids, np.arange(len(written)))


def test_raf_db_with_original_images(tmp_path):
    written = published.rafdb(tmp_path, aligned='')
    found = read(tmp_path)
    published.check(found, written)
    assert found.layout.endswith('original images')


@pytest.mark.parametrize('header', ((True, False), (True, True), (False, False)))
def test_affectnet_tables(tmp_path, header):
    written = published.affectnet_tables(tmp_path, header)
    found = read(tmp_path)
    published.check(found, without(written, 'contempt'))  # one level in each image: the boxes are cut out
    assert found.classes == CLASSES and found.layout == 'AffectNet: training.csv and validation.csv'
    left_out = note(found, 'left out because of their label')
    assert '3 of contempt (contempt=True or --contempt keeps them)' in left_out
    assert all(f'2 of {name}' in left_out for name in ('none', 'uncertain', 'no face'))
    eight = read(tmp_path, contempt=True, size=(20, 16))
    published.check(eight, written, (20, 16))
    assert eight.classes == EIGHT and 'contempt' not in note(eight, 'left out because of their label')


def test_affectnet_without_boxes_takes_the_whole_picture(tmp_path):
    written = published.affectnet_tables(tmp_path, boxes=False)
    found = read(tmp_path)
    published.check(found, without(written, 'contempt'))
    note(found, '24 images without a face box used whole')


def test_affectnet_of_2021(tmp_path):
    written = published.affectnet_files(tmp_path)
    found = read(tmp_path)
    published.check(found, without(written, 'contempt'))
    assert found.layout == 'AffectNet: train_set and val_set of 2021'
    published.check(read(tmp_path, contempt=True), written)


def test_ck_plus_sequences(tmp_path):
    written = published.ckplus(tmp_path)
    found = read(tmp_path)
    published.check(found, without(written, 'contempt'))
    assert found.classes == CLASSES and len(found.people) == 6
    note(found, 'the first image of each sequence is used as neutral')
    note(found, '6 sequences without an emotion left out')
    published.check(read(tmp_path, contempt=True), written)


def test_ck_plus_48_has_no_neutral_faces(tmp_path):
    written = published.ck48(tmp_path)
    found = read(tmp_path)
    published.check(found, without(written, 'contempt'))
    assert found.classes == CLASSES[:-1] and found.layout == 'CK+: <class>/<image>'
    note(found, 'no images of neutral')
    assert read(tmp_path, contempt=True).classes == (*CLASSES[:-1], 'contempt')


@pytest.mark.parametrize('compression', (1, 5))
def test_jaffe(tmp_path, compression):
    written = published.jaffe(tmp_path, compression=compression)
    (tmp_path / 'jaffe' / 'README').write_text('words')
    found = read(tmp_path)
    published.check(found, written)
    assert found.classes == CLASSES and found.people == ('KA', 'KL', 'KM', 'KR', 'MK')


def test_kdef_with_all_angles_or_the_straight_one(tmp_path):
    written, angles = published.kdef(tmp_path)
    published.write_picture(tmp_path / 'AKDEF' / 'AFANS.JPG', 200)
    found = read(tmp_path)
    published.check(found, written)
    assert found.people == ('F01', 'F02', 'M01')  # both series of a person are one person
    note(found, '1 averaged faces (AKDEF) left out')

    published.kdef(tmp_path / 'frontal', angles=('S',))
    every, _ = published.kdef(tmp_path / 'mixed', angles=('S', 'S', 'FL'))
    found = read(tmp_path / 'mixed', angles='frontal')
    note(found, 'images of turned faces left out')
    assert 0 < len(found) < len(every)
    assert len(read(tmp_path / 'frontal', angles='frontal')) == len(read(tmp_path / 'frontal')) == 42


def test_kdef_frontal_keeps_the_straight_ones(tmp_path):
    written, angles = published.kdef(tmp_path, angles=('S', 'S', 'FL'))
    found = read(tmp_path, angles='frontal')
    published.check(found, {level: what for level, what in written.items() if angles[level] == 'S'})


def test_expw_faces_are_cut_out_of_their_pictures(tmp_path):
    written = published.expw(tmp_path)
    found = read(tmp_path)
    published.check(found, written)  # one level in each image
    assert found.classes == CLASSES
    note(found, '1 repeated lines left out')
    assert '14 of 70 images held out' in note(found, 'for testing')
    assert (found.usage > 0).sum() == 14 and (found.counts[2] == 2).all()


@pytest.mark.parametrize(
    'names, nested', ((('Train', 'Val'), True), (('Train_Aligned_Faces', 'Val_Aligned_Faces_new'), False))
)
def test_sfew_under_its_other_names(tmp_path, names, nested):
    written = published.sfew(tmp_path, names, nested)
    published.write_picture(tmp_path / 'Test' / 'Test_Aligned_Faces' / 'Airheads_000519240_00000077.png', 200)
    found = read(tmp_path)
    published.check(found, written)
    note(found, '1 test images, which have no labels, left out')


def test_ferplus_folders_keep_the_votes(tmp_path):
    written, votes = published.ferplus(tmp_path)
    for contempt in (False, True):
        found = read(tmp_path, contempt=contempt)
        expected = written if contempt else without(written, 'contempt')
        levels = found.images[:, 0, 0].tolist()
        assert found.votes.dtype == np.uint8 and found.classes == (EIGHT if contempt else CLASSES)
        for level, row in zip(levels, found.votes.tolist()):
            assert row == votes[level][: 7 + contempt]
        assert {k: v[0] for k, v in expected.items()} == {
            level: found.classes[label] for level, label in zip(levels, found.labels)
        }
        assert {k: v[1] for k, v in expected.items()} == dict(zip(levels, found.usage.tolist()))
        assert '3 of no face' in note(found, 'left out because of their label')


@pytest.mark.parametrize(
    'write, part', ((published.jaffe, 1 / 5), (published.ckplus, 1 / 6), (lambda f: published.kdef(f)[0], 1 / 3))
)
def test_nobody_is_in_two_parts(tmp_path, write, part):
    write(tmp_path)
    found = read(tmp_path)
    training, test = (set(found.person[rows].tolist()) for rows in (found.usage == 0, found.usage > 0))
    assert training and test and not training & test
    assert len(test) == round(part * len(found.people))
    assert f'all {(found.usage > 0).sum()} images of {len(test)} of {len(found.people)} people' in note(found, 'split')
    again, other = read(tmp_path), [read(tmp_path, seed=seed) for seed in range(1, 6)]
    np.testing.assert_array_equal(again.usage, found.usage)
    assert any((one.usage != found.usage).any() for one in other)
    two = read(tmp_path, test=0.45)
    assert (two.usage > 0).sum() > (found.usage > 0).sum() or len(found.people) == 3


def test_a_table_of_fer2013_goes_before_what_lies_beside_it(tmp_path, data):
    from loaders_data import same, write_table

    published.jaffe(tmp_path)
    write_table(tmp_path / 'fer2013.csv', data)
    assert same(read(tmp_path), data)


def test_every_importer_is_found_by_its_file():
    assert {'RAF-DB', 'AffectNet', 'CK+', 'JAFFE', 'KDEF', 'ExpW', 'SFEW', 'FER+'} == set(importing.IMPORTERS)
    assert importing.is_of_importer('CK+: sequences with labels') and not importing.is_of_importer('table fer2013.csv')


def test_a_new_importer_is_one_function(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, 'IMPORTERS', dict(importing.IMPORTERS))

    @importing.importer('My set', signs=lambda listing: listing.files('my_labels.txt'))
    def find(listing, options):
        lines = [line.split() for _, line in listing.lines(listing.one('my_labels.txt'))]
        images = listing.by_tail(1)
        return importing.Found(
            'a list', [importing.Entry(images[name], label, person=who) for name, label, who in lines]
        )

    written = {}
    for k in range(70):
        written[k + 10] = CLASSES[k % 7], None, f'person {k // 14}'
        published.write_picture(tmp_path / f'{k}.png', k + 10)
    lines = [f'{level - 10}.png {name} {who.replace(" ", "_")}' for level, (name, _, who) in written.items()]
    (tmp_path / 'my_labels.txt').write_text('\n'.join(lines).replace('_', '-') + '\n')
    found = read(tmp_path)
    published.check(found, {k: (name, None, who.replace(' ', '-')) for k, (name, _, who) in written.items()})
    assert found.layout == 'My set: a list' and (found.usage == 2).sum() == 14


class NoFiles:
    """An empty container."""

    name = 'nothing'

    def names(self):
        return []


def test_an_empty_folder_is_none_of_them(tmp_path):
    assert importing.recognised(importing.Listing(NoFiles())) is None
    with pytest.raises(DataError, match='expected fer2013.csv'):
        read(tmp_path)

"""The data of drawn faces: shape, counts, seeds, table."""

import csv
import os

import numpy as np
import pytest

from loaders.synthetic.sample import FREQUENCIES, draw_face, draw_faces, early_classes, write_csv


def test_images_labels_and_usage_have_the_stated_form(faces):
    images, labels, usage = faces
    assert images.shape == (1560, 48, 48) and images.dtype == np.uint8
    assert labels.shape == usage.shape == (1560,)
    assert labels.dtype == usage.dtype == np.uint8
    assert np.bincount(usage).tolist() == [1200, 60, 300]
    assert (np.diff(usage.astype(int)) >= 0).all()


def test_images_use_the_range_and_are_no_flat_fields(faces):
    images = faces[0]
    assert images.min() == 0 and images.max() == 255
    assert images.reshape(len(images), -1).std(1).min() > 4
    assert 60 < images.mean() < 190


def test_no_two_images_are_equal(faces):
    images = faces[0]
    assert len({image.tobytes() for image in images}) == len(images)


def test_classes_are_as_frequent_as_in_fer2013(faces):
    images, labels, usage = faces
    expected = np.array(FREQUENCIES) / sum(FREQUENCIES)
    counts = np.bincount(labels[usage == 0], minlength=7)
    # four standard errors, and the seven images that are planned
    bound = 4 * np.sqrt(expected * (1 - expected) * 1200) + 1
    assert (np.abs(counts - 1200 * expected) < bound).all()


@pytest.mark.parametrize('seed', [0, 1, 7])
def test_fifty_images_have_every_class(seed):
    for subset in range(3):
        assert sorted(early_classes(seed, subset).values()) == list(range(7))
        assert max(early_classes(seed, subset)) < 50
    _, labels, usage = draw_faces(50, 0, 50, seed=seed, wrong_labels=0.9)
    for subset in (0, 2):
        assert set(labels[usage == subset]) == set(range(7))


def test_same_seed_same_images_other_seed_others():
    first, second = draw_faces(5, 3, 2, seed=4), draw_faces(5, 3, 2, seed=4)
    for a, b in zip(first, second):
        assert np.array_equal(a, b)
    other = draw_faces(5, 3, 2, seed=5)[0]
    assert not (first[0] == other).all((1, 2)).any()


def test_a_longer_subset_begins_with_the_shorter_one():
    short_images, short_labels, short_usage = draw_faces(6, 2, 4, seed=1)
    images, labels, usage = draw_faces(60, 11, 9, seed=1)
    for subset, n in enumerate((6, 2, 4)):
        assert np.array_equal(images[usage == subset][:n], short_images[short_usage == subset])
        assert np.array_equal(labels[usage == subset][:n], short_labels[short_usage == subset])


def test_wrong_labels_are_as_many_as_asked_on_the_same_images(faces):
    images, labels, usage = faces
    n = 600
    true_images, true, _ = draw_faces(n, 0, 0, seed=3, wrong_labels=0)
    assert np.array_equal(true_images, images[:n])
    share = (labels[:n] != true).mean()
    assert abs(share - 0.08) < 4 * np.sqrt(0.08 * 0.92 / n)
    _, labels, _ = draw_faces(200, 0, 0, seed=3, wrong_labels=0.5)
    assert abs((labels != true[:200]).mean() - 0.5) < 0.15


def test_no_images_is_an_empty_set():
    images, labels, usage = draw_faces(0, 0, 0)
    assert images.shape == (0, 48, 48) and len(labels) == len(usage) == 0


def test_csv_is_the_layout_of_the_challenge(tmp_path):
    path = tmp_path / 'sample.csv'
    assert write_csv(path, 7, 3, 2, seed=2, wrong_labels=0.3) == path
    images, labels, _ = draw_faces(7, 3, 2, seed=2, wrong_labels=0.3)
    with open(path, newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['emotion', 'pixels', 'Usage']
    assert [row[2] for row in rows] == (['Training'] * 7 + ['PublicTest'] * 3 + ['PrivateTest'] * 2)
    assert [int(row[0]) for row in rows] == labels.tolist()
    for row, image in zip(rows, images):
        pixels = [int(word) for word in row[1].split(' ')]
        assert len(pixels) == 2304
        # row-major: pixel 48 r + c is row r, column c
        assert pixels[48 * 5 + 9] == image[5, 9]
        assert pixels == image.ravel().tolist()


def test_csv_is_the_same_to_the_byte_and_ends_alone(tmp_path):
    write_csv(tmp_path / 'a.csv', 4, 2, 1, seed=9)
    write_csv(str(tmp_path / 'b.csv'), 4, 2, 1, seed=9)
    first = (tmp_path / 'a.csv').read_bytes()
    assert first == (tmp_path / 'b.csv').read_bytes()
    assert b'\r' not in first and first.endswith(b'Test\n')
    assert sorted(os.listdir(tmp_path)) == ['a.csv', 'b.csv']


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / 'sample.csv'
    path.write_text('before')

    def fail(*_):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_csv(path, 2, 0, 0)
    assert os.listdir(tmp_path) == ['sample.csv']
    assert path.read_text() == 'before'


def test_path_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match='can be written, got .*where'):
        write_csv(tmp_path / 'nowhere' / 'sample.csv', 1, 0, 0)
    with pytest.raises(IsADirectoryError, match='must name a file, got'):
        write_csv(tmp_path, 1, 0, 0)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('emotion', [-1, 7, 2.5, 'happy', None])
def test_emotion_outside_the_seven_is_refused(emotion):
    with pytest.raises(ValueError, match='from 0 to 6, got'):
        draw_face(emotion, np.random.default_rng(0))


@pytest.mark.parametrize('size', [0, -48, 7, 47.5])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match='size must be'):
        draw_face(0, np.random.default_rng(0), size)


@pytest.mark.parametrize(
    'arguments, word', [((-1, 0, 0), 'n_training'), ((1, -2, 0), 'n_public'), ((1, 0, 1.5), 'n_private')]
)
def test_impossible_number_of_images_is_refused(arguments, word, tmp_path):
    with pytest.raises(ValueError, match=word + ' must be .*, got'):
        draw_faces(*arguments)
    with pytest.raises(ValueError, match=word):
        write_csv(tmp_path / 'x.csv', *arguments)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('value', [-0.1, 1, 1.5, float('nan')])
def test_impossible_share_of_wrong_labels_is_refused(value):
    with pytest.raises(ValueError, match='wrong_labels must lie in'):
        draw_faces(1, 0, 0, wrong_labels=value)

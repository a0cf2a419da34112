"""From sources to results: pictures, folders, videos, arrays, and errors."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small import small

import launch
from utils.recognition import session
from utils.recognition.classifier import Classifier
from utils.recognition.crops import crop
from utils.recognition.detection import Detection
from utils.recognition.images import PictureError
from utils.recognition.recognise import Recogniser
from utils.recognition.sources import Frame, SourceError, frames_of


def test_grace_hopper_is_a_neutral_face(yunet, hopper_file):
    (one,) = launch.recognise(str(hopper_file))
    (face,) = one.faces
    assert (one.width, one.height, one.frame) == (512, 600, None)
    assert face.answer == 'neutral' and sum(face.probabilities.values()) == pytest.approx(1)
    assert set(face.probabilities) == {'angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'}
    assert abs(face.left - 183) <= 3 and abs(face.height - 212) <= 5 and len(face.landmarks) == 5


def test_what_the_model_says_is_what_predict_says(shipped, rng):
    faces = rng.integers(0, 256, (5, 48, 48)).astype(np.uint8)
    model = shipped.model
    plain = Classifier(launch.CONTEXT, model, views='none')
    np.testing.assert_allclose(plain(faces), launch.predict(model, faces), atol=1e-6)
    raw = Classifier(launch.CONTEXT, model, views='none', raw=True)
    np.testing.assert_allclose(raw(faces), launch.predict(model, faces, raw=True), atol=1e-6)
    both = (plain.logits(faces) + plain.logits(faces[:, :, ::-1])) / 2 / shipped.temperature
    expected = np.exp(both) / np.exp(both).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shipped(faces), expected, atol=1e-6)
    assert abs(raw(faces) - plain(faces)).max() > 1e-3


def test_shifts_are_the_mean_over_five_frames_of_the_picture_and_their_mirror_images(shipped, rng):
    picture, face = rng.integers(0, 256, (200, 220, 3)).astype(np.uint8), Detection(60, 50, 90, 90)
    recogniser = Recogniser(Classifier(launch.CONTEXT, shipped.model, views='shifts'), lambda picture: [face] * 2)
    seen = recogniser(Frame('array', None, None, picture)).faces
    total = 0
    for right, down in ((0, 0), (0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        moved = Detection(60 + 90 * right, 50 + 90 * down, 90, 90)
        one = crop(picture, moved, (48, 48))[None]
        total = total + shipped.logits(one) + shipped.logits(one[:, :, ::-1])
    e = np.exp(total[0] / 10 / shipped.temperature)
    np.testing.assert_allclose([*seen[1].probabilities.values()], e / e.sum(), atol=1e-4)
    assert seen[0].probabilities == seen[1].probabilities


def test_one_batch_is_as_good_as_another(shipped, rng):
    faces = rng.integers(0, 256, (35, 48, 48)).astype(np.uint8)
    np.testing.assert_allclose(
        shipped(faces), np.concatenate([shipped(faces[k : k + 1]) for k in range(35)]), atol=1e-5
    )
    assert shipped(faces[:0]).shape == (0, 7)


def test_the_largest_face_comes_first_and_the_answer_may_be_unsure(bright):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[10:50, 20:60], picture[20:90, 100:170] = 200, 120

    def two(image):
        found = bright(image[:, :80]) + [
            type(one)(one.left + 80, one.top, one.width, one.height, one.score) for one in bright(image[:, 80:])
        ]
        return found

    (one,) = launch.recognise(picture, detector=two, min_probability=0.999)
    assert [face.width for face in one.faces] == [70, 40]
    assert {face.answer for face in one.faces} == {'unsure'} and one.file == 'array'


def test_a_model_of_other_sizes_and_classes(tiny_set, bright):
    small(tiny_set, savename='m.h5')
    picture = np.full((60, 50, 3), 120, np.uint8)
    (one,) = launch.recognise(picture, 'm.h5', detector=bright)
    assert set(one.faces[0].probabilities) == {'a', 'b', 'c'}


def test_a_video_is_frames_with_times_and_persons(clip, bright):
    results = list(launch.recognise(str(clip), detector=bright))
    assert [one.frame for one in results] == list(range(40))
    assert results[20].time == pytest.approx(1.0) and results[20].faces == ()
    persons = {face.person for one in results for face in one.faces}
    assert persons == {1}  # out of sight for half a second
    half = list(launch.recognise(str(clip), detector=bright, every=4))
    assert [one.frame for one in half] == list(range(0, 40, 4))


def test_memory_does_not_grow_with_a_video(clip, bright):
    frames = frames_of(str(clip))
    assert next(frames).frame == 0 and next(frames).frame == 1  # a generator


def test_a_video_that_is_cut_off_counts_as_far_as_it_goes(clip, bright, tmp_path):
    data = clip.read_bytes()
    (tmp_path / 'cut.avi').write_bytes(data[: len(data) // 2])
    results = list(launch.recognise('cut.avi', detector=bright))
    assert 5 <= len(results) < 40


def pictures(folder, n=4):
    (folder / 'deep').mkdir(parents=True)
    for k in range(n):
        cv2.imwrite(str(folder / ('deep' if k % 2 else '.') / f'{k}.png'), np.full((64, 64, 3), 100, np.uint8))


def test_a_broken_file_in_a_folder_is_told_at_the_end_and_the_rest_is_done(tmp_path, bright):
    pictures(tmp_path / 'p')
    (tmp_path / 'p' / 'broken.jpg').write_bytes(b'\xff\xd8\xff broken')
    (tmp_path / 'p' / 'notes.txt').write_text('no picture')
    (tmp_path / 'p' / '.hidden.png').write_bytes(b'x')
    problems = []
    results = list(launch.recognise('p', detector=bright, problems=problems))
    assert sorted(Path(one.file).name for one in results) == ['0.png', '1.png', '2.png', '3.png']
    assert len(problems) == 1 and 'broken.jpg' in problems[0]
    with pytest.raises(PictureError, match='broken.jpg'):
        list(launch.recognise('p', detector=bright))


@pytest.mark.parametrize(
    'source, error, message',
    [
        ('nowhere.png', SourceError, "'nowhere.png' does not exist"),
        ('text.txt', PictureError, 'is not a JPEG'),
        ('empty', SourceError, "folder 'empty' contains no pictures"),
        ('no.mp4', SourceError, 'is not a video that can be read'),
        (99, SourceError, 'camera 99 does not exist'),
        (None, SourceError, 'a source must be a file'),
        (np.zeros((3, 3)), PictureError, 'must be uint8'),
    ],
)
def test_sources_that_give_nothing_get_one_error(source, error, message, bright, tmp_path):
    (tmp_path / 'text.txt').write_text('words')
    (tmp_path / 'no.mp4').write_bytes(b'no video')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(error, match=message):
        list(launch.recognise(source, detector=bright))


def test_wrong_arguments_are_refused_before_anything_is_read():
    for options, message in (
        ({'views': 'all'}, 'views must be one of'),
        ({'min_probability': 2}, r'min_probability must lie in \[0, 1\]'),
        ({'detector': 'haar'}, 'detector must be'),
        ({'model': 'nowhere.h5'}, "there is no model file 'nowhere.h5'"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            launch.recognise('nowhere.png', **options)


# ------------------------------------------------------------------------------------------- outputs


def test_tables_pictures_video_and_timeline_are_written(shipped, clip, bright, capsys):
    session.predict(
        shipped, [str(clip)], detector=bright, csv='o/t.csv', json='o/t.json', annotate='o/t.mp4', timeline='o/t.png'
    )
    rows = list(csv.DictReader(open('o/t.csv')))
    assert len(rows) == 40 and sum(row['answer'] != '' for row in rows) == 30
    assert sum(float(rows[0][f'p_{name}']) for name in shipped.classes) == pytest.approx(1, abs=1e-4)
    entries = json.loads(Path('o/t.json').read_text())
    assert len(entries) == 40 and entries[0]['faces'][0]['faceRectangle'].keys() == {'left', 'top', 'width', 'height'}
    assert entries[0]['faces'][0]['scores'].keys() == set(shipped.classes) and entries[3]['time'] == 0.15
    capture = cv2.VideoCapture('o/t.mp4')
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 40 and abs(capture.get(cv2.CAP_PROP_FPS) - 20) < 0.1
    assert cv2.imread('o/t.png').std() > 10
    out = capsys.readouterr().out
    assert 'person 1, 30 frames: mean' in out and '40 frames, 30 faces, 10 without a face' in out
    with pytest.raises(FileExistsError, match='t.csv. already exists: choose another name, or use --overwrite'):
        session.predict(shipped, [str(clip)], detector=bright, csv='o/t.csv')


def test_pictures_of_a_folder_are_annotated_in_their_places(shipped, bright, tmp_path):
    pictures(tmp_path / 'p', 2)
    session.predict(shipped, ['p'], detector=bright, annotate='out', info=lambda line: None)
    assert sorted(str(path) for path in Path('out').rglob('*.png')) == ['out/0.png', 'out/deep/1.png']
    before, after = cv2.imread('p/0.png'), cv2.imread('out/0.png')
    assert before.shape == after.shape and (before != after).any()
    with pytest.raises(ValueError, match='must be a folder for several pictures'):
        session.predict(shipped, ['p'], detector=bright, annotate='x.png')


@pytest.mark.parametrize('side', [200, 4000])
def test_labels_lie_within_pictures_of_every_size(shipped, bright, side):
    from utils.recognition.drawing import annotated
    from utils.recognition.recognise import Recogniser
    from utils.recognition.sources import Frame

    picture = np.zeros((side, side, 3), np.uint8)
    picture[side // 4 : side // 2, side // 2 : side - 2] = 150
    one = Recogniser(shipped, bright)(Frame('x', None, None, picture))
    changed = (annotated(one, shipped.classes) != picture).any(axis=2)
    label = changed[: side // 4 - side // 100]  # above the box
    rows = np.nonzero(label.any(axis=1))[0]
    assert 0.015 * side < len(rows) < 0.2 * side


def test_what_was_done_before_an_interruption_is_whole(shipped, clip, bright):
    def stop(n):
        if n == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.predict(
            shipped, [str(clip)], detector=bright, csv='t.csv', json='t.json', annotate='t.avi', progress=stop
        )
    assert len(list(csv.DictReader(open('t.csv')))) == 12 and len(json.loads(Path('t.json').read_text())) == 12
    assert cv2.VideoCapture('t.avi').get(cv2.CAP_PROP_FRAME_COUNT) == 12


def test_a_disk_that_fills_up_ends_the_video_with_one_error(shipped, clip, bright, monkeypatch):
    monkeypatch.setattr(session.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': 1000}))
    with pytest.raises(OSError, match="the disk of 't.avi' is full"):
        session.predict(shipped, [str(clip)], detector=bright, annotate='t.avi')


def test_the_command_without_a_face_ends_well_and_says_so(tmp_path, capsys):
    cv2.imwrite('grey.png', np.full((60, 60), 90, np.uint8))
    assert launch.main(['predict', 'grey.png', '--detector', 'none']) == 0
    assert '1 picture, 1 face' in capsys.readouterr().out
    assert launch.main(['predict']) == 2
    assert 'needs a picture, a folder, a video or --camera 0' in capsys.readouterr().err
    assert launch.main(['predict', 'nowhere.jpg', '--detector', 'none']) == 2
    assert capsys.readouterr().err == "error: 'nowhere.jpg' does not exist\n"


def test_the_command_on_a_photograph(yunet, hopper_file, capsys):
    assert launch.main(['predict', str(hopper_file), '--json', '-']) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one['faces'][0]['answer'] == 'neutral'
    cv2.imwrite('grey.png', np.full((60, 60), 90, np.uint8))
    assert launch.main(['predict', 'grey.png']) == 0
    assert 'no face' in capsys.readouterr().out

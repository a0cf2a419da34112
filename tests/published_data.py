"""Small folders in the layouts of published data sets, for the tests of importers.

Each picture has one grey level, which identifies it. Each writer returns what was written:
{level: (class, usage or None, person or None)}.
"""

import io

import cv2
import numpy as np

from loaders.fer2013 import CLASSES

SEVEN = {name: k for k, name in enumerate(CLASSES)}
RAFDB = ('surprise', 'fear', 'disgust', 'happy', 'sad', 'angry', 'neutral')
AFFECTNET = ('neutral', 'happy', 'sad', 'surprise', 'fear', 'disgust', 'angry', 'contempt')
CKPLUS = ('neutral', 'angry', 'contempt', 'disgust', 'fear', 'happy', 'sad', 'surprise')
HEADER = 'subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal'


def write_picture(path, level, size=(30, 26), box=None, outside=0):
    """Write a colour picture of one grey level, or of this level only in a box (left, top, right, bottom)."""
    image = np.full((*size, 3), level if box is None else outside, np.uint8)
    if box is not None:
        left, top, right, bottom = box
        image[top:bottom, left:right] = level
    path.parent.mkdir(parents=True, exist_ok=True)
    # JPEG preserves flat blocks of 8x8 exactly, but not blocks with edges
    kind = '.png' if box is not None else path.suffix.lower()
    path.write_bytes(cv2.imencode(kind, image)[1].tobytes())


def check(originals, written, size=(48, 48)):
    """Assert that originals are the written pictures, with class, usage and person."""
    assert originals.images.shape[1:] == size and originals.images.dtype == np.uint8
    levels = originals.images.reshape(len(originals), -1)
    assert (np.ptp(levels, axis=1) == 0).all()
    found = {}
    for k, level in enumerate(levels[:, 0].tolist()):
        person = None if originals.person is None else originals.people[originals.person[k]]
        found[level] = originals.classes[originals.labels[k]], int(originals.usage[k]), person
    assert len(found) == len(originals) == len(written)
    for level, (name, usage, person) in written.items():
        assert found[level][0] == name and found[level][2] == person, level
        assert usage is None or found[level][1] == usage, level


def rafdb(folder, n=2, aligned='_aligned'):
    """Write RAF-DB in its owners' layout, with n training images and one test image of each class."""
    written, lines = {}, []
    for part, usage, count in (('train', 0, n), ('test', 2, 1)):
        for k in range(7 * count):
            level = len(written) + 10
            write_picture(folder / 'Image' / 'aligned' / f'{part}_{k + 1:05d}{aligned}.jpg', level)
            lines.append(f'{part}_{k + 1:05d}.jpg {k % 7 + 1}')
            written[level] = RAFDB[k % 7], usage, None
    labels = folder / 'EmoLabel' / 'list_patition_label.txt'
    labels.parent.mkdir(parents=True)
    labels.write_text('\n'.join(lines) + '\n')
    return written


def rafdb_folders(folder, n=2):
    """Write RAF-DB in the layout of class folders."""
    written = {}
    for part, usage, count in (('train', 0, n), ('test', 2, 1)):
        for k in range(7 * count):
            level = len(written) + 10
            path = folder / 'DATASET' / part / str(k % 7 + 1) / f'{part}_{k + 1:05d}_aligned.jpg'
            write_picture(path, level)
            written[level] = RAFDB[k % 7], usage, None
    return written


def affectnet_tables(folder, header=(True, False), boxes=True):
    """Tables with boxes, pictures of 40x36 pixels with a face of 20x16 in them."""
    written = {}
    for part, usage, count, named in (('training', 0, 16, header[0]), ('validation', 2, 8, header[1])):
        rows = [HEADER] if named else []
        for k in range(count):
            level = len(written) + 10
            tail = f'{k % 3}/{part}{k:04x}.jpg'
            left, top = 3 + k % 4, 2 + k % 5
            box = (left, top, left + 16, top + 20)
            write_picture(folder / 'Manually_Annotated_Images' / tail, level, (40, 36), box if boxes else None)
            given = f'{left},{top},16,20' if boxes else 'NULL,NULL,NULL,NULL'
            rows.append(f'{tail},{given},1.5;2.5;3.5;4.5,{k % 8},0.25,-0.5')
            written[level] = AFFECTNET[k % 8], usage, None
        rows += [f'9/none{part}{label}.jpg,NULL,NULL,NULL,NULL,NULL,{label},-2,-2' for label in (8, 9, 10)]
        table = folder / 'Manually_Annotated_file_lists' / f'{part}.csv'
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text('\n'.join(rows) + '\n')
    return written


def affectnet_files(folder):
    """The edition of 2021; labels as texts and as numbers."""
    written = {}
    for part, usage, count in (('train_set', 0, 16), ('val_set', 2, 8)):
        (folder / part / 'annotations').mkdir(parents=True)
        for k in range(count):
            level = len(written) + 10
            write_picture(folder / part / 'images' / f'{k * 7}.jpg', level)
            for what, value in (('exp', str(k % 8) if k % 2 else np.int64(k % 8)), ('val', '0.5'), ('aro', '-0.25')):
                np.save(folder / part / 'annotations' / f'{k * 7}_{what}.npy', np.array(value))
            written[level] = AFFECTNET[k % 8], usage, None
    return written


def ckplus(folder, people=6):
    """Sequences of four images, one of each emotion and person, and one sequence each without an emotion."""
    written = {}
    for p in range(people):
        person = f'S{p * 11 + 5:03d}'
        for s in range(8):
            for k in range(1, 5):
                name = f'{person}_{s + 1:03d}_{k:08d}'
                path = folder / 'cohn-kanade-images' / person / f'{s + 1:03d}' / f'{name}.png'
                level = len(written) + 10
                label = {1: 'neutral', 4: CKPLUS[s]}.get(k) if s else None
                write_picture(path, level if label else 0)
                if label:
                    written[level] = label, None, person
            text = folder / 'Emotion' / person / f'{s + 1:03d}' / f'{name}_emotion.txt'
            text.parent.mkdir(parents=True)
            if s:  # the other sequences have an empty folder
                text.write_text(f'   {s:.7e}\n')
    return written


def ck48(folder, people=6):
    """CK+48: three images of each emotion and person."""
    written = {}
    names = ('anger', 'contempt', 'disgust', 'fear', 'happy', 'sadness', 'surprise')
    for p in range(people):
        for s, (name, label) in enumerate(zip(names, CKPLUS[1:])):
            level = len(written) + 10
            write_picture(folder / 'CK+48' / name / f'S{p * 11 + 10:03d}_{s + 1:03d}_{17 + s:08d}.png', level, (48, 48))
            written[level] = label, None, f'S{p * 11 + 10:03d}'
    return written


CODES = dict(AN='angry', DI='disgust', FE='fear', HA='happy', SA='sad', SU='surprise', NE='neutral')


def jaffe(folder, people=('KA', 'KL', 'KM', 'KR', 'MK'), compression=1):
    """JAFFE: grey .tiff, here without compression (1) or by LZW (5)."""
    written = {}
    for person in people:
        for code, label in CODES.items():
            level = len(written) + 10
            path = folder / 'jaffe' / f'{person}.{code}{1 + level % 3}.{level}.tiff'
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
            path.write_bytes(cv2.imencode('.tiff', np.full((64, 64), level, np.uint8), flags)[1].tobytes())
            written[level] = label, None, person
    return written


def kdef(folder, people=('F01', 'F02', 'M01'), angles=('S', 'HL', 'HR', 'FL', 'FR')):
    """KDEF: both series of some people at the angles in turn; the result also has the angle of each level."""
    written, seen = {}, {}
    codes = dict(CODES, AF='fear')
    del codes['FE']
    for person in people:
        for series in 'AB':
            for k, (code, label) in enumerate(codes.items()):
                angle = angles[(k + (series == 'B')) % len(angles)]
                level = len(written) + 10
                name = f'{series}{person}{code}{angle}.JPG'
                write_picture(folder / 'KDEF' / f'{series}{person}' / name, level, (64, 48))
                written[level], seen[level] = (label, None, person), angle
    return written, seen


def expw(folder, n=5):
    """ExpW: photographs of 60x50 pixels with two faces each, one of which is listed twice."""
    written, lines = {}, []
    for k in range(n * 7):
        level = 2 * k + 10
        image = np.zeros((50, 60, 3), np.uint8)
        for face, (left, top) in enumerate(((2, 3), (33, 20))):
            image[top : top + 24, left : left + 20] = level + face
            lines.append(f'photo {k}.jpg {face} {top} {left} {left + 20} {top + 24} 44.{k} {(k + face) % 7}')
            written[level + face] = CLASSES[(k + face) % 7], None, None
        path = folder / 'image' / 'origin' / f'photo {k}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode('.png', image)[1].tobytes())
    (folder / 'label').mkdir()
    (folder / 'label' / 'label.lst').write_text('\n'.join([*lines, lines[0]]) + '\n')
    return written


def sfew(folder, names=('Train', 'Val'), nested=False):
    """SFEW: two training and one test image of each class."""
    written = {}
    for part, usage, count in ((names[0], 0, 14), (names[1], 2, 7)):
        for k in range(count):
            level = len(written) + 10
            title = CLASSES[k % 7].capitalize()
            inner = f'{part}_Aligned_Faces' if nested else ''
            write_picture(folder / part / inner / title / f'Airheads_{519240 + k:09d}_{k:08d}.png', level)
            written[level] = CLASSES[k % 7], usage, None
    return written


def ferplus(folder):
    """FER+ as written by its owners' program; returns (written, votes by level for FER2013's classes and contempt)."""
    written, votes, columns = {}, {}, (6, 3, 5, 4, 0, 1, 2)  # FER2013's class of each of FER+'s first columns
    for part, usage, count in (('Train', 0, 16), ('Valid', 1, 8), ('Test', 2, 8)):
        rows = []
        for k in range(count):
            level = len(written) + 10
            given = [0] * 10
            given[k % 8], given[(k + 1) % 8], given[8] = 6, 3, 1
            name = f'fer{level:07d}.png'
            write_picture(folder / f'FER2013{part}' / name, level, (48, 48))
            rows.append(f'{name},"(0, 0, 48, 48)",{",".join(map(str, given))}')
            order = [columns.index(c) for c in range(7)] + [7]
            votes[level] = [given[c] for c in order]
            written[level] = (*CLASSES, 'contempt')[int(np.argmax(votes[level]))], usage, None
        rows.append('missing.png,"(0, 0, 48, 48)",0,0,0,0,0,0,0,0,0,10')
        (folder / f'FER2013{part}' / 'label.csv').write_text('\n'.join(rows) + '\n')
    return written, votes


def npy(value, **options):
    """Return the bytes of a NumPy file."""
    file = io.BytesIO()
    np.save(file, value, **options)
    return file.getvalue()

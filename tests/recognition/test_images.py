"""Pictures of every kind are decoded to one form. Other files raise one error before memory is allocated."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from utils.recognition.images import PictureError, decode, of_array, read


def encoded(picture, kind='PNG', **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def colours(rng):
    small = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))


@pytest.mark.parametrize('kind', ['PNG', 'BMP', 'TIFF', 'PPM', 'GIF', 'WEBP', 'JPEG'])
def test_every_format_gives_blue_green_and_red(colours, kind):
    options = {'WEBP': {'lossless': True}, 'JPEG': {'quality': 98, 'subsampling': 0}}.get(kind, {})
    got = decode(encoded(Image.fromarray(colours), kind, **options))
    tolerance = {'JPEG': 25, 'GIF': 40}.get(kind, 0)
    assert got.shape == (40, 56, 3) and got.flags['C_CONTIGUOUS']
    assert abs(got[:, :, ::-1].astype(int) - colours).max() <= tolerance


def test_depths_palettes_transparency_and_inks_are_seen_as_a_person_sees_them():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    got = decode(encoded(Image.fromarray(ramp)))
    assert abs(got[:, :, 0].astype(float) - ramp / 257).max() <= 1
    palette = Image.new('P', (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert decode(encoded(palette))[0, 0].tolist() == [30, 200, 10]
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2] = 255, 0, 0, 255
    got = decode(encoded(Image.fromarray(clear, 'RGBA')))
    assert got[0, 0].tolist() == [0, 0, 255] and got[3, 3].tolist() == [255, 255, 255]
    inks = Image.new('CMYK', (4, 4), (0, 255, 255, 0))
    blue, green, red = decode(encoded(inks, 'JPEG'))[0, 0].tolist()
    assert red > 200 and max(blue, green) < 60
    assert decode(encoded(Image.new('1', (4, 4), 1)))[0, 0].tolist() == [255] * 3
    assert decode(encoded(Image.new('L', (1, 1), 7)))[0, 0].tolist() == [7] * 3


@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_orientation_that_a_camera_wrote_down_is_respected(colours, orientation):
    picture = Image.fromarray(colours)
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture.transpose(back[orientation]) if orientation in back else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode(encoded(stored, exif=exif))[:, :, ::-1], colours)


def header_only(width, height):
    """A PNG that declares an enormous picture."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    size = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', size) + chunk(b'IDAT', zlib.compress(b'\0' * 1000)) + chunk(b'IEND', b'')
    )


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: b'', 'is not a JPEG, PNG'),
        (lambda: b'not a picture at all', 'is not a JPEG, PNG'),
        (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'is not a JPEG, PNG'),
        (lambda: b'%PDF-1.7 ...', 'is not a JPEG, PNG'),
        (lambda: encoded(Image.new('RGB', (300, 300)), 'JPEG')[:600], 'damaged or truncated'),
        (
            lambda: encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8)))[:2000],
            'damaged',
        ),
        (lambda: header_only(20_000, 20_000), 'far too many pixels; at most 16777216 are read'),
        (lambda: header_only(5_000, 4_000), 'has 5000x4000 pixels; at most 16777216 are read'),
        (lambda: header_only(2**31 - 1, 2**31 - 1), 'the picture'),
        (lambda: header_only(0, 5), 'the picture'),
    ],
)
def test_what_is_no_picture_ends_in_one_error(make, message):
    with pytest.raises(PictureError, match=message):
        decode(make())


def test_mutated_pictures_end_in_a_picture_or_in_the_error(rng, colours):
    seeds = [encoded(Image.fromarray(colours), kind) for kind in ('PNG', 'JPEG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'PPM')]
    outcomes = {'good': 0, 'refused': 0}
    for k in range(600):
        data = bytearray(seeds[k % len(seeds)])
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            assert decode(bytes(data)).dtype == np.uint8
            outcomes['good'] += 1
        except PictureError:
            outcomes['refused'] += 1
    assert min(outcomes.values()) > 30


def test_files_are_named(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'no')
    with pytest.raises(PictureError, match=r"a.png' is not a JPEG"):
        read(tmp_path / 'a.png')


@pytest.mark.parametrize(
    'values', [np.zeros((3, 3)), np.zeros((3, 3, 4), 'u1'), np.zeros((0, 3), 'u1'), np.zeros(3, 'u1')]
)
def test_arrays_of_other_forms_are_refused(values):
    with pytest.raises(PictureError, match='must be uint8 of shape'):
        of_array(values)

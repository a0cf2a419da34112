"""The declared size of an image before it is decoded, and images that cannot be decoded."""

import struct

import cv2
import numpy as np
import pytest
from sources_data import own_images

from loaders import DataError, read
from loaders.sources.decoding import decode
from loaders.sources.headers import declared_pixels


@pytest.mark.parametrize('content', [b'', b'not an image', None])
def test_image_that_cannot_be_decoded_is_named(tmp_path, content):
    folder, _ = own_images(tmp_path / 'own')
    bad = folder / 'calm' / '05.png'
    bad.write_bytes(bad.read_bytes()[:60] if content is None else content)
    with pytest.raises(DataError, match='own: calm/05.png: not a JPEG, PNG, BMP, GIF, WebP, TIFF or PNM image'):
        read(folder)
    found = read(folder, skip_bad=True)
    assert len(found) == 19 and 5 not in found.ids
    assert [note for note in found.notes if 'calm/05.png' in note]


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.pgm', '.pbm', '.ppm', '.tif', '.webp', '.gif'])
def test_number_of_pixels_is_known_before_decoding(suffix, monkeypatch):
    image = np.full((20, 30), {'.pbm': 255, '.gif': 0}.get(suffix, 77), np.uint8)  # what these can keep
    colour = suffix in ('.ppm', '.gif')
    data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if colour else image)[1].tobytes()
    assert declared_pixels(data) == 600
    np.testing.assert_array_equal(decode(data, 'a'), image)
    monkeypatch.setattr('loaders.sources.decoding.MAX_PIXELS', 599)
    with pytest.raises(DataError, match='^a: an image of 600 pixels, at most 599 are read'):
        decode(data, 'a')


def header_of_tiff(order='<', big=False, **tags):
    """Return the beginning of a TIFF file with these tags, each (number, type, value)."""
    entries = sorted(tags.values())
    data = (b'II' if order == '<' else b'MM') + struct.pack(
        order + ('HHHQ' if big else 'HI'), *((43, 8, 0, 16) if big else (42, 8))
    )
    data += struct.pack(order + ('Q' if big else 'H'), len(entries))
    for number, kind, value in entries:
        field = struct.pack(order + {3: 'H', 4: 'I', 16: 'Q'}[kind], value)
        data += struct.pack(order + ('HHQ' if big else 'HHI'), number, kind, 1) + field.ljust(8 if big else 4, b'\0')
    return data


@pytest.mark.parametrize(
    'data, n_pixels',
    [
        (b'RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0' + bytes(4) + b'\xff\xff\x03' + b'\xff\xff\x01', 1 << 35),
        (b'RIFF\0\0\0\0WEBPVP8 ' + bytes(7) + b'\x9d\x01\x2a' + struct.pack('<HH', 0x4000 | 3000, 4000), 12_000_000),
        (b'RIFF\0\0\0\0WEBPVP8L' + bytes(4) + b'\x2f' + struct.pack('<I', 2999 | 3999 << 14), 12_000_000),
        (header_of_tiff(width=(256, 3, 3000), height=(257, 4, 70000)), 210_000_000),
        (header_of_tiff('>', width=(256, 3, 3000), height=(257, 4, 70000)), 210_000_000),
        (header_of_tiff(big=True, width=(256, 16, 1 << 40), height=(257, 3, 1)), 1 << 40),
        (
            header_of_tiff(width=(256, 3, 3), height=(257, 3, 4), tile=(322, 4, 20000), tall=(323, 4, 20000)),
            400_000_000,
        ),
        (header_of_tiff(width=(256, 3, 3), height=(257, 3, 4), again=(256, 3, 5)), 20),  # which one counts?
        (b'GIF89a' + struct.pack('<HH', 60000, 50000), 3_000_000_000),
        (b'P5\n# # # # 1 1\n60000 # 1 1\r50000\n255\n', 3_000_000_000),
        (b'P5 ' + b'# ' * 5000 + b'x', 0),  # takes no time either
        (b'BM' + bytes(12) + struct.pack('<IHH', 12, 3000, 4000), 12_000_000),
        (b'\x89PNG\r\n\x1a\n', 0),
        (b'BM', 0),
        (b'GIF8', 0),
        (b'II*\0', 0),
        (b'MM', 0),
        (b'RIFF....WEBPVP8X', 0),
        (b'P5', 0),
        (b'', 0),
    ],
)
def test_number_of_pixels_of_hostile_headers(data, n_pixels):
    assert declared_pixels(data) == n_pixels


def test_a_header_read_in_two_ways_is_refused():
    large = cv2.imencode('.jpg', np.zeros((300, 400), np.uint8))[1].tobytes()
    small = cv2.imencode('.jpg', np.zeros((2, 3), np.uint8))[1].tobytes()
    jpeg = large[:2] + b'\xff\xd0' + len(large).to_bytes(2, 'big') + large[2:] + small[2:]
    pnm = b'P5 400#300\n1 255\n' + bytes(400 * 300)
    for data in (jpeg, pnm):
        assert declared_pixels(data) == 0
        with pytest.raises(DataError, match='not a JPEG'):
            decode(data, 'a')
    assert declared_pixels(b'P5\n# made by hand\n3 # wide\n2\n255\n' + bytes(6)) == 6


def test_other_kinds_of_images_are_not_decoded_whatever_their_name():
    data = cv2.imencode('.ras', np.zeros((20, 30), np.uint8))[1].tobytes()
    with pytest.raises(DataError, match='not a JPEG, PNG, BMP, GIF, WebP, TIFF or PNM image'):
        decode(data, 'a.jpg')


def test_tiff_of_floats_is_refused():
    data = cv2.imencode('.tif', np.zeros((20, 30), np.float32))[1].tobytes()
    with pytest.raises(DataError, match='^a: not a JPEG, .* image that can be decoded'):
        decode(data, 'a')

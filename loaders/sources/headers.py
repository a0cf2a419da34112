"""Read the sizes of images from their headers, before memory is allocated for them."""

from __future__ import annotations

import re
import struct


def declared_pixels(data: bytes) -> int:
    """Return the number of pixels declared by the header of an image file; 0 if it is unreadable or of unknown format.

    The format is recognised by the contents, not by the file's name.
    """
    try:
        if data[:8] == b'\x89PNG\r\n\x1a\n':
            width, height = struct.unpack_from('>II', data, 16)
        elif data[:2] == b'BM':  # OS/2 has a header of 12 bytes
            width, height = struct.unpack_from('<HH' if data[14] == 12 else '<ii', data, 18)
        elif data[:4] == b'GIF8':  # the logical screen: no frame may be larger
            width, height = struct.unpack_from('<HH', data, 6)
        elif data[:1] == b'P':
            width, height = PNM.match(data).groups()
        elif data[:4] == b'RIFF' and data[8:12] == b'WEBP':
            width, height = webp_size(data)
        elif data[:2] in (b'II', b'MM'):
            return tiff_pixels(data)
        else:
            width, height = jpeg_size(data)
    except (struct.error, IndexError, AttributeError):  # truncated, or no match
        return 0
    return abs(int(width) * int(height))  # the height of a BMP is negative if its top row comes first


# Width and height; a comment extends to the end of its line. OpenCV consumes one character of any kind after a number,
# so it would not recognise a comment that starts there.
PNM = re.compile(rb'P[1-6](?:\s|#[^\r\n]*[\r\n])+(\d{1,9})\s(?:\s|#[^\r\n]*[\r\n])*(\d{1,9})\s')


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) from the frame header in the chain of segments of a JPEG file."""
    at = 2 if data[:2] == b'\xff\xd8' else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 1 or data[at + 1] in range(0xD0, 0xDA):
            return 0, 0  # markers without a length: libjpeg reads what follows differently
        if data[at + 1] in range(0xC0, 0xD0) and data[at + 1] not in (0xC4, 0xC8, 0xCC):
            return struct.unpack_from('>HH', data, at + 5)
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
    return 0, 0


def webp_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) of a WebP file; in the extended format, those of the canvas."""
    if data[12:16] == b'VP8 ':
        width, height = struct.unpack_from('<HH', data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if data[12:16] == b'VP8L':
        (bits,) = struct.unpack_from('<I', data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[12:16] == b'VP8X' and len(data) >= 30:
        return int.from_bytes(data[24:27], 'little') + 1, int.from_bytes(data[27:30], 'little') + 1
    return 0, 0


def tiff_pixels(data: bytes) -> int:
    """Return the number of pixels of the first image of a TIFF file, or of one of its tiles if a tile is larger."""
    order = '<' if data[:2] == b'II' else '>'
    (version,) = struct.unpack_from(order + 'H', data, 2)
    if version == 42:
        first, count, entry, field = 'I', 'H', 'HHI', 4
    elif version == 43:  # BigTIFF
        first, count, entry, field = '4xQ', 'Q', 'HHQ', 8
    else:
        return 0
    (at,) = struct.unpack_from(order + first, data, 4)
    (n,) = struct.unpack_from(order + count, data, at)
    at += struct.calcsize(order + count)
    sides = dict.fromkeys((256, 257, 322, 323), 0)  # width and height of the image, of a tile
    for _ in range(n):
        tag, kind, length = struct.unpack_from(order + entry, data, at)
        if tag in sides:
            code = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}.get(kind)
            if code is None or length != 1 or struct.calcsize('<' + code) > field:
                return 0
            (value,) = struct.unpack_from(order + code, data, at + struct.calcsize(order + entry))
            sides[tag] = max(sides[tag], value)  # a tag may occur twice
        at += struct.calcsize(order + entry) + field
    width, height, tile_width, tile_height = sides.values()
    return width * height and max(width * height, tile_width * tile_height)

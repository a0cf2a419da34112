"""Mutations of bytes, and inside gzip, zip, PNG and HDF5 with corrected checksums."""

# ruff: noqa: E402
import binascii
import gzip
import io
import struct
import zipfile

TELLING = [
    0,
    1,
    2,
    7,
    8,
    16,
    32,
    64,
    127,
    128,
    255,
    256,
    1000,
    4096,
    0x7FFF,
    0x8000,
    0xFFFF,
    1 << 20,
    1 << 24,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 50) + 1,
    (1 << 63) - 1,
    (1 << 64) - 1,
]


TEXTS = [
    b'-1',
    b'256',
    b'99999999999999999999',
    b'1e9',
    b'nan',
    b',',
    b'"',
    b'\n',
    b'\r',
    b'\0',
    b' ' * 50,
    b'\xff\xfe',
    b'Training',
    b'PublicTest',
    b'emotion',
    b'pixels',
    b'../../etc/passwd',
    b'/etc/passwd',
]


def havoc(data, rng, others=()):
    """Mutate bytes by one to eight changes of any kind."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            return b''
        at, kind = rng.randrange(len(data)), rng.randrange(11)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind in (2, 3):
            size = rng.choice((1, 2, 4, 8))
            value = (rng.choice(TELLING) + rng.choice((0, 0, -1, 1))) % (1 << 8 * size)
            data[at : at + size] = value.to_bytes(size, rng.choice(('little', 'big')))
        elif kind == 4:
            del data[at : at + rng.choice((1, 2, 8, 64, 1000))]
        elif kind == 5:
            data[at:at] = rng.choice(TEXTS)
        elif kind == 6:
            piece = data[at : at + rng.choice((1, 4, 16, 256, 4096))]
            to = rng.randrange(len(data))
            data[to:to] = piece
        elif kind == 7:
            piece = data[at : at + rng.choice((1, 4, 16, 256))]
            to = rng.randrange(len(data))
            data[to : to + len(piece)] = piece
        elif kind == 8:
            del data[at:]
        elif kind == 9:
            data[at : at + 16] = bytes(rng.choice((0, 255)) for _ in range(16))
        elif others:
            other = rng.choice(others)
            start = rng.randrange(max(1, len(other)))
            data[at : at + 256] = other[start : start + rng.choice((4, 64, 256, 4096))]
    return bytes(data)


def lookup3(data):
    """Compute Jenkins's lookup3, the checksum of HDF5's metadata (H5_checksum_lookup3)."""
    mask = 0xFFFFFFFF

    def rot(x, k):
        return ((x << k) | (x >> (32 - k))) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    at, left = 0, len(data)
    while left > 12:
        x, y, z = struct.unpack_from('<III', data, at)
        v = [(a + x) & mask, (b + y) & mask, (c + z) & mask]
        for p, q, r, k in ((0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)):
            v[p] = ((v[p] - v[q]) ^ rot(v[q], k)) & mask
            v[q] = (v[q] + v[r]) & mask
        a, b, c = v
        at, left = at + 12, left - 12
    if left:
        x, y, z = struct.unpack('<III', bytes(data[at:]).ljust(12, b'\0'))
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        for p, q, k in ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)):
            v = [a, b, c]
            v[p] = ((v[p] ^ v[q]) - rot(v[q], k)) & mask
            a, b, c = v
    return c


def hdf5_blocks(data):
    """Return (start, length) of each metadata block of an HDF5 file with a checksum: superblock, object headers."""
    blocks = [(0, 44)] if data[8:9] in (b'\2', b'\3') else []
    at = data.find(b'OHDR')
    while at >= 0:
        flags = data[at + 5]
        head = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        size = 1 << (flags & 3)
        length = int.from_bytes(data[at + head : at + head + size], 'little') + head + size
        if length < 1 << 16:
            blocks.append((at, length))
        at = data.find(b'OHDR', at + 4)
    return blocks


def in_hdf5(data, rng, others):
    """Change a metadata block of an HDF5 file and correct its checksum."""
    data, blocks = bytearray(data), hdf5_blocks(data)
    if not blocks:
        return havoc(data, rng, others)
    for _ in range(rng.choice((1, 1, 2, 3))):
        start, length = rng.choice(blocks)
        for _ in range(rng.choice((1, 1, 2, 4))):
            at, size = start + rng.randrange(4, max(5, length)), rng.choice((1, 1, 2, 4, 8))
            value = rng.choice((rng.randrange(256), rng.choice(TELLING))) % (1 << 8 * size)
            if at + size <= start + length:
                data[at : at + size] = value.to_bytes(size, 'little')
        data[start + length : start + length + 4] = lookup3(data[start : start + length]).to_bytes(4, 'little')
    return bytes(data)


def in_gzip(data, rng, others):
    return gzip.compress(havoc(gzip.decompress(data), rng, others), 1)


def in_zip(data, rng, others):
    """Change a file in a zip archive, or only the archive's directory."""
    source, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    chosen = rng.choice(source.namelist())
    with zipfile.ZipFile(out, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            if name == chosen:
                content = in_png(content, rng) if rng.random() < 0.5 else havoc(content, rng, others)
            if name == chosen and rng.random() < 0.2:
                name = rng.choice(
                    [
                        '../' * 9 + 'tmp/x.png',
                        '/x/y.png',
                        'a/../b/x.png',
                        name + '/',
                        name.upper(),
                        'train/.png',
                        'train/happy/Training_99999999999999999999.png',
                        'x' * 5000 + '.png',
                        'a\0/a.png',
                        './' + name,
                        name.replace('/', '//'),
                    ]
                )
            target.writestr(name, content, rng.choice((0, 8, 8, 12, 14)) if name == chosen else 8)
    return out.getvalue()


def in_png(data, rng, others=()):
    """Change a chunk of a PNG and correct its checksum."""
    if data[:4] != b'\x89PNG':
        return havoc(data, rng, others)
    data, at, chunks = bytearray(data), 8, []
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], 'big')
        chunks.append((at, length))
        at += 12 + length
    at, length = rng.choice(chunks)
    if length:
        where, size = at + 8 + rng.randrange(length), rng.choice((1, 1, 4))
        data[where : where + size] = (rng.choice(TELLING) % (1 << 8 * size)).to_bytes(size, 'big')
    body = bytes(data[at + 4 : at + 8 + length])
    data[at + 8 + length : at + 12 + length] = binascii.crc32(body).to_bytes(4, 'big')
    return bytes(data)

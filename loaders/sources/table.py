"""FER2013 as a table with one image per line, whose pixels are decimal numbers in one field.

Columns may come in any order and their names may be surrounded by blanks. Fields may be quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from loaders import fer2013
from loaders.errors import DataError, NoLabels

BLOCK = 1 << 22  # bytes read at a time
MAX_HEADER = 1 << 16  # longest line of column names in bytes
MAX_BAD = 100_000  # largest number of bad and empty lines that are left out
BATCH = 32  # lines parsed at a time: 256 KiB of text, which stay in the cache
SPACE, ZERO = ord(' '), ord('0')
USAGES = {name.encode(): k for k, name in enumerate(fer2013.USAGES)}


def parse_pixels(fields: Sequence[bytes], n_pixels: int) -> np.ndarray | None:
    """Parse the pixels of some lines; return None if any line is not in the plain form.

    The plain form is `n_pixels` decimal numbers from 0 to 255, of at most three digits, separated by single blanks.

    Parameters
    ----------
    fields : list of bytes
        Pixel field of each line.
    n_pixels : int
        Number of pixels of an image.

    Returns
    -------
    uint8 array (len(fields), n_pixels) or None
    """
    text = np.frombuffer(b' '.join([*fields, b'']), np.uint8)
    ends = np.flatnonzero(text == SPACE)  # the blank after each number
    line_ends = np.cumsum([len(field) + 1 for field in fields]) - 1
    if len(ends) != len(fields) * n_pixels or (ends[n_pixels - 1 :: n_pixels] != line_ends).any():
        return None
    length = np.diff(ends, prepend=-1) - 1
    if length.min() < 1 or length.max() > 3:
        return None
    digits = text - np.uint8(ZERO)  # characters other than digits become > 9
    ones = digits[ends - 1]
    tens = digits[ends - 2] * (length > 1)
    hundreds = digits[ends - 3] * (length > 2)
    if ones.max() > 9 or tens.max() > 9 or hundreds.max() > 2:
        return None
    tens *= np.uint8(10)
    tens += ones  # at most 99
    if ((hundreds == 2) & (tens > 55)).any():
        return None
    return (hundreds * np.uint8(100) + tens).reshape(len(fields), n_pixels)


def parse_line(
    line: bytes, columns: Columns, labels: dict[Any, int], size: tuple[int, int]
) -> tuple[int, int, np.ndarray]:
    """Parse one line in any valid form: (label, usage, pixels uint8 (n_pixels,)).

    Raises
    ------
    DataError
        The line is bad. The message says what was expected and what was found, but not where.
    """
    fields = line.split(b',', columns.n)
    if len(fields) != columns.n:
        raise DataError(f'expected {columns.n} fields, found {line.count(b",") + 1}')
    label = unquote(fields[columns.label])
    if label not in labels:
        raise DataError(f'expected a label from 0 to {len(labels) - 1}, found {show(label)}')
    usage = 0
    if columns.usage is not None:
        name = unquote(fields[columns.usage])
        if name not in USAGES:
            raise DataError(f'expected Training, PublicTest or PrivateTest, found {show(name)}')
        usage = USAGES[name]
    numbers = unquote(fields[columns.pixels]).split(None, 16 * prod(size))
    if len(numbers) != prod(size):
        raise DataError(f'expected {prod(size)} pixels ({size[0]}x{size[1]}), found {len(numbers)}')
    for k, number in enumerate(numbers):
        if not re.fullmatch(rb'[0-9]{1,3}', number) or int(number) > 255:
            raise DataError(f'expected pixels from 0 to 255, found {show(number)} as pixel {k}')
    return labels[label], usage, np.array([int(number) for number in numbers], np.uint8)


def unquote(field: bytes) -> bytes:
    """Strip a field of surrounding blanks and quotes."""
    return field.strip().strip(b'"').strip()


def show(text: bytes) -> str:
    """Shorten and quote bytes of a file for a message."""
    return repr(text[:40].decode('ascii', 'replace')) + ('...' if len(text) > 40 else '')


class Columns:
    """Positions of label, pixels and usage in a line, from the line of column names.

    `label` and `usage` are None if there is no such column.
    """

    def __init__(self, header: bytes, file: str) -> None:
        header = header.removeprefix(b'\xef\xbb\xbf')  # byte order mark
        if len(header) > MAX_HEADER:
            raise DataError(f'{file}: line 1: column names of {len(header)} bytes')
        names = [unquote(name).lower() for name in header.split(b',')]
        if b'pixels' not in names:
            raise DataError(
                f'{file}: line 1: expected column names with emotion, pixels and Usage, found {show(header.strip())}'
            )
        self.n = len(names)
        self.pixels = names.index(b'pixels')
        self.label = names.index(b'emotion') if b'emotion' in names else None
        self.usage = names.index(b'usage') if b'usage' in names else None


def lines(stream: Any, file: str) -> Iterator[list[Any]]:
    """Yield lists of whole lines (bytes, without line ends) from a binary stream."""
    rest = b''
    while block := stream.read(BLOCK):
        block = rest + block
        cut = block.rfind(b'\n') + 1
        if cut == 0 and len(block) > 16 * BLOCK:
            raise DataError(f'{file}: a line of more than {16 * BLOCK} bytes')
        rest = block[cut:]
        yield block[:cut].split(b'\n')[:-1]
    if rest:
        yield [rest]


def read_table(
    stream: Any,
    file: str,
    *,
    classes: Sequence[str] = fer2013.CLASSES,
    size: tuple[int, int] = fer2013.SIZE,
    skip_bad: bool = False,
) -> tuple:
    """Read the images of a table in one pass.

    Parameters
    ----------
    stream : binary file
        Stream of the table; only `read(n)` is used.
    file : str
        Name used in messages.
    classes : tuple of str
        Names of the labels 0, 1, ...
    size : (int, int)
        Height and width of the images.
    skip_bad : bool
        Whether to leave out bad lines instead of raising an error.

    Returns
    -------
    images, labels, usage, ids : arrays (n, height, width), (n,), (n,), (n,)
        Grey levels, labels and usages (uint8), and numbers of the rows (int32). `usage` is None if the table has no
        such column.
    bad : list of str
        One message for each line left out.

    Raises
    ------
    DataError
        The table is bad. The message names the file and the line, and says what was expected and what was found.
    NoLabels
        The table has no column emotion.
    """
    blocks = lines(stream, file)
    first = next((block for block in blocks if block), [b''])
    columns = Columns(first[0], file)
    if columns.label is None:
        raise NoLabels(f'{file}: no column emotion: images without labels can neither train nor test a network')
    labels = {str(k).encode(): k for k in range(len(classes))}
    parts, bad = [], []
    number, row, blank = 2, 0, 0  # next line, next image, empty lines so far
    for block in chain([first[1:]], blocks):
        for k in range(0, len(block), BATCH):
            batch = block[k : k + BATCH]
            part, n_rows = plain_batch(batch, columns, labels, size), len(batch)
            if part is None:
                part, found = exact_batch(batch, columns, labels, size, f'{file}: line', number)
                if found and not skip_bad:
                    raise DataError(found[0])
                bad += found
                if len(bad) + blank > MAX_BAD:
                    raise DataError(
                        f'{file}: more than {MAX_BAD} bad or empty lines' + (f'; the first: {bad[0]}' if bad else '')
                    )
                n_rows = sum(bool(line.strip()) for line in batch)
                blank += len(batch) - n_rows
            parts.append((*part[:3], part[3] + row))
            number += len(batch)
            row += n_rows
    if not sum(len(part[1]) for part in parts):
        raise DataError(f'{file}: no images below the column names')
    pixels, labels, usage, ids = (np.concatenate(column) for column in zip(*parts))
    if columns.usage is None:
        usage = None
    return pixels.reshape(-1, *size), labels, usage, ids, bad


def plain_batch(
    batch: Sequence[bytes], columns: Columns, labels: dict[Any, int], size: tuple[int, int]
) -> tuple[np.ndarray, ...] | None:
    """Parse lines in the plain form: (pixels, labels, usage, ids); None if any line is not in it."""
    rows = [line.split(b',', columns.n) for line in batch]
    if any(len(row) != columns.n for row in rows):
        return None
    label = [labels.get(unquote(row[columns.label])) for row in rows]
    usage = [0 if columns.usage is None else USAGES.get(unquote(row[columns.usage])) for row in rows]
    if None in label or None in usage:
        return None
    fields = [unquote(row[columns.pixels]) for row in rows]
    pixels = parse_pixels(fields, prod(size))
    if pixels is None:
        return None
    return (pixels, np.array(label, np.uint8), np.array(usage, np.uint8), np.arange(len(rows), dtype=np.int32))


def exact_batch(
    batch: Sequence[bytes], columns: Columns, labels: dict[Any, int], size: tuple[int, int], where: str, number: int
) -> tuple[tuple[np.ndarray, ...], list[str]]:
    """Parse lines one by one: (pixels, labels, usage, ids) of the good lines, and a message for each bad one."""
    good, bad, row = [], [], 0
    for k, line in enumerate(batch):
        if not line.strip():
            continue
        try:
            good.append((*parse_line(line, columns, labels, size), row))
        except DataError as error:
            bad.append(f'{where} {number + k}: {error}')
        row += 1
    pixels = np.array([pixels for _, _, pixels, _ in good], np.uint8).reshape(-1, prod(size))
    return (
        pixels,
        np.array([label for label, _, _, _ in good], np.uint8),
        np.array([usage for _, usage, _, _ in good], np.uint8),
        np.array([row for _, _, _, row in good], np.int32),
    ), bad

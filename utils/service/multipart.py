"""Parse several pictures in one body (multipart/form-data) in memory, without writing to a disk."""

from __future__ import annotations

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header


class BodyError(ValueError):
    """A body cannot be parsed. The message says why."""


def pictures_of(content_type: str, body: bytes, most: int) -> list[bytes]:
    """Return the parts of a body in their order, ignoring their names and other fields.

    Raises
    ------
    BodyError
        The body is damaged, or has no boundary, no parts or more than `most` parts.
    """
    boundary = parse_options_header(content_type)[1].get(b'boundary')
    if not boundary:
        raise BodyError('the body is multipart/form-data without a boundary')
    parts: list[list[bytes]] = []

    def begin():
        if len(parts) == most:
            raise BodyError(f'a request may have at most {most} pictures')
        parts.append([])

    ended: list[bool] = []
    try:
        parser = MultipartParser(
            boundary,
            {
                'on_part_begin': begin,
                'on_part_data': lambda data, start, end: parts[-1].append(data[start:end]),
                'on_end': lambda: ended.append(True),
            },
        )
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise BodyError(f'the body is not multipart/form-data: {error}') from None
    if not ended:
        raise BodyError('the body is not multipart/form-data: it ends before its last boundary')
    if not parts:
        raise BodyError('the body contains no picture')
    return [b''.join(part) for part in parts]

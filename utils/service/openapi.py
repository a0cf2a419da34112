"""The description of the service: an OpenAPI 3.1 document, and the same as a page without external resources."""

from __future__ import annotations

from html import escape
from typing import Any

from utils import __version__

_NUMBER, _TEXT = {'type': 'number'}, {'type': 'string'}
_WHOLE = {'type': 'integer'}
_FACE = {
    'type': 'object',
    'properties': {
        'faceRectangle': {
            'type': 'object',
            'properties': {name: _WHOLE for name in ('left', 'top', 'width', 'height')},
            'description': 'in pixels of the picture',
        },
        'scores': {
            'type': 'object',
            'additionalProperties': _NUMBER,
            'description': 'probability of every class; they sum to 1',
        },
        'answer': {**_TEXT, 'description': 'the most probable class, or "unsure"'},
        'detection': {**_NUMBER, 'description': 'score of the detector, 0 to 1'},
        'landmarks': {
            'type': 'array',
            'items': {'type': 'array', 'items': _NUMBER},
            'description': 'eyes, nose, corners of the mouth: (x, y) in pixels',
        },
    },
}
_RESULT = {
    'type': 'object',
    'properties': {
        'width': _WHOLE,
        'height': _WHOLE,
        'faces': {'type': 'array', 'items': _FACE, 'description': 'the largest first; empty if there is no face'},
    },
}
_ERROR = {'type': 'object', 'properties': {'error': _TEXT}}


def _answer(text: str, schema: dict) -> dict[str, Any]:
    return {'description': text, 'content': {'application/json': {'schema': schema}}}


_BINARY = {'schema': {'type': 'string', 'format': 'binary'}}
DESCRIPTION: dict[str, Any] = {
    'openapi': '3.1.0',
    'info': {
        'title': 'symfer',
        'version': __version__,
        'description': 'Finds faces in pictures and predicts how people would label their expressions. '
        'An expression is not a feeling.',
    },
    'paths': {
        '/recognise': {
            'post': {
                'summary': 'Recognises the faces of one picture or of several.',
                'requestBody': {
                    'required': True,
                    'description': 'the bytes of a picture, or multipart/form-data with one part per picture',
                    'content': {
                        'image/*': _BINARY,
                        'application/octet-stream': _BINARY,
                        'multipart/form-data': {
                            'schema': {
                                'type': 'object',
                                'properties': {'picture': {'type': 'array', 'items': _BINARY['schema']}},
                            }
                        },
                    },
                },
                'responses': {
                    '200': _answer(
                        'the result of one picture; for several, {"results": [...]} with an "error" for a bad picture',
                        {
                            'oneOf': [
                                _RESULT,
                                {'type': 'object', 'properties': {'results': {'type': 'array', 'items': _RESULT}}},
                            ]
                        },
                    ),
                    '400': _answer('not a picture, or a damaged one', _ERROR),
                    '403': _answer('the host or origin is not allowed', _ERROR),
                    '413': _answer('the body is too large', _ERROR),
                    '503': _answer('too many pictures are waiting; Retry-After says when to try again', _ERROR),
                },
            }
        },
        '/live': {
            'get': {
                'summary': 'A WebSocket for the frames of a camera.',
                'description': 'Each binary message is a picture, and each response is a result with numbers of '
                'persons ("person"). Send the next frame after the response to the last one.',
                'responses': {'101': {'description': 'the connection becomes a WebSocket'}},
            }
        },
        '/model': {
            'get': {
                'summary': 'Describes the model: classes, input size, training data, errors.',
                'responses': {'200': _answer('the model card', {'type': 'object'})},
            }
        },
        '/health': {
            'get': {
                'summary': 'Reports the status of the service.',
                'responses': {'200': _answer('status and number of waiting pictures', {'type': 'object'})},
            }
        },
    },
}


def as_html() -> str:
    """Return the description as an HTML page."""
    parts = []
    for path, methods in DESCRIPTION['paths'].items():
        for method, what in methods.items():
            rows = ''.join(
                f'<tr><th scope="row">{escape(status)}</th><td>{escape(one["description"])}</td></tr>'
                for status, one in what['responses'].items()
            )
            body = what.get('requestBody', {}).get('description', '')
            parts.append(
                f'<section><h2>{method.upper()} {escape(path)}</h2><p>{escape(what["summary"])} '
                f'{escape(what.get("description", ""))}</p>'
                + (f'<p>Body: {escape(body)}.</p>' if body else '')
                + f'<table>{rows}</table></section>'
            )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1"><title>symfer: the interface</title>'
        '<link rel="icon" href="/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/page.css"></head><body><main><h1>The interface</h1>'
        f'<p>{escape(DESCRIPTION["info"]["description"])} For programs: <a href="/openapi.json">openapi.json</a>. '
        '<a href="/">Back to the page</a>.</p>' + ''.join(parts) + '</main></body></html>'
    )

"""Checks of every request: its host and origin, and the size of its body. Also response headers and the log."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.requests import Request

    from utils.service.limits import Limits

LOG = logging.getLogger('symfer.service')
LOCAL = ('localhost', '127.0.0.1', '::1')
HEADERS = {
    'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
    'cache-control': 'no-store',
}


class TooLarge(ValueError):
    """The body of a request is too large."""


def problem(status: int, text: str, **headers: str) -> JSONResponse:
    """Make a response with an error message."""
    return JSONResponse({'error': text}, status, headers={k.replace('_', '-'): v for k, v in headers.items()} or None)


async def body_of(request: Request, limits: Limits) -> bytes:
    """Read the body of a request, up to the limit.

    Raises
    ------
    TooLarge
        The declared or received size exceeds the limit.
    TimeoutError
        The body did not arrive in time.
    """
    text = f'a body may have at most {limits.body} bytes'
    declared = request.headers.get('content-length', '0')
    if declared.isdigit() and int(declared) > limits.body:
        raise TooLarge(text)

    async def collect():
        parts, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limits.body:
                raise TooLarge(text)
            parts.append(chunk)
        return b''.join(parts)

    return await asyncio.wait_for(collect(), limits.seconds)


def name_of(netloc: str) -> str:
    """Return the host in a Host or Origin header without its port; '' if there is none."""
    try:
        return (urlsplit(f'//{netloc}').hostname or '').lower()
    except ValueError:
        return ''


def _is_address(name):
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware that checks hosts and origins, sets response headers and writes the log.

    A request to an unknown host name is refused, so that a page elsewhere cannot reach the service under a name of its
    own (DNS rebinding). IP addresses are always accepted. A request from a page of another origin is refused unless the
    origin is allowed.

    Parameters
    ----------
    app : ASGI application
        Application that handles accepted requests.
    hosts : tuple of str
        Names of this service; '*' accepts every name.
    origins : tuple of str
        Other origins that may use the service, such as ``https://example.org``.
    """

    def __init__(self, app: Callable[..., Any], hosts: tuple[str, ...] = LOCAL, origins: tuple[str, ...] = ()) -> None:
        self.app, self.hosts, self.origins = app, hosts, origins

    def _refusal(self, headers):
        name = name_of(headers.get('host', ''))
        if '*' not in self.hosts and name not in self.hosts and not _is_address(name):
            return 'unknown host name: add a name with symfer serve --name'
        origin = headers.get('origin')
        if origin and origin not in self.origins and urlsplit(origin).netloc != headers.get('host'):
            return 'pages of other origins may not use this service: allow one with symfer serve --origin'
        return None

    async def __call__(self, scope: dict, receive: Callable[[], Awaitable], send: Callable[..., Awaitable]) -> None:
        if scope['type'] not in ('http', 'websocket'):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if scope['type'] == 'websocket':
            if refusal:
                await receive()
                await send({'type': 'websocket.close', 'code': 1008, 'reason': refusal[:120]})
                return
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def answer(message):
            nonlocal status
            if message['type'] == 'http.response.start':
                status = message['status']
                out = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    out.setdefault(key, value)
                if headers.get('origin') in self.origins:
                    out['access-control-allow-origin'] = headers['origin']
                    out['access-control-allow-headers'] = 'content-type'
                    out['vary'] = 'origin'
            await send(message)

        if refusal:
            await problem(403, refusal)(scope, receive, answer)
        else:
            await self.app(scope, receive, answer)
        # No name or address of the client, and only the beginning of the path.
        LOG.info('%s %s %d %.0f ms', scope['method'], scope['path'][:40], status, 1000 * (time.perf_counter() - began))

"""Frames of a camera over a WebSocket, one at a time: each is answered before the next is read."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from utils.recognition.images import PictureError
from utils.recognition.tables import as_json
from utils.recognition.tracks import Tracker
from utils.service.batcher import Busy

TRY_AGAIN, TOO_BIG, GONE_WRONG = 1013, 1009, 1011  # codes of RFC 6455 and its registry


def answer_of(one: Any) -> dict[str, Any]:
    """Return a `Recognition` as JSON, without the name of a file."""
    return {key: value for key, value in as_json(one).items() if key != 'file'}


async def live(socket: WebSocket) -> None:
    """Answer each binary message, a picture, by a JSON message with its faces and the numbers of the persons.

    Further messages are not read before the current one is answered. A frame that is not a picture, or that arrives
    while the service is busy, is answered by an error, and the connection stays open.
    """
    state = socket.app.state
    await socket.accept()
    if state.sockets >= state.limits.sockets:
        await socket.close(TRY_AGAIN, 'too many cameras are connected')
        return
    state.sockets += 1
    tracker, began = Tracker(), time.monotonic()
    try:
        while True:
            message = await asyncio.wait_for(socket.receive(), state.limits.seconds)
            if message['type'] == 'websocket.disconnect':
                return
            data = message.get('bytes')
            if not data:
                await socket.send_json({'error': 'a message must be the bytes of a picture'})
                continue
            if len(data) > state.limits.body:
                await socket.close(TOO_BIG, f'a message may have at most {state.limits.body} bytes')
                return
            await socket.send_json(await _answered(state, data, tracker, time.monotonic() - began))
    except (TimeoutError, WebSocketDisconnect):
        return
    finally:
        state.sockets -= 1
        try:
            await socket.close()
        except RuntimeError:
            pass  # already closed


async def _answered(state, data, tracker, seconds):
    try:
        (one,) = await state.batcher.recognise([data], tracker, seconds)
    except Busy:
        return {'error': 'too many pictures are waiting'}
    if isinstance(one, PictureError):
        return {'error': str(one)}
    if isinstance(one, BaseException):
        raise one
    return answer_of(one)

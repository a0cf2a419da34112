"""An address listened on, until a signal ends it."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from utils import __version__
from utils.experiment.resuming import class_named
from utils.files.extras import need
from utils.files.terminal import write_line
from utils.service.limits import Limits

if TYPE_CHECKING:
    from utils.recognition.classifier import Classifier
    from utils.recognition.recognise import Recogniser


def card_of(classifier: Classifier) -> dict[str, Any]:
    """What ``GET /model`` says of a model; with what lies beside its file, in a JSON file of the same name."""
    path = Path(classifier.model)
    card: dict[str, Any] = {
        'model': path.name,
        'symfer': __version__,
        'network': class_named(classifier.config['options']),
        'classes': list(classifier.classes),
        'size': list(classifier.size),
        'temperature': classifier.temperature,
        'views': classifier.views,
    }
    try:
        more = json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        more = {}
    return {**card, **more} if isinstance(more, dict) else card


def serve(
    recogniser: Recogniser,
    *,
    host: str = '127.0.0.1',
    port: int = 8000,
    origins: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    limits: Limits | None = None,
    say: Callable[[str], Any] = write_line,
) -> None:
    """Serve a model until Ctrl-C or SIGTERM.

    Parameters
    ----------
    recogniser : Recogniser
    host : str
        The address to listen on.
    port : int
        0 takes one that is free.
    origins : tuple of str
        Pages of other origins that may use it.
    names : tuple of str
        Names under which it is reached, apart from `host` and those of this machine itself.
    limits : Limits, optional

    Raises
    ------
    MissingExtra
        Starlette or uvicorn is not installed.
    OSError
        The address cannot be listened on.
    """
    for module in ('uvicorn', 'starlette', 'websockets', 'python_multipart'):
        need(module, 'serve', 'to serve')
    import uvicorn

    from utils.service.app import make_app
    from utils.service.guard import LOCAL

    limits = limits or Limits()
    listener = _listener(host, port)
    address = f'[{host}]' if ':' in host else host
    say('compiling the network')
    for n in (1, limits.batch):  # of every batch that may come, so that the first request does not wait
        recogniser.classifier(np.zeros((n, *recogniser.classifier.size), np.uint8))
    app = make_app(recogniser, card_of(recogniser.classifier), limits, hosts=(*LOCAL, host, *names), origins=origins)
    say(f'http://{address}:{listener.getsockname()[1]}  (Ctrl-C ends it)')
    if host not in LOCAL:
        say('everyone who reaches this address may use it: there are no passwords here')
    logging.getLogger('symfer.service').addHandler(logging.StreamHandler())
    logging.getLogger('symfer.service').setLevel(logging.INFO)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level='warning',
        server_header=False,
        ws_max_size=limits.body,
        ws_max_queue=2,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
        limit_concurrency=4 * limits.waiting,
        h11_max_incomplete_event_size=64 * 2**10,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens; OSError in one sentence where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise OSError(f'{host!r} is no address of this machine: {error}') from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(f'{host}:{port} cannot be listened on ({error.strerror}): give another --port') from None
    return listener

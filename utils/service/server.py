"""Serve a model on an address until a signal ends the process."""

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
    """Return the description of a model for ``GET /model``, extended by a JSON file of the same name beside it."""
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
    info: Callable[[str], Any] = write_line,
) -> None:
    """Serve a model until Ctrl-C or SIGTERM.

    Parameters
    ----------
    recogniser : Recogniser
        Recogniser with the model.
    host : str
        Address to listen on.
    port : int
        Port to listen on; 0 chooses a free one.
    origins : tuple of str
        Other origins whose pages may use the service.
    names : tuple of str
        Host names of the service, in addition to `host` and the local names.
    limits : Limits, optional
        Limits of the service.
    info : callable
        Called with each line to print.

    Raises
    ------
    MissingExtra
        A library of the extra [serve] is not installed.
    OSError
        The service cannot listen on the address.
    """
    for module in ('uvicorn', 'starlette', 'websockets', 'python_multipart'):
        need(module, 'serve', 'to serve')
    import uvicorn

    from utils.service.app import make_app
    from utils.service.guard import LOCAL

    limits = limits or Limits()
    listener = _listener(host, port)
    address = f'[{host}]' if ':' in host else host
    info('compiling the network')
    for n in (1, limits.batch):  # compile in advance, so that the first request does not wait
        recogniser.classifier(np.zeros((n, *recogniser.classifier.size), np.uint8))
    app = make_app(recogniser, card_of(recogniser.classifier), limits, hosts=(*LOCAL, host, *names), origins=origins)
    info(f'http://{address}:{listener.getsockname()[1]}  (press Ctrl-C to stop)')
    if host not in LOCAL:
        info('everyone who can reach this address can use the service: there are no passwords')
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
    """Open a listening socket; raise a one-line OSError if this fails."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise OSError(f'{host!r} is not an address of this machine: {error}') from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(f'cannot listen on {host}:{port} ({error.strerror}): give another --port') from None
    return listener

"""How large, how many, how long: the bounds of a service."""

from __future__ import annotations

from dataclasses import dataclass

from utils.recognition.images import MOST_PIXELS


@dataclass(frozen=True)
class Limits:
    """Bounds of a service.

    Attributes
    ----------
    body : int
        Bytes of a request's body and of a message of a WebSocket.
    pixels : int
        Of a picture; read from its header before memory is taken.
    pictures : int
        In one request.
    waiting : int
        Pictures that may wait for their turn; a request beyond them is answered with 503.
    batch : int
        Pictures that go through the network together, of `pixels` pixels in all.
    seconds : float
        That a request may take to arrive, and to be answered.
    sockets : int
        WebSockets open at once.
    """

    body: int = 10 * 2**20
    pixels: int = MOST_PIXELS
    pictures: int = 16
    waiting: int = 32
    batch: int = 8
    seconds: float = 30.0
    sockets: int = 8

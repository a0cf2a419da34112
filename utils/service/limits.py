"""The limits of a service: size, number and time."""

from __future__ import annotations

from dataclasses import dataclass

from utils.recognition.images import MOST_PIXELS


@dataclass(frozen=True)
class Limits:
    """Limits of a service.

    Attributes
    ----------
    body : int
        Largest size in bytes of a request's body and of a WebSocket message.
    pixels : int
        Largest number of pixels of a picture, read from its header before memory is allocated.
    pictures : int
        Largest number of pictures in a request.
    waiting : int
        Largest number of waiting pictures; further requests are answered with status 503.
    batch : int
        Largest number of pictures that are processed together. A batch also ends at `pixels` / 2 pixels in total.
    seconds : float
        Time in seconds that a request may take to arrive, and to be processed.
    sockets : int
        Largest number of open WebSockets.
    """

    body: int = 10 * 2**20
    pixels: int = MOST_PIXELS
    pictures: int = 16
    waiting: int = 32
    batch: int = 8
    seconds: float = 30.0
    sockets: int = 8

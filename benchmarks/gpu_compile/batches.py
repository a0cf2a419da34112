"""The largest minibatch whose training step fits into a memory."""

from collections.abc import Callable

MEMORIES = (8, 16, 24, 80)  # units of 10**9 bytes
MOST = 1 << 16
CLOSE = 50  # the answer is within 1 / CLOSE of the optimum


def largest_batch(peak: Callable[[int], float], memory: float, known: dict[int, float], most: int = MOST) -> int | None:
    """Find the largest minibatch that needs at most `memory` bytes, within two per cent, by an interpolation search.

    Parameters
    ----------
    peak : callable
        Function from the size of a minibatch to the bytes that it needs; nearly linear and never decreasing. It is
        called for a few sizes.
    memory : float
        Size of the memory in bytes.
    known : dict of int to float
        Known values of `peak`; new ones are added.
    most : int
        Largest size to try.

    Returns
    -------
    int or None
        `most` if it fits; None if not even one image fits.
    """

    def fits(size):
        if size not in known:
            known[size] = peak(size)
        return known[size] <= memory

    if not fits(1):
        return None
    fits(min(100, most))
    while True:
        below = max(size for size in known if known[size] <= memory)
        above = min((size for size in known if known[size] > memory), default=most + 1)
        if above - below <= max(1, below // CLOSE):
            return below
        # Linear interpolation through the two nearest sizes; a step to either side of it closes the bracket.
        near = sorted(known, key=lambda size: abs(known[size] - memory))[:2]
        (a, b) = sorted(near) if len(near) == 2 else (1, below)
        slope = (known[b] - known[a]) / (b - a) if b > a else 0
        guess = int(b + (memory - known[b]) / slope) if slope > 0 else (below + above) // 2
        step = max(1, below // (2 * CLOSE))
        guess = guess if abs(guess - below) > step else below + step
        guess = guess if abs(guess - above) > step else above - step
        fits(max(below + 1, min(guess, above - 1)))

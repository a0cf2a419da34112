"""Batch waiting requests for detector and network, in a separate thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from utils.recognition import images
from utils.recognition.sources import Frame

if TYPE_CHECKING:
    from utils.recognition.recognise import Recogniser
    from utils.recognition.tracks import Tracker
    from utils.service.limits import Limits


class Busy(RuntimeError):
    """Too many pictures are waiting."""


@dataclass(eq=False)
class _Job:
    data: bytes
    tracker: Any
    time: float | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future

    def settle(self, result=None, error=None):
        def put():
            if not self.future.done():  # the request may have been cancelled
                self.future.set_exception(error) if error else self.future.set_result(result)

        self.loop.call_soon_threadsafe(put)


class Batcher:
    """A thread that recognises the faces of encoded pictures; a context manager, whose exit stops the thread.

    Pictures are decoded in the thread one by one, and at most one batch is kept decoded. Memory therefore does not grow
    with the number of requests.

    Parameters
    ----------
    recogniser : Recogniser
        Recogniser, or an object with the same method `recognise`.
    limits : Limits
        Limits of the service.
    """

    def __init__(self, recogniser: Recogniser, limits: Limits) -> None:
        self.recogniser, self.limits = recogniser, limits
        self.queue: queue.Queue[_Job | None] = queue.Queue()
        self.pending, self.lock = 0, threading.Lock()
        self.thread = threading.Thread(target=self._work, name='recognition', daemon=True)

    def __enter__(self) -> Batcher:
        self.thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.queue.put(None)
        self.thread.join(timeout=self.limits.seconds)

    async def recognise(
        self, pictures: list[bytes], tracker: Tracker | None = None, time: float | None = None
    ) -> list[Any]:
        """Recognise the faces of encoded pictures.

        Parameters
        ----------
        pictures : list of bytes
            Contents of picture files.
        tracker : Tracker, optional
            Tracker that numbers the persons of a camera.
        time : float, optional
            Time of the picture in seconds, for the tracker.

        Returns
        -------
        list of Recognition or Exception
            Result of each picture, or the error, such as a `PictureError`, that says why there is none.

        Raises
        ------
        Busy
            Too many pictures are waiting.
        TimeoutError
            The pictures were not processed in time.
        """
        with self.lock:
            if self.pending + len(pictures) > self.limits.waiting:
                raise Busy
            self.pending += len(pictures)
        loop = asyncio.get_running_loop()
        jobs = [_Job(data, tracker, time, loop, loop.create_future()) for data in pictures]
        for job in jobs:
            self.queue.put(job)
        waiting = asyncio.gather(*(job.future for job in jobs), return_exceptions=True)
        return await asyncio.wait_for(waiting, self.limits.seconds)

    def _work(self):
        held = None
        while True:
            job, held = held or self.queue.get(), None
            if job is None:
                return
            jobs, frames, pixels = [], [], 0
            while job is not None:
                with self.lock:
                    self.pending -= 1
                frame = self._decoded(job)
                if frame is not None:
                    jobs.append(job)
                    frames.append(frame)
                    pixels += frame.picture.shape[0] * frame.picture.shape[1]
                if len(jobs) >= self.limits.batch or pixels >= self.limits.pixels // 2 or job.tracker:
                    break
                try:
                    job = self.queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    self.queue.put(None)  # stop after the current batch
                elif job.tracker:
                    held, job = job, None
            self._recognise(jobs, frames)

    def _decoded(self, job):
        if job.future.cancelled():
            return None
        try:
            return Frame('picture', None, job.time, images.decode(job.data, most_pixels=self.limits.pixels))
        except images.PictureError as error:
            job.settle(error=error)
        except MemoryError:
            job.settle(error=images.PictureError('the picture needs more memory than is available'))
        return None

    def _recognise(self, jobs, frames):
        if not frames:
            return
        try:
            results = self.recogniser.recognise(frames, jobs[0].tracker)
        except Exception as error:  # a picture must not stop the service; its request gets status 500
            for job in jobs:
                job.settle(error=error)
            return
        for job, result in zip(jobs, results):
            job.settle(result)

"""The sub-command ``symfer predict``: applies a model to photographs, folders, videos and cameras."""

import sys
from typing import Any

from utils.cli.registry import command
from utils.experiment.kinds import Choice, Flag, Location, Number, Own, Several, Text, Whole

SOURCE, MODEL, FILE, NETWORK = Location('SOURCE'), Location('MODEL'), Location('FILE'), Own('a network', 'Class')


@command('predict')
def predict(
    sources: Several(SOURCE, 'pictures, folders or videos') = (),
    *,
    model: MODEL = None,
    camera: Whole() = None,
    csv: FILE = None,
    json: FILE = None,
    annotate: Location('OUT') = None,
    timeline: FILE = None,
    detector: Text('NAME') = 'yunet',
    level: Flag() = False,
    views: Choice('mirror', 'shifts', 'none') = 'mirror',
    min_probability: Number(least=0) = 0.0,
    raw: Flag() = False,
    every: Whole(1) = 1,
    network: NETWORK = None,
    overwrite: Flag() = False,
) -> None:
    """Find faces in photographs and video, and recognise their emotions.

    Parameters
    ----------
    sources : list of path
        Pictures, folders of pictures, videos.
    model : path, optional
        A model file; by default the one that ships with symfer.
    camera : int, optional
        Number of a camera, 0 for the first, instead of files; Ctrl-C ends it.
    csv : path, optional
        Write a table with a row for each face.
    json : path, optional
        Write the results as JSON in the format of Microsoft's Emotion API; - is standard output.
    annotate : path, optional
        Write pictures or video with boxes, labels and bars: a file, or a folder for several.
    timeline : path, optional
        Write a figure of the classes over the time of a video.
    detector : str
        yunet; or none if each picture is a single face.
    level : bool
        Rotate each face so that its eyes are level.
    views : str
        Test-time augmentation. mirror: mean over a face and its mirror image; shifts: mean over both in five positions
        each; none: the face alone.
    min_probability : float
        Smallest probability of an answer; below it the answer is "unsure".
    raw : bool
        Do not apply the model's temperature.
    every : int
        Use every N-th frame of a video.
    network : class, optional
        The network's class, if it is your own: script.py:Class.
    overwrite : bool
        Overwrite existing files.
    """
    import launch
    from utils.recognition import session
    from utils.recognition.classifier import Classifier
    from utils.recognition.recognise import shipped_model

    given = [*sources, *([] if camera is None else [camera])]
    if not given:
        raise ValueError('symfer predict needs a picture, a folder, a video or --camera 0')
    classifier = Classifier(launch.CONTEXT, model or shipped_model(), network=network, raw=raw, views=views)
    with display(given) as progress:
        session.predict(
            classifier,
            given,
            detector=detector,
            level=level,
            min_probability=min_probability,
            every=every,
            csv=csv,
            json=json,
            annotate=annotate,
            timeline=timeline,
            overwrite=overwrite,
            progress=progress,
        )


class display:  # noqa: N801  (used as a function)
    """Progress bar with frames per second and the time left; only on a terminal and for more than one picture."""

    def __init__(self, given: Any) -> None:
        from utils.recognition.sources import length_of

        lengths = [length_of(one) for one in given]
        self.total = None if None in lengths else sum(n for n in lengths if n)
        self.bar: Any = None

    def __enter__(self) -> Any:
        if self.total == 1 or not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        speed = TextColumn('{task.fields[speed]} frames/s, time left')
        columns = TextColumn('{task.completed} frames'), BarColumn(), TaskProgressColumn(), speed, TimeRemainingColumn()
        self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task('', total=self.total, speed='')
        self.bar.start()
        return self.update

    def update(self, n: int) -> None:
        """Show that `n` frames are done."""
        speed = self.bar.tasks[0].speed
        self.bar.update(self.task, completed=n, speed=f'{speed:.1f}' if speed else '')

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.stop()

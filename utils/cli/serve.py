"""The sub-command ``symfer serve``: a model behind HTTP, with a page."""

from utils.cli.registry import command
from utils.experiment.kinds import Choice, Flag, Location, Number, Own, Several, Text, Whole

MODEL, NETWORK = Location('MODEL'), Own('a network', 'Class')


@command('serve')
def serve(
    *,
    model: MODEL = None,
    host: Text('ADDRESS') = '127.0.0.1',
    port: Whole(0, 65536) = 8000,
    name: Several(Text('NAME'), 'names') = (),
    origin: Several(Text('URL'), 'origins') = (),
    detector: Text('NAME') = 'yunet',
    level: Flag() = False,
    views: Choice('mirror', 'shifts', 'none') = 'mirror',
    min_probability: Number(least=0) = 0.0,
    raw: Flag() = False,
    network: NETWORK = None,
) -> None:
    """Serve a model: a page for pictures and the camera, and JSON.

    Parameters
    ----------
    model : path, optional
        A model file; by default the one that ships with symfer.
    host : str
        The address to listen on. 127.0.0.1 is reached from this machine alone; 0.0.0.0 from everywhere.
    port : int
        0 takes one that is free.
    name : list of str
        Names under which it is reached, where these are others than its address.
    origin : list of str
        Pages of other origins that may use it, as https://example.org; none by default.
    detector : str
        yunet, or none: a picture is a face.
    level : bool
        Turn each face so that its eyes are level.
    views : str
        mirror: the mean over a face and its mirror image; shifts: over these in five frames; none: the face alone.
    min_probability : float
        The answer is "unsure" below it.
    raw : bool
        Leave out the temperature that the model holds.
    network : class, optional
        The network's class, where it is one of your own: script.py:Class.
    """
    import launch
    from utils.recognition.classifier import Classifier
    from utils.recognition.recognise import Recogniser, shipped_model
    from utils.service import server

    classifier = Classifier(launch.CONTEXT, model or shipped_model(), network=network, raw=raw, views=views)
    recogniser = Recogniser(classifier, detector, level=level, min_probability=min_probability)
    server.serve(recogniser, host=host, port=port, origins=tuple(origin), names=tuple(name))

"""The sub-command ``symfer serve``: serves a model over HTTP, with a page."""

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
        Address to listen on. 127.0.0.1 is only reachable from this machine, 0.0.0.0 from everywhere.
    port : int
        Port; 0 takes a free one.
    name : list of str
        Host names of the server, if it is not addressed by its IP address.
    origin : list of str
        Origins of other pages that may use the server, such as https://example.org; by default none.
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
    network : class, optional
        The network's class, if it is your own: script.py:Class.
    """
    import launch
    from utils.recognition.classifier import Classifier
    from utils.recognition.recognise import Recogniser, shipped_model
    from utils.service import server

    classifier = Classifier(launch.CONTEXT, model or shipped_model(), network=network, raw=raw, views=views)
    recogniser = Recogniser(classifier, detector, level=level, min_probability=min_probability)
    server.serve(recogniser, host=host, port=port, origins=tuple(origin), names=tuple(name))

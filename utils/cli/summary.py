"""The sub-command ``symfer summary``: shows the layers of a network."""

from utils.cli.data import Size
from utils.cli.registry import command
from utils.experiment import schema
from utils.experiment.kinds import Location, Text, Whole

NETWORK, FILE = Text('NETWORK'), Location('FILE')
OF_NETWORK = (*schema.names(part='network'), 'network_args')


@command('summary')
def summary(
    network: NETWORK, *, size: Size() = None, classes: Whole(1) = None, drawing: FILE = None, **options: OF_NETWORK
) -> None:
    """Show the layers of a network, its parameters and operations.

    Parameters
    ----------
    network : str
        A network's name, ``script.py:Class``, a model file or the folder of a run.
    size : (int, int), optional
        Height and width of the images; by default those of the model, otherwise 48x48.
    classes : int, optional
        Number of classes; by default that of the model, otherwise 7.
    drawing : path, optional
        File for a drawing of the layers: .svg, .png or .pdf (by Graphviz), .mmd (text for Mermaid) or .dot.
    """
    import launch

    print(launch.summary(network, size, classes, drawing=drawing, **launch.configured(options)))

"""The sub-commands, one function each. The signature defines the command line, the docstring the help.

The annotation of a parameter is the kind of its values; that of ``**options`` names arguments of `launch.test`. A
function only gets the options that the user gave. The modules that do the work are imported inside the functions.
"""

import sys

from utils.cli.registry import command
from utils.cli.sample import with_sample
from utils.experiment import schema
from utils.experiment.kinds import Choice, Flag, Location, Number, Own, Several, Text, Whole

EVERY = tuple(name for name in schema.ARGUMENTS if name != 'on_epoch')
HOSTS = ('hosts', 'host_index', 'n_hosts')
IN_A_STUDY = tuple(name for name in EVERY if name not in ('resume', *HOSTS))
ON_RESUMING = (
    'dataset',
    'trainShared',
    'n_epochs',
    'anneal_epochs',
    'patience',
    'special_test',
    'savename',
    'save_every',
    'accept_changed_network',
    'name',
    'show_test',
    'report',
    'track',
    'verbose',
    'devices',
    *HOSTS,
)
MODEL, SET, RUN = (Location(metavar) for metavar in ('MODEL', 'SET', 'RUN'))
FOLDER, FILE, NETWORK = Location('FOLDER'), Location('FILE'), Own('a network', 'Class')
VALUES, RANGE = Text('ARG=V,V'), Text('ARG=LOW..HIGH')


class Average(Choice):
    """A choice that accepts 'linear', the former name of 'logits'."""

    def read(self, word: str) -> str:
        if word != 'linear':
            return word
        print('warning: --average linear is now --average logits', file=sys.stderr)
        return 'logits'


# ---------------------------------------------------------------------------------------- one run


@command('train')
def train(*, folds: Whole(2) = None, **options: EVERY) -> None:
    """Run one experiment: train, retrain, anneal, test, save, plot.

    Parameters
    ----------
    folds : int, optional
        Number of folds of a cross-validation: run the experiment for each, and pool the predictions for all images. The
        folds are by person if the set identifies people. The same command again resumes.
    """
    import launch

    options = with_sample(launch.configured(options))
    if folds is None:
        launch.test(**options)
    else:
        launch.cross_validate(folds, **options)


@command('resume')
def resume(model: MODEL, **options: ON_RESUMING) -> None:
    """Resume an interrupted experiment, or train more epochs.

    Parameters
    ----------
    model : path
        A model file.
    """
    import launch

    launch.test(resume=model, **launch.configured(options))


@command('evaluate')
def evaluate(
    model: MODEL,
    datasets: Several(SET, 'sets'),
    *,
    network: NETWORK = None,
    folder: FOLDER = None,
    batch_size: Whole(1) = 100,
    special_test: Flag() = True,
    report: Flag() = True,
) -> None:
    """Test a saved model, or several, on the test images of any sets.

    Parameters
    ----------
    model : path
        A model file, or the folder of a run.
    datasets : list of path
        HDF5 set with the image size and the classes of the model. Several sets give a matrix of errors; further models
        may be among them, and these sets may have other classes and image sizes.
    network : class, optional
        The network's class, if it is your own: script.py:Class.
    folder : path, optional
        Output folder; by default the next evaluation-001, or matrix-001, beside the record of the model's runs.
    batch_size : int
        Number of images per call of the device.
    special_test : bool
        Also test on all views of each image.
    report : bool
        Draw the figures and write the HTML report.
    """
    import launch
    from utils.files.models import is_model

    options = dict(network=network, folder=folder, batch_size=batch_size, special_test=special_test, report=report)
    if len(datasets) == 1:
        launch.evaluate(model, datasets[0], **options)
    else:
        models, sets = [model], []
        for path in datasets:
            (models if is_model(path) else sets).append(path)
        launch.cross_evaluate(models, sets, **options)


# ------------------------------------------------------------------------------------- many runs


@command('export')
def export(
    model: MODEL,
    *,
    format: Choice('h5', 'safetensors', 'onnx', 'stablehlo') = None,
    out: FILE = None,
    network: NETWORK = None,
    best: Flag() = False,
    overwrite: Flag() = False,
) -> None:
    """Export a saved model for inference.

    Parameters
    ----------
    model : path
        A model file.
    format : str, optional
        h5: a model file without the training state; safetensors: the same; onnx: images to probabilities, for other
        programs; stablehlo: the same for JAX. By default the format given by the ending of the file.
    out : path, optional
        Output file; by default beside the model, with the ending of the format.
    network : class, optional
        The network's class, if it is your own: script.py:Class.
    best : bool
        Export the parameters of the best epoch, which never saw the validation images, instead of the last ones.
    overwrite : bool
        Overwrite an existing file.
    """
    import launch

    path = launch.export(model, out, format=format, network=network, best=best, overwrite=overwrite)
    print(f"'{path}', {path.stat().st_size / 2**20:.1f} MiB")


@command('sweep')
def sweep(
    values: Several(VALUES, 'values of arguments') = (),
    *,
    seeds: Several(Whole(), 'seeds') = (),
    workers: Text('N|ray|ray:N') = 1,
    address: Text('ADDRESS') = None,
    **options: IN_A_STUDY,
) -> None:
    """Run every combination of values of arguments with every seed.

    Parameters
    ----------
    values : list
        Values of arguments of train: ``learning_rate=0.05,0.1 n_hidden=[8],[8,8]``.
    seeds : list of int
        Seeds for each combination; by default only --seed.
    workers : int or str
        Number of processes on this machine; or ray; or ray:N for N workers of a cluster that is started here.
    address : str, optional
        Address of a Ray cluster.
    """
    import launch
    from utils.studies.grid import parse_grid

    grid, options = parse_grid(values), launch.configured(options)
    seed = options.pop('seed', 0)
    seeds = seeds or [seed]
    launch.sweep(grid, seeds, workers=workers, address=address, **with_sample(options, grid))


@command('search')
def search(ranges: Several(RANGE, 'ranges'), *, trials: Whole(1) = 20, **options: IN_A_STUDY) -> None:
    """Search ranges of arguments with Optuna.

    Parameters
    ----------
    ranges : list
        Ranges ``p_drop=0.2..0.7`` or ``learning_rate=log:0.01..0.3``, or choices ``n_hidden=[8],[8,8]``.
    trials : int
        Total number of trials.
    """
    import launch
    from utils.studies.search import parse_space

    space = parse_space(ranges)
    launch.search(space, trials, **with_sample(launch.configured(options), space))


@command('lr-find')
def lr_find(
    *,
    lowest: Number(above=0) = 1e-4,
    highest: Number(above=0) = 10.0,
    steps: Whole(6) = 100,
    figure: FILE = 'rates.png',
    **options: IN_A_STUDY,
) -> None:
    """Find a learning rate by a range test: where the cost falls fastest.

    Parameters
    ----------
    lowest, highest : float
        First and last learning rate.
    steps : int
        Number of minibatches.
    figure : path
        File of the figure.
    """
    import launch

    launch.rate_range(
        lowest=lowest, highest=highest, steps=steps, figure=figure, **with_sample(launch.configured(options))
    )


@command('compare')
def compare(runs: Several(RUN, 'runs'), *, folder: FOLDER = None) -> None:
    """Compare finished runs: means over seeds, paired tests, curves.

    Parameters
    ----------
    runs : list of path
        Folders of runs, or models.
    folder : path, optional
        Output folder; by default the next comparison-001 beside the models.
    """
    from utils.record.reading import beside
    from utils.studies.comparison import compare

    compare(runs, folder or beside(runs[0], 'comparison'))


@command('ensemble')
def ensemble(
    runs: Several(RUN, 'runs'),
    *,
    average: Average('probabilities', 'logits') = 'probabilities',
    all: Flag() = False,
    folder: FOLDER = None,
) -> None:
    """Combine finished runs into an ensemble and evaluate it.

    Parameters
    ----------
    runs : list of path
        Folders of runs, or models.
    average : str
        Outputs of the members that are averaged.
    all : bool
        Use all members; by default they are chosen on the validation images.
    folder : path, optional
        Output folder; by default the next ensemble-001 beside the models.
    """
    from utils.record.reading import beside
    from utils.studies.ensembles import ensemble

    ensemble(runs, average, not all, folder or beside(runs[0], 'ensemble'))

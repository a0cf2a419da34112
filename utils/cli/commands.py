"""The sub-commands: one function each. Its signature is its command line, its docstring its help.

A parameter's annotation is the kind of its values; ``**options`` are arguments of `launch.test`, those that the
annotation names. A function is given only what the user gave. What does the work is imported here, when it is needed.
"""

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


# ---------------------------------------------------------------------------------------- one run


@command('train')
def train(*, folds: Whole(2) = None, **options: EVERY) -> None:
    """Run one experiment: train, retrain, anneal, test, save, plot.

    Parameters
    ----------
    folds : int, optional
        Cross-validation: run it for every fold of so many, by person where the set knows people, and pool the answers
        to all images. The same command again goes on.
    """
    import launch

    options = with_sample(launch.configured(options))
    if folds is None:
        launch.test(**options)
    else:
        launch.cross_validate(folds, **options)


@command('resume')
def resume(model: MODEL, **options: ON_RESUMING) -> None:
    """Go on with an interrupted experiment, or with more epochs.

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
        HDF5 set with the images' size and the classes of the model. Several give the matrix of errors: models may
        stand among them, and the sets may have other classes and sizes.
    network : class, optional
        ``script.py:Class``, where the network is one of your own.
    folder : path, optional
        Where to write; by default the next evaluation-001, or matrix-001, beside the record of the model's runs.
    batch_size : int
        Images per call of the device.
    special_test : bool
        Also on all views of each image.
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
    kept: Flag() = False,
    overwrite: Flag() = False,
) -> None:
    """Write a saved model in a format for use.

    Parameters
    ----------
    model : path
        A model file.
    format : str, optional
        h5: a model file without what only training needs; safetensors: the same; onnx: images to probabilities, for
        other programs; stablehlo: likewise for JAX. By default that of the ending of the file.
    out : path, optional
        The file to write; by default beside the model, with the ending of the format.
    network : class, optional
        The network's class, where it is one of your own: script.py:Class.
    kept : bool
        The parameters of the kept epoch, which never saw the validation images, in place of the last ones.
    overwrite : bool
        Write over a file that is there already.
    """
    import launch

    path = launch.export(model, out, format=format, network=network, kept=kept, overwrite=overwrite)
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
        Run each combination with each of these; by default with --seed alone.
    workers : int or str
        Processes of this machine; ray, or ray:N for N workers of a cluster that is started here.
    address : str, optional
        Of a Ray cluster.
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
        Trials in all.
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
    """Find a learning rate: where the cost falls fastest as it grows.

    Parameters
    ----------
    lowest, highest : float
        Rates to begin and to end with.
    steps : int
        Minibatches.
    figure : path
        Where to draw it.
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
        Where to write; by default the next comparison-001 beside the models.
    """
    from utils.record.reading import beside
    from utils.studies.comparison import compare

    compare(runs, folder or beside(runs[0], 'comparison'))


@command('ensemble')
def ensemble(
    runs: Several(RUN, 'runs'),
    *,
    average: Choice('probabilities', 'linear') = 'probabilities',
    all: Flag() = False,
    folder: FOLDER = None,
) -> None:
    """Combine finished runs and evaluate what comes out.

    Parameters
    ----------
    runs : list of path
        Folders of runs, or models.
    average : str
        What is averaged.
    all : bool
        Take all members; by default they are chosen on the validation images.
    folder : path, optional
        Where to write; by default the next ensemble-001 beside the models.
    """
    from utils.record.reading import beside
    from utils.studies.ensembles import ensemble

    ensemble(runs, average, not all, folder or beside(runs[0], 'ensemble'))

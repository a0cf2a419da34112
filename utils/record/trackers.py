"""Optional trackers, which send the epochs and the result of a run to TensorBoard or MLflow.

==================  ===========================================================================
`TensorBoard`       writes event files to the run's folder (extra ``[tensorboard]``)
`MLflow`            makes a run on an MLflow server or in a folder (extra ``[mlflow]``)
`check`             checks the names of trackers
`needed`            imports an optional library, or says how to install it
==================  ===========================================================================

A tracker has the methods ``epoch(row)`` and ``end(status, result)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MEASURES = ('rate', 'train_cost', 'train_cross_entropy', 'validation_error', 'validation_cross_entropy', 'test_error')
RESULTS = ('validation_error', 'validation_cross_entropy', 'test_error', 'special_test_error')


def needed(module: str, extra: Any) -> Any:
    """Import an optional library, or raise a ValueError that says how to install it."""
    try:
        return __import__(module)
    except ImportError as error:
        raise ValueError(f'{module} is not installed: pip install -e ".[{extra}]" ({error})') from None


def _place(row):
    """Return the stage of an epoch and, in stage pretrain, the layer."""
    return [row[key] for key in ('stage', 'layer') if row.get(key)]


class TensorBoard:
    """Curves of each stage in ``<run folder>/tensorboard``, for ``tensorboard --logdir``.

    Parameters
    ----------
    folder : Path
        Run folder.
    options : dict
        Arguments of the run.
    name : str
        Name of the run; not used here.
    """

    def __init__(self, folder: Path, options: dict[str, Any], name: str) -> None:
        needed('tensorboardX', 'tensorboard')
        from tensorboardX import SummaryWriter

        self.folder = Path(folder)
        self.writer = SummaryWriter(str(self.folder / 'tensorboard'))
        self.writer.add_text('arguments', '\n'.join(f'    {key}: {value}' for key, value in options.items()))

    def epoch(self, row: dict[str, Any]) -> None:
        for key in MEASURES:
            if row[key] is not None:
                self.writer.add_scalar('/'.join([*_place(row), key]), row[key], row['epoch'])
        self.writer.flush()

    def end(self, status: str, result: dict[str, Any]) -> None:
        for key in RESULTS:
            if result.get(key) is not None:
                self.writer.add_scalar(f'result/{key}', result[key])
        self.writer.close()


class MLflow:
    """A run of the experiment 'symfer' at ``MLFLOW_TRACKING_URI``, or in MLflow's default store.

    Parameters
    ----------
    folder : Path
        Run folder.
    options : dict
        Arguments of the run.
    name : str
        Name of the run.
    """

    def __init__(self, folder: Path, options: dict[str, Any], name: str) -> None:
        self.mlflow = needed('mlflow', 'mlflow')
        from mlflow.tracking import MlflowClient

        folder = Path(folder)
        self.client = MlflowClient()
        experiment = self.client.get_experiment_by_name('symfer')
        number = experiment.experiment_id if experiment else self.client.create_experiment('symfer')
        self.run = self.client.create_run(number, run_name=name, tags={'folder': str(folder)}).info.run_id
        self.epochs = 0
        for key, value in options.items():
            self.client.log_param(self.run, key, str(value)[:500])

    def epoch(self, row: dict[str, Any]) -> None:
        self.epochs += 1
        for key in MEASURES:
            if row[key] is not None:
                self.client.log_metric(self.run, '.'.join([*_place(row), key]), row[key], step=row['epoch'])

    def end(self, status: str, result: dict[str, Any]) -> None:
        for key in RESULTS:
            if result.get(key) is not None:
                self.client.log_metric(self.run, key, result[key])
        self.client.set_terminated(
            self.run, {'finished': 'FINISHED', 'interrupted': 'KILLED', 'pruned': 'KILLED'}.get(status, 'FAILED')
        )


TRACKERS = {'tensorboard': TensorBoard, 'mlflow': MLflow}
LIBRARIES = {'tensorboard': 'tensorboardX', 'mlflow': 'mlflow'}


def check(names: Sequence[str]) -> list[Any]:
    """Raise ValueError for an unknown tracker or one whose library is not installed; return the list of names."""
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f'track must be one or more of {", ".join(map(repr, TRACKERS))}, got {name!r}')
        needed(LIBRARIES[name], name)
    return names

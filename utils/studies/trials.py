"""One trial, once: done already, gone on with, or run.

A trial is a plain run: a model file of its own, with its run folder. What is done is read from these, so a sweep that
was interrupted is given the same command again. Nothing is chosen on the test images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.experiment import schema
from utils.experiment.arguments import NETWORK_OPTIONS
from utils.experiment.resuming import class_named, folder_source, saved_source
from utils.files import models, yaml_
from utils.files.locks import try_model_lock
from utils.record import reading

if TYPE_CHECKING:
    from utils.annotations import StrPath


@dataclass(frozen=True)
class Specification:
    """What a point is to be, in the form in which runs and models save it.

    Attributes
    ----------
    options : dict
        All arguments of `launch.test`; an option of the network that is None, here or in a run, is the class's own.
    defaults : dict
        Those that a run of an earlier version, which did not have them, had.
    content_digest : str
        Of the data set.
    network_source : str or None
        See `utils.experiment.resuming.network_source`; None where any is taken.
    bundled : bool
        Whether the network is one of symfer's.
    teacher_digest : str or None
        Of the teacher's parameters, where there is one.
    """

    options: dict
    defaults: dict
    content_digest: str
    network_source: str | None
    bundled: bool
    teacher_digest: str | None = None

    def is_that_of(self, saved: dict[str, Any], about: dict[str, Any], source: str) -> bool:
        """Whether a run with these arguments, digests of its set and teacher and source of its network was the same.

        A set is known by its digest wherever it lies; by its path in runs of early versions, which have no digest. So
        is a teacher.
        """
        content_digest = about.get('content_digest')
        skip = {*schema.names(decides='nothing'), 'network', 'teacher', *(('dataset',) if content_digest else ())}
        saved = {**self.defaults, **schema.renamed(saved)}
        return (
            content_digest in (None, self.content_digest)
            and about.get('teacher_digest') == self.teacher_digest
            and (None in (source, self.network_source) or source == self.network_source)
            and class_named(saved) == self.options['network']
            and all(
                key in skip or saved[key] == value or (key in NETWORK_OPTIONS and None in (saved[key], value))
                for key, value in self.options.items()
            )
        )


def finished_run(model: StrPath, wanted: Any) -> Path | None:
    """The last finished run of a model file that was this `Specification`, or None."""
    return _last_run(model, wanted, 'finished')


def _last_run(model, wanted, status):
    for folder in sorted(Path(model).with_suffix('').glob('run-*'), reverse=True):
        if reading.status_of(folder) == status:
            saved = yaml_.load_yaml((folder / 'config.yaml').read_text(encoding='utf-8'))
            about = json.loads((folder / 'run.json').read_text(encoding='utf-8'))
            # A later version may have changed its own networks without changing what they compute.
            early = not about.get('content_digest')
            source = None if wanted.bundled and early else folder_source(folder, saved, wanted.bundled)
            if wanted.is_that_of(saved, about, source):
                return folder
    return None


def run_point(options: dict[str, Any], test: Callable[..., Any], specify: Callable[..., Any], **arguments: Any) -> str:
    """Run one point, unless it is done or another process is at it; go on with it where it was interrupted.

    Parameters
    ----------
    options : dict
        Arguments of `test`, 'savename' among them.
    test, specify : callable
        `launch.test`, and what makes a `Specification` of arguments.
    **arguments
        Further arguments of `test`, which decide nothing: verbose, on_epoch.

    Returns
    -------
    str
        'done already', 'pruned already', 'busy' or 'finished'.
    """
    model = Path(options['savename'])
    wanted = specify(options)
    with try_model_lock(model) as mine:
        if not mine:
            return 'busy'
        if finished_run(model, wanted):
            return 'done already'
        if _last_run(model, wanted, 'pruned'):
            return 'pruned already'
        if model.exists():
            try:
                state, saved = models.load(model)
                models.check_values(model, state)
            except models.ModelError:
                saved = None
            if saved and wanted.is_that_of(saved['options'], saved, saved_source(model, saved)):
                keys = (
                    'activation',
                    'optimiser',
                    'schedule',
                    'dataset',
                    'teacher',
                    'accept_changed_network',
                    *(() if saved['bundled_network'] else ('network',)),
                )
                test(resume=str(model), **{key: options[key] for key in keys if key in options}, **arguments)
                return 'finished'
        test(**options, **arguments)
        return 'finished'

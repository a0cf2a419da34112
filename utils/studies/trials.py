"""Run a trial once: skip it if it is done, resume it if it was interrupted, or start it.

A trial is an ordinary run with its own model file and run folder. These show which trials are done, so repeating the
command of an interrupted sweep continues it. Nothing is chosen on the test images.
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
    """The specification of a trial, in the form in which runs and models save it.

    Attributes
    ----------
    options : dict
        All arguments of `launch.test`. If an option of the network is None, here or in a run, the class decides it.
    defaults : dict
        Values that apply to arguments missing from a run of an earlier version.
    content_digest : str
        Digest of the data set.
    network_source : str or None
        Source of the network, see `utils.experiment.resuming.network_source`; None accepts any.
    bundled : bool
        Whether the network is one of symfer's.
    teacher_digest : str or None
        Digest of the teacher's parameters; None without a teacher.
    """

    options: dict
    defaults: dict
    content_digest: str
    network_source: str | None
    bundled: bool
    teacher_digest: str | None = None

    def is_that_of(self, saved: dict[str, Any], about: dict[str, Any], source: str) -> bool:
        """Return whether a run with these arguments, digests and network source has this specification.

        Sets are compared by their digest regardless of their path. Runs of early versions, which have no digest of the
        set, are compared by its path. Teachers are compared by their digest.
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
    """Return the last finished run of a model file that has this `Specification`, or None."""
    return _last_run(model, wanted, 'finished')


def _last_run(model, wanted, status):
    for folder in sorted(Path(model).with_suffix('').glob('run-*'), reverse=True):
        if reading.status_of(folder) == status:
            saved = yaml_.load_yaml((folder / 'config.yaml').read_text(encoding='utf-8'))
            about = json.loads((folder / 'run.json').read_text(encoding='utf-8'))
            # The source of symfer's own networks may have changed since an early version; it is not compared then.
            early = not about.get('content_digest')
            source = None if wanted.bundled and early else folder_source(folder, saved, wanted.bundled)
            if wanted.is_that_of(saved, about, source):
                return folder
    return None


def run_trial(options: dict[str, Any], test: Callable[..., Any], specify: Callable[..., Any], **arguments: Any) -> str:
    """Run one trial, or resume it if it was interrupted, unless it is done or another process is running it.

    Parameters
    ----------
    options : dict
        Arguments of `test`, including 'savename'.
    test : callable
        The function `launch.test`.
    specify : callable
        Function that makes a `Specification` from arguments.
    **arguments
        Further arguments of `test` that do not affect the result: verbose, on_epoch.

    Returns
    -------
    {'done already', 'pruned already', 'busy', 'finished'}
        'busy' means that another process is running the trial.
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

"""One experiment, from the arguments of `launch.test` to its `Result`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from utils import backend
from utils.experiment import hosts, resuming
from utils.experiment.arguments import NETWORK_OPTIONS, as_json, validate_arguments
from utils.experiment.building import arguments_used, network_maker, training_settings, with_class_defaults
from utils.experiment.checkpoint import Checkpoint
from utils.experiment.console import Console
from utils.experiment.memory import explain_out_of_memory
from utils.experiment.result import finish
from utils.experiment.saved import with_resumed
from utils.experiment.signals import SignalHandler
from utils.experiment.sizes import check_sizes
from utils.experiment.teachers import check_teacher, open_teacher
from utils.experiment.unlabelled import open_unlabelled
from utils.experiment.wording import announce, best_epoch_line, default_model, label, print_pretraining
from utils.files import locks, models
from utils.record.writing import Record
from utils.training.rules import cost_of
from utils.training.trainer import Trainer

if TYPE_CHECKING:
    from utils.annotations import Dataset
    from utils.experiment.context import Context
    from utils.experiment.result import Result


class Experiment(ExitStack):
    """Everything around the methodology: arguments, data set, trainer, model file, record, signals.

    Parameters
    ----------
    context : Context
    arguments : dict
        All arguments of `launch.test`.
    given : set of str
        Names of the arguments that the caller gave.

    Attributes
    ----------
    options : dict
        The arguments in their plain form, completed by those of the model to resume and of the network's class.

    Raises
    ------
    ValueError
        If an argument is wrong or contradicts the model to resume.
    """

    def __init__(self, context: Context, arguments: dict[str, Any], given: Any) -> None:
        super().__init__()
        self.start = time.perf_counter()
        self.context, self.console = context, Console(arguments['verbose'], arguments['on_epoch'])
        self.options = validate_arguments({k: v for k, v in arguments.items() if k != 'given'}, context.networks)
        self.resume, self._given = self.options['resume'], given
        hosts.join(self.options, self.console.info)
        self.enter_context(hosts.together())

    def load(self) -> Dataset:
        """Open the data set until the end of the experiment; a model to resume must have been trained on it."""
        options, given = self.options, self._given
        given -= {key for key in NETWORK_OPTIONS if options[key] is None}
        self._begun = self.resume and os.path.exists(self.resume) and os.stat(self.resume)
        options, self._state, self._saved = with_resumed(self.context, options, given)
        self.options = with_class_defaults(options, given)
        if backend.host():  # host 0 prints, draws and writes for all
            self.console.verbose, self.console.on_epoch = 0, None
            self.options |= {'track': [], 'report': False, 'save_every': 10**9}
        self.data = self.enter_context(self.context.open_data(self.options, self.console.info))
        if self._saved:
            resuming.check_data(self.resume, self._saved, self._state['history'], self.data)
        return self.data

    def build(self) -> Trainer:
        """Make the trainer of a new network or restore the saved one; lock the model file from here on."""
        network = network_maker(self.options, self.data, self._state)
        if not self._state:
            check_sizes(self.options, self.data)
        self.teacher = open_teacher(self.context, self.options, self.data, self.console.info)
        if self._saved:
            check_teacher(self.resume, self._saved, self.teacher)
        path, unlabelled = self._target(), self.enter_context(self._unlabelled())
        if backend.n_hosts() > 1:
            source = (
                None
                if self.context.bundled(self.options['network'])
                else resuming.class_source(self.options['network'])
            )
            digests = {
                'teacher': self.teacher and self.teacher.digest,
                'unlabelled images': unlabelled and unlabelled.digest,
            }
            hosts.check_same(as_json(self.options), self.data, source, self._state, digests)
        self.config = self._configuration(path)
        announce(self.console, self.options, self.data, path)
        for what, values in (('arguments', 'options'), ('of the network', 'network_arguments')):
            self.console.debug(f'{what}: ' + ', '.join(f'{k}={v!r}' for k, v in self.config[values].items()))
        self.signals = SignalHandler()
        self.console.check = self._check
        self.checkpoint = Checkpoint(
            path,
            self.config,
            self.options['save_every'],
            self.signals,
            replaces=self.resume,
            info=self.console.info,
            recorded=lambda trainer: self.record.epoch(trainer),
        )
        self.enter_context(locks.model_lock(path))
        self.enter_context(self._explain_out_of_memory())
        self.trainer = self.enter_context(
            Trainer(
                network,
                self.data,
                training_settings(self.options),
                reporter=self.console,
                checkpoint=self.checkpoint,
                teacher=self.teacher,
                unlabelled=unlabelled,
            )
        )
        if self._state:
            self._restore(path)
        print_pretraining(self.console, self.trainer)
        self.console.follow(self.options['rule'], self.trainer.history, cost_of(self.options))
        self.record = Record(
            path,
            self.config,
            self.options['network'],
            label(self.options, self.data),
            self.data,
            self.resume,
            len(self.trainer.history),
            self.trainer.functions.devices,
        )
        self.console.write_to(self.record.log)
        self.console.debug(f"record goes to '{self.record.folder}'")
        if self.record.caveat:
            self.console.info(self.record.caveat)
        return self.trainer

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Block that trains: whatever ends it, model file and record hold the last completed epoch."""
        with self.signals, self.record.running(), self.checkpoint.guard(self.trainer), self._explain_out_of_memory():
            with hosts.training(self._save_at_once):
                yield

    def print_best_epoch(self) -> None:
        """Print which epoch is best and what follows."""
        self.console.info(best_epoch_line(self.trainer, self.options))

    def finish(self, errors: dict[str, dict[str, dict[str, float]]]) -> Result:
        """Write tables, figures and report, and return the `Result`."""
        return finish(self, errors)

    def _check(self):
        self.signals.check()
        if backend.n_hosts() > 1:
            backend.watch().check()

    def _save_at_once(self, error):
        while self.signals.depth:  # a save is in progress
            time.sleep(0.05)
        with suppress(BaseException), self.record.running(), self.checkpoint.guard(self.trainer):
            raise error

    def _unlabelled(self):
        images = self.options['pretrain_args'].get('images')
        if images is None or (self._state and self._state['stage'] != 'pretrain'):
            return nullcontext()
        return open_unlabelled(self.context, images, self.data, self.options['val'], self.console.info)

    def _explain_out_of_memory(self):
        return explain_out_of_memory(backend.device_name(), self.options['batch_size'], self.options['trainShared'])

    def _restore(self, path):
        if not os.path.samestat(self._begun, os.stat(self.resume)):
            raise BlockingIOError(f"another run has just written '{self.resume}': resume it again")
        self.trainer.restore(self._state)
        self.trainer.check_epochs(*(self.options[key] for key in ('n_epochs', 'anneal_epochs', 'patience')))
        resuming.check_network(
            Path(self.resume),
            self._saved,
            self.options['network'],
            self.config['bundled_network'],
            self.options['accept_changed_network'],
            self.console.info,
        )

    def _target(self):
        path = self.options['savename']
        if path is None:
            path = default_model(self.options, self.data.path)
        if backend.host():
            path = Path(self.enter_context(TemporaryDirectory(prefix='symfer-host-'))) / 'model.h5'
        path = models.check_target(path)
        if path.exists() and path.samefile(self.data.path):
            raise ValueError(f"savename is the data set itself, '{path}': choose another name")
        if self.teacher and path.resolve() in [one.resolve() for one in self.teacher.paths]:
            raise ValueError(f"savename is the teacher itself, '{path}': choose another name")
        return path

    def _configuration(self, path):
        """The configuration saved with the parameters: every argument, and the origin of the data."""
        options, data = self.options, self.data
        saved, bundled = as_json(options), self.context.bundled(options['network'])
        return {
            'options': {**saved, 'savename': str(path)},
            'fingerprint': data.fingerprint,
            'content_digest': data.content_digest,
            'bundled_network': bundled,
            'classes': list(data.classes),
            'im_dim': list(data.shape),
            'data': data.name,
            'network_arguments': arguments_used(options),
            'network_source': resuming.network_source(options['network'], saved, bundled),
            'temperature': (self._saved or {}).get('temperature'),
            'teacher_digest': self.teacher and self.teacher.digest,
        }

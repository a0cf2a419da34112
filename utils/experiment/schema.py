"""The schema of the arguments of `launch.test`, with one row for each argument. All lists of arguments come from it.

==================  ===========================================================================
`ARGUMENTS`         the rows, by name
`names`             the names of the rows with given attributes
`select`            the options whose rows have given attributes
`renamed`           options under their current names
==================  ===========================================================================

The schema decides how arguments are validated and saved, which of them a resumed run keeps, which of them sweeps and
comparisons use, which are passed to the network and to the trainer, and what the command line offers. Defaults and
descriptions are not repeated here: they come from the signature and the docstring of `launch.test`. A new argument is
added in three places: the signature, the docstring and a row of this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from utils.experiment.kinds import (
    Choice,
    Flag,
    Fold,
    Function,
    Kind,
    Location,
    Number,
    Own,
    Several,
    Table,
    Text,
    Whole,
)
from utils.experiment.values import Unfit, shortened
from utils.training.rules import COSTS, RULES

GROUPS = ('data', 'network', 'regularisation', 'optimisation', 'methodology', 'output')
PROBABILITIES = Several(Number(least=0, below=1), 'probabilities of dropping in [0, 1)', single='stays')
PATHS = Several(Location(), 'the path of a model, a run or an ensemble, or a list of them', '+', 'list')
FRACTION, NOT_NEGATIVE = Number(least=0, below=1), Number(least=0)


@dataclass(frozen=True)
class Argument:
    """A row of the schema.

    Attributes
    ----------
    kind : Kind
        Kind of its values.
    group : str
        Heading in the help of the command line, one of `GROUPS`.
    part : {'network', 'trainer', 'run'}
        Where it is passed: to the network's class if that takes it, to the trainer unchanged, or to neither.
    decides : {'result', 'length', 'nothing'}
        What it decides. 'result': it cannot be changed when a run is resumed. 'length': it decides how long the run is
        or where its data are, and may be changed then. 'nothing': it has no influence on the result.
    saved : bool
        Whether a run saves it; otherwise it belongs to a single call.
    absent : object
        Value that None stands for; `REQUIRED` if None is not allowed.
    """

    kind: Kind
    group: str
    part: str = 'run'
    decides: str = 'result'
    saved: bool = True
    absent: object = None

    def check(self, name: str, value: Any) -> Any:
        """Validate a value and return it in its plain form.

        Raises
        ------
        ValueError
            If the argument does not accept the value; the message says what it accepts.
        """
        if value is None and self.absent is not REQUIRED:
            return self.absent() if callable(self.absent) else self.absent
        try:
            return self.kind.check(value)
        except RecursionError:
            raise ValueError(
                f'{name} contains itself: it must contain numbers, texts, booleans and lists of them'
            ) from None
        except Unfit as error:
            raise ValueError(
                f'{name} must be {error if str(error) else self.kind.wanted}, got {shortened(value)}'
            ) from None


REQUIRED = object()
# The names of `utils.rna.ACTIVATIONS`, repeated because that imports PyTensor; a test compares them.
ACTIVATIONS = ('relu', 'sigmoid', 'tanh', 'leaky_relu', 'elu', 'gelu', 'swish', *(f'maxout{k}' for k in (2, 3, 4, 5)))


def _needed(kind, group, part='run', decides='result', **others):
    return Argument(kind, group, part, decides, absent=REQUIRED, **others)


ARGUMENTS = {
    'dataset': Argument(Location(), 'data', decides='length'),
    'im_dim': Argument(Several(Whole(1), 'height and width', count=2), 'data', decides='nothing'),
    'fold': Argument(Fold(), 'data'),
    'augment': Argument(Own('an Augment, True or a dict', table=True), 'data', 'trainer'),
    'trainShared': _needed(Flag(), 'data', 'trainer', 'nothing'),
    'network': _needed(Own('a class', 'Class'), 'network'),
    'network_args': Argument(Table(), 'network', absent=dict),
    'n_hidden': Argument(Several(Whole(1), 'a list of whole numbers >= 1', single='list'), 'network', 'network'),
    'activation': Argument(Own('an activation', choices=ACTIVATIONS), 'network', 'network'),
    'batch_norm': Argument(Flag(), 'network', 'network'),
    'statistics_images': _needed(Whole(1), 'network', 'trainer'),
    'p_drop': Argument(PROBABILITIES, 'regularisation', 'network'),
    'p_dropConv': Argument(PROBABILITIES, 'regularisation', 'network'),
    'p_dropConnect': Argument(FRACTION, 'regularisation', 'network'),
    'dropConnect_moments': Argument(Flag(), 'regularisation', 'network'),
    'gaussian_std': Argument(NOT_NEGATIVE, 'regularisation', 'network'),
    'L1_reg': _needed(NOT_NEGATIVE, 'regularisation', 'trainer'),
    'L2_reg': _needed(NOT_NEGATIVE, 'regularisation', 'trainer'),
    'soft_labels': _needed(Flag(), 'regularisation', 'trainer'),
    'teacher': Argument(PATHS, 'regularisation', decides='length'),
    'teacher_args': Argument(Table(), 'regularisation', absent=dict),
    'balance': _needed(Choice('none', 'weights', 'sampling'), 'optimisation', 'trainer'),
    'weight_decay': _needed(NOT_NEGATIVE, 'regularisation'),
    'loss': _needed(Choice(*COSTS), 'regularisation', 'trainer'),
    'label_smoothing': _needed(FRACTION, 'regularisation', 'trainer'),
    'learning_rate': _needed(Number(above=0), 'optimisation', 'trainer'),
    'batch_size': _needed(Whole(1), 'optimisation', 'trainer'),
    'optimiser': _needed(Own('an optimiser', 'function', ('sgd', 'rmsprop', 'adam', 'adamw', 'muon')), 'optimisation'),
    'optimiser_args': Argument(Table(), 'optimisation', absent=dict),
    'momentum': _needed(FRACTION, 'optimisation'),
    'nesterov': _needed(Flag(), 'optimisation'),
    'clip_norm': _needed(NOT_NEGATIVE, 'optimisation'),
    'schedule': Argument(
        Own('a schedule', 'function', ('constant', 'step', 'cosine', 'one_cycle', 'plateau')),
        'optimisation',
        absent='constant',
    ),
    'schedule_args': Argument(Table(), 'optimisation', absent=dict),
    'ema_decay': _needed(FRACTION, 'optimisation', 'trainer'),
    'members': _needed(Whole(1), 'methodology'),
    'portion': _needed(Number(above=0, most=1), 'methodology', 'trainer'),
    'replacement': _needed(Flag(), 'methodology', 'trainer'),
    'precision': _needed(Choice('float32', 'tf32', 'bf16'), 'optimisation', 'trainer'),
    'devices': Argument(Whole(1), 'optimisation', 'trainer', 'nothing', saved=False),
    'hosts': Argument(Text('ADDRESS'), 'optimisation', decides='nothing', saved=False),
    'host_index': Argument(Whole(0), 'optimisation', decides='nothing', saved=False),
    'n_hosts': Argument(Whole(1), 'optimisation', decides='nothing', saved=False),
    'pretrain_epochs': _needed(Whole(0), 'methodology', 'trainer'),
    'pretrain_args': Argument(Table(), 'methodology', 'trainer', absent=dict),
    'n_epochs': _needed(Whole(1), 'methodology', decides='length'),
    'patience': _needed(Whole(0), 'methodology', decides='length'),
    'val': _needed(Flag(), 'methodology', 'trainer'),
    'rule': _needed(Choice(*RULES, wanted=' or '.join(map(repr, RULES))), 'methodology', 'trainer'),
    'progressive_sizes': Argument(
        Several(Whole(1), 'a list of heights in pixels', single='list', most=100), 'methodology', 'trainer', absent=list
    ),
    'retrain': _needed(Flag(), 'methodology'),
    'anneal_epochs': _needed(Whole(0), 'methodology', decides='length'),
    'special_test': _needed(Flag(), 'methodology', decides='length'),
    'seed': _needed(Whole(0, below=2**32), 'methodology', 'trainer'),
    'savename': Argument(Location(), 'output', decides='nothing'),
    'save_every': _needed(Whole(1), 'output', decides='nothing'),
    'resume': Argument(Location(), 'output', decides='nothing', saved=False),
    'accept_changed_network': _needed(Flag(), 'output', decides='nothing', saved=False),
    'name': Argument(Text(), 'output', decides='nothing'),
    'show_test': _needed(Flag(), 'output', 'trainer', 'nothing'),
    'report': _needed(Flag(), 'output', decides='nothing'),
    'track': Argument(
        Own('a list of trackers', choices=('tensorboard', 'mlflow')), 'output', decides='nothing', absent=tuple
    ),
    'on_epoch': Argument(Function(), 'output', decides='nothing', saved=False),
    'verbose': _needed(Choice(0, 1, 2, wanted='0, 1 or 2'), 'output', decides='nothing', saved=False),
}


def names(**wanted: Any) -> tuple:
    """Return the names of the rows with these attributes: ``names(part='network')``."""
    return tuple(
        name for name, row in ARGUMENTS.items() if all(getattr(row, key) == value for key, value in wanted.items())
    )


FORMER = {'average': 'ema_decay'}  # names of the last release, still accepted


def renamed(options: dict[str, Any]) -> dict:
    """Return the options under their current names: older runs and models use former names."""
    return {FORMER.get(name, name): value for name, value in options.items()}


def select(options: dict[str, Any], **wanted: Any) -> dict:
    """Return the options whose rows have these attributes."""
    return {name: options[name] for name in names(**wanted) if name in options}

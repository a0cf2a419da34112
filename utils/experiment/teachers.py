"""Saved models that teach: whose linear outputs on the training images are targets of another network.

==================  ===========================================================================
`open_teacher`      the `Teacher` of an experiment
`Teacher`           one model or several, asked for their linear outputs
`check_teacher`     refuses to go on with another teacher than a model's
==================  ===========================================================================
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from utils import rna
from utils.experiment.arguments import class_name
from utils.experiment.evaluation import check_fit, functions_to_test, model_file
from utils.experiment.resuming import class_named, network_change
from utils.experiment.saved import class_of, load_model, network_of
from utils.files.checksums import ModelError, checksums
from utils.layer import parameters
from utils.training.inference import compute_logits
from utils.training.targets import Onlooker
from utils.training.warping import Cropped

if TYPE_CHECKING:
    from utils.annotations import Dataset, StrPath, Subset
    from utils.experiment.context import Context


class Member(NamedTuple):
    """A model that teaches: file, parameters now and at the kept epoch, configuration, network's class, digest."""

    path: Path
    state: dict[str, Any]
    config: dict[str, Any]
    network: Any
    digest: str


def open_teacher(context: Context, options: dict[str, Any], data: Dataset, say: Callable[..., Any]) -> Teacher | None:
    """The teacher of an experiment, read and checked; None where it has none.

    Raises
    ------
    ValueError, OSError
        A file that is missing or no model; a model of other classes, another image size, a class that is not known.
    """
    return Teacher(context, options, data, say) if options['teacher'] else None


class Teacher:
    """Models whose linear outputs are averaged. Their files are read once; they are on the device while they are asked.

    Parameters
    ----------
    context : Context
    options : dict
        Arguments of the experiment. A teacher of a class of a script must be of the experiment's own.
    data : loaders.Dataset
        The training images that it will be asked about.
    say : callable
        Is given what is to be printed: a warning where a teacher may have seen the validation images.

    Attributes
    ----------
    digest : str
        Of the parameters of all members.
    paths : list of Path
        Their files.
    """

    def __init__(self, context: Context, options: dict[str, Any], data: Dataset, say: Callable[..., Any]) -> None:
        self.context, self.say, self.batch_size = context, say, options['batch_size']
        read = [_member(context, path, options['network'], data) for path in _files(options['teacher'])]
        # In an order of their own: it is no matter in which they are named.
        self.members = sorted({one.digest: one for one in read}.values(), key=lambda one: one.digest)
        self.digest = hashlib.sha256(' '.join(one.digest for one in self.members).encode()).hexdigest()
        self.paths = [one.path for one in read]
        for one in self.members:
            change = network_change(one.path, one.config, one.network, one.config['bundled_network'])
            doubt = _doubt(one, data) if options['val'] else None
            if change:
                say(f'teacher: {change}')
            if doubt:
                say(
                    f"warning: teacher '{one.path}' {doubt}: it may have learned images that are held out here, and "
                    'the validation figures of stage train may be too good'
                )

    def __call__(self, subset: Subset, kept: bool) -> np.ndarray:
        """Linear outputs for the images of a subset as they are, the mean over the members, float64 (n, n_classes).

        Scores of a member with ``loss='l2svm'`` are divided by its temperature first, where it has one.

        Parameters
        ----------
        subset : loaders.Subset
        kept : bool
            With the parameters of a member's kept epoch, which never saw its validation images, where it has them.
        """
        self.say(f'teacher: linear outputs for {len(subset)} images of the {subset.name} set')
        total: Any = 0.0
        for one in self.members:
            net, options = self._network(one, kept)
            functions = functions_to_test(net, {**one.config, 'options': options}, min(self.batch_size, len(subset)))
            try:
                logits = compute_logits(functions, subset).astype(float)
            finally:
                functions.release()
            total = total + logits / _scale(one)
        return total / len(self.members)

    def onlooker(self, im_dim: tuple[int, int]) -> Onlooker:
        """The teacher in a graph that shows it images of `im_dim`, height and width.

        Raises
        ------
        ValueError
            A member that takes images of another size.
        """
        members = []
        for one in self.members:
            net, kept = (self._network(one, kept)[0] for kept in (False, True))
            takes = net.size if isinstance(net, Cropped) else tuple(one.config['im_dim'])
            fits = (
                all(shown >= side for shown, side in zip(im_dim, takes))
                if isinstance(net, Cropped)
                else takes == im_dim
            )
            if not fits:
                raise ValueError(
                    f"teacher_args: augmented=True shows the teacher crops of {list(im_dim)}, and '{one.path}' takes "
                    f'images of {list(takes)}: leave augmented out, or the crop'
                )
            values = ({name: p.get_value() for name, p in parameters(of).items()} for of in (net, kept))
            members.append((net, *values, _scale(one)))
        return Onlooker(members)

    def _network(self, member, kept):
        """The network of a member, and its arguments."""
        group = 'kept' if kept and member.state['kept'] else 'arrays'
        return network_of(self.context, member.path, member.state, member.config, member.network, group)


def check_teacher(model: StrPath, config: dict[str, Any], teacher: Teacher | None) -> None:
    """Refuse to go on with a model that had another teacher, or none.

    Raises
    ------
    ValueError
    """
    saved, now = config.get('teacher_digest'), teacher and teacher.digest
    if saved == now:
        return
    if saved is None:
        raise ValueError(f"'{model}' was trained without a teacher: leave it out to go on, or start a new experiment")
    names = ', '.join(f"'{path}'" for path in config['options'].get('teacher') or ())
    if teacher is None:
        raise ValueError(f"'{model}' was trained with the teacher {names}: leave teacher= out to go on with it")
    raise ValueError(
        f"'{model}' was trained with another teacher, {names} as it was then: the parameters of "
        + ', '.join(f"'{path}'" for path in teacher.paths)
        + ' are not the same. Give that teacher, teacher=PATH, or start a new experiment'
    )


def _files(names: Sequence[StrPath]) -> list[Path]:
    """Model files: those named, those of run folders, those of the members of ensembles."""
    out = []
    for name in map(Path, names):
        saved = name / 'evaluation.json' if name.is_dir() else name
        if saved.suffix != '.json' or not saved.is_file():
            out.append(name)
            continue
        try:
            members = json.loads(saved.read_text(encoding='utf-8'))['members']
            members = [Path(member) for member in members]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(
                f"teacher: '{saved}' is not that of an ensemble, it names no members: give a model, the folder of a "
                'run, or one that `ensemble` has written'
            ) from None
        out += [one if one.exists() else saved.parent / one for one in members]
    return out


def _member(context, name, own_class, data):
    """A model read from its file, checked to fit the data; `own_class` is that of the network which is taught."""
    try:
        path = model_file(name)
        state, config = load_model(context, path)
        check_fit(path, config, data)
        arrays = {
            group: {k: v for k, v in (state[group] or {}).items() if k.startswith('parameters/')}
            for group in ('arrays', 'kept')
        }
        network = _class(context, path, config, own_class)
        network_of(context, path, arrays, config, network)  # whether they fit is known before anything is trained
    except FileNotFoundError as error:
        raise FileNotFoundError(f'teacher: {error}; where it lies elsewhere, say so: teacher=PATH') from None
    except ValueError as error:
        raise (ModelError if isinstance(error, ModelError) else ValueError)(f'teacher: {error}') from None
    digest = checksums({f'{group}/{k}': v for group, values in arrays.items() for k, v in values.items()})
    return Member(
        path, arrays, config, network, hashlib.sha256(json.dumps(digest, sort_keys=True).encode()).hexdigest()
    )


def _class(context, path, config, own_class):
    """The class of a teacher's network: one of symfer's, or that of the network which is taught."""
    options = config['options']
    if options.get('activation') not in (None, *rna.ACTIVATIONS):
        raise ValueError(f"'{path}' has an activation of a script, {options['activation']}: such a model cannot teach")
    if config['bundled_network']:
        return class_of(context, path, config)
    if not context.bundled(own_class) and class_name(own_class) == class_named(options):
        return own_class
    raise ValueError(
        f"'{path}' has a network class of a script, {options['network']}: such a model can teach its own class alone, "
        f'and network is {class_name(own_class)}'
    )


def _scale(member):
    """What the linear outputs of a teacher are divided by: scores of the L2-SVM by their temperature."""
    svm = (member.config['options'].get('loss') or 'nll') != 'nll'
    return (member.config.get('temperature') or 1.0) if svm else 1.0


def _doubt(member, data):
    """Why a teacher may have seen the validation images, as the end of a sentence; None where it has not."""
    if not member.state['kept']:
        return 'has its final parameters alone, none of a kept epoch'
    if member.config.get('content_digest') != data.content_digest:
        return f'was trained on another set, {member.config["data"]}, with validation images of its own'
    return None

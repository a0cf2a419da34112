"""Teachers: saved models whose logits for the training images are the targets of another network.

==================  ===========================================================================
`open_teacher`      the `Teacher` of an experiment
`Teacher`           one or several models that compute logits
`check_teacher`     refuses to resume a model with a different teacher
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
    """One model of a teacher: file, last and best parameters, configuration, network class, digest."""

    path: Path
    state: dict[str, Any]
    config: dict[str, Any]
    network: Any
    digest: str


def open_teacher(context: Context, options: dict[str, Any], data: Dataset, info: Callable[..., Any]) -> Teacher | None:
    """Read and check the teacher of an experiment; None if it has none.

    Raises
    ------
    ValueError, OSError
        If a file is missing or no model, or a model has other classes, another image size or an unknown network class.
    """
    return Teacher(context, options, data, info) if options['teacher'] else None


class Teacher:
    """Models whose logits are averaged. Their files are read once; they are on the device only while they compute.

    Parameters
    ----------
    context : Context
    options : dict
        Arguments of the experiment. A teacher whose class comes from a script must have the experiment's own class.
    data : loaders.Dataset
        Data set of the experiment, whose training images the teacher will classify.
    info : callable
        Function that prints a line, among others a warning if a teacher may have seen the validation images.

    Attributes
    ----------
    digest : str
        Digest of the parameters of all members.
    paths : list of Path
        Files of the members.
    """

    def __init__(self, context: Context, options: dict[str, Any], data: Dataset, info: Callable[..., Any]) -> None:
        self.context, self.info, self.batch_size = context, info, options['batch_size']
        read = [_member(context, path, options['network'], data) for path in _files(options['teacher'])]
        # Sorted by digest, so that the order in which they are named does not matter.
        self.members = sorted({one.digest: one for one in read}.values(), key=lambda one: one.digest)
        self.digest = hashlib.sha256(' '.join(one.digest for one in self.members).encode()).hexdigest()
        self.paths = [one.path for one in read]
        for one in self.members:
            change = network_change(one.path, one.config, one.network, one.config['bundled_network'])
            doubt = _doubt(one, data) if options['val'] else None
            if change:
                info(f'teacher: {change}')
            if doubt:
                info(
                    f"warning: teacher '{one.path}' {doubt}: it may have been trained on images that are held out "
                    'here, so the validation figures of stage train may be too good'
                )

    def __call__(self, subset: Subset, best: bool) -> np.ndarray:
        """Logits for the unaugmented images of a subset, averaged over the members, float64 (n, n_classes).

        The scores of a member with ``loss='l2svm'`` are first divided by its temperature, if it has one.

        Parameters
        ----------
        subset : loaders.Subset
        best : bool
            Use the parameters of a member's best epoch, if it has them. They never saw its validation images.
        """
        self.info(f'teacher: computing logits for {len(subset)} images of the {subset.name} set')
        total: Any = 0.0
        for one in self.members:
            net, options = self._network(one, best)
            functions = functions_to_test(net, {**one.config, 'options': options}, min(self.batch_size, len(subset)))
            try:
                logits = compute_logits(functions, subset).astype(float)
            finally:
                functions.release()
            total = total + logits / _scale(one)
        return total / len(self.members)

    def onlooker(self, im_dim: tuple[int, int]) -> Onlooker:
        """The teacher inside a training graph, whose images have height and width `im_dim`.

        Raises
        ------
        ValueError
            If a member takes images of another size.
        """
        members = []
        for one in self.members:
            net, at_best = (self._network(one, best)[0] for best in (False, True))
            takes = net.size if isinstance(net, Cropped) else tuple(one.config['im_dim'])
            fits = (
                all(shown >= side for shown, side in zip(im_dim, takes))
                if isinstance(net, Cropped)
                else takes == im_dim
            )
            if not fits:
                raise ValueError(
                    f"teacher_args: augmented=True gives the teacher crops of {list(im_dim)}, but '{one.path}' takes "
                    f'images of {list(takes)}: leave out augmented or the crop'
                )
            values = ({name: p.get_value() for name, p in parameters(of).items()} for of in (net, at_best))
            members.append((net, *values, _scale(one)))
        return Onlooker(members)

    def _network(self, member, best):
        """The network of a member and its arguments."""
        group = 'kept' if best and member.state['kept'] else 'arrays'
        return network_of(self.context, member.path, member.state, member.config, member.network, group)


def check_teacher(model: StrPath, config: dict[str, Any], teacher: Teacher | None) -> None:
    """Refuse to resume a model that had another teacher or none.

    Raises
    ------
    ValueError
        If its teacher was a different one.
    """
    saved, now = config.get('teacher_digest'), teacher and teacher.digest
    if saved == now:
        return
    if saved is None:
        raise ValueError(f"'{model}' was trained without a teacher: leave it out to resume, or start a new experiment")
    names = ', '.join(f"'{path}'" for path in config['options'].get('teacher') or ())
    if teacher is None:
        raise ValueError(f"'{model}' was trained with the teacher {names}: leave teacher= out to resume it")
    raise ValueError(
        f"'{model}' was trained with another teacher, {names} as it was then: the parameters of "
        + ', '.join(f"'{path}'" for path in teacher.paths)
        + ' differ. Give that teacher, teacher=PATH, or start a new experiment'
    )


def _files(names: Sequence[StrPath]) -> list[Path]:
    """Resolve names of models, run folders and ensembles to model files."""
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
                f"teacher: '{saved}' names no members, so it is not from an ensemble: give a model, the folder of a "
                'run, or a folder written by `ensemble`'
            ) from None
        out += [one if one.exists() else saved.parent / one for one in members]
    return out


def _member(context, name, own_class, data):
    """Read a model and check that it fits the data; `own_class` is the class of the network to be trained."""
    try:
        path = model_file(name)
        state, config = load_model(context, path)
        check_fit(path, config, data)
        arrays = {
            group: {k: v for k, v in (state[group] or {}).items() if k.startswith('parameters/')}
            for group in ('arrays', 'kept')
        }
        network = _class(context, path, config, own_class)
        network_of(context, path, arrays, config, network)  # fails before anything is trained if they do not fit
    except FileNotFoundError as error:
        raise FileNotFoundError(f'teacher: {error}; if it was moved, give its new path: teacher=PATH') from None
    except ValueError as error:
        raise (ModelError if isinstance(error, ModelError) else ValueError)(f'teacher: {error}') from None
    digest = checksums({f'{group}/{k}': v for group, values in arrays.items() for k, v in values.items()})
    return Member(
        path, arrays, config, network, hashlib.sha256(json.dumps(digest, sort_keys=True).encode()).hexdigest()
    )


def _class(context, path, config, own_class):
    """The class of a teacher's network: one of symfer's, or the class of the network to be trained."""
    options = config['options']
    if options.get('activation') not in (None, *rna.ACTIVATIONS):
        raise ValueError(
            f"'{path}' has an activation from a script, {options['activation']}: such a model cannot be a teacher"
        )
    if config['bundled_network']:
        return class_of(context, path, config)
    if not context.bundled(own_class) and class_name(own_class) == class_named(options):
        return own_class
    raise ValueError(
        f"'{path}' has a network class from a script, {options['network']}: such a model can only teach a network of "
        f'the same class, but network is {class_name(own_class)}'
    )


def _scale(member):
    """Divisor of a teacher's logits: the temperature for scores of the L2-SVM, otherwise 1."""
    svm = (member.config['options'].get('loss') or 'nll') != 'nll'
    return (member.config.get('temperature') or 1.0) if svm else 1.0


def _doubt(member, data):
    """Why a teacher may have seen the validation images, as the end of a sentence; None if it cannot have."""
    if not member.state['kept']:
        return 'has only its final parameters, not those of its best epoch'
    if member.config.get('content_digest') != data.content_digest:
        return f'was trained on another set, {member.config["data"]}, with other validation images'
    return None

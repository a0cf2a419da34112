"""An experiment that several hosts run together: they connect, compare their inputs, and notice when one stops.

==================  ===========================================================================
`check`             validates the arguments that name hosts
`join`              connects the hosts
`together`          the block in which they run an experiment
`check_same`        refuses hosts that would run different experiments
`training`          the block in which they train: an error caused by another host names it
==================  ===========================================================================

Each host runs the whole experiment. Host 0 writes model and record; the others write to a temporary folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import __version__, backend
from utils.experiment.signals import Terminated
from utils.experiment.values import shortened
from utils.files.terminal import visible

if TYPE_CHECKING:
    from utils.annotations import Dataset


ROOT = Path(__file__).parents[2]
# Arguments in which hosts may differ: paths of files, and what is printed and drawn.
OWN = ('dataset', 'savename', 'teacher', 'track', 'report', 'name', 'save_every')


def check(options: dict[str, Any]) -> None:
    """Check the arguments that name hosts.

    Raises
    ------
    ValueError
        If they contradict each other.
    """
    hosts, index, number = (options[key] for key in ('hosts', 'host_index', 'n_hosts'))
    if hosts is None:
        if index is not None or number is not None:
            raise ValueError('host_index and n_hosts need several hosts: also give hosts, the address of host 0')
        return
    if hosts == 'auto':
        if index is not None or number is not None:
            raise ValueError("hosts='auto' finds host_index and n_hosts by itself: leave them out")
    else:
        _check_address(hosts, index, number)
    if options['members'] > 1:
        raise ValueError('members are trained on one host: leave hosts out, or members')


def _check_address(hosts, index, number):
    if index is None or number is None:
        raise ValueError(
            f'hosts={hosts!r} needs host_index, the number of this host, and n_hosts, the number of all hosts'
        )
    if index >= number:
        raise ValueError(f'host_index must lie between 0 and n_hosts - 1 = {number - 1}, got {index}')
    name, _, port = hosts.rpartition(':')
    if not name or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f'hosts must be host:port of host 0, such as 10.0.0.1:4321, or auto, got {hosts!r}')


def join(options: dict[str, Any], info: Callable[..., Any]) -> None:
    """Connect to the other hosts, if the arguments name any.

    Raises
    ------
    ConnectionError
        If the hosts did not all connect.
    """
    if options['hosts'] is None:
        return
    first = backend.n_hosts() == 1
    if first:
        info('waiting for the other hosts')
    backend.join(options['hosts'], options['host_index'], options['n_hosts'])
    if first and backend.n_hosts() > 1:
        others = ', '.join(backend.watch().names)
        info(f'hosts: {others}' if backend.host() == 0 else f'this is {backend.watch().names[backend.host()]}; host 0 '
            'prints the progress and writes model and record')  # fmt: skip


@contextmanager
def together() -> Iterator[None]:
    """Block in which all hosts run an experiment: no host leaves it before the others have ended too.

    Raises
    ------
    ConnectionError
        If another host has ended the experiment or has stopped.
    """
    watch = backend.watch()
    if not watch:
        yield
        return
    watch.begin()
    try:
        yield
        watch.ask('finished', '')
    except BaseException as error:
        _tell(error)
        if any(other.kind == 'dead' for _, other in watch.ended.values()):
            backend.abandon(_status(type(error).__name__))
        raise


@contextmanager
def training(stuck: Callable[[BaseException], None]) -> Iterator[None]:
    """Block in which an error caused by another host names it: `ConnectionError`, or the exception that ended that one.

    Parameters
    ----------
    stuck : callable
        Function of that exception which saves the model. It is called when the program waits for the other host and
        will not end by itself; the process is ended afterwards.
    """
    watch = backend.watch()
    if not watch:
        yield
        return

    def end(other):
        error = _as_raised(other)
        try:
            stuck(error)
            if not isinstance(error, KeyboardInterrupt):
                print(f'error: {visible(error)}', file=sys.stderr, flush=True)
        finally:
            os._exit(_status(other.kind))

    watch.on_stuck = end
    try:
        yield
    except BaseException as error:
        watch.on_stuck = None
        other = error if isinstance(error, backend.HostEnded) else watch.why() if _of_devices(error) else None
        ended = _as_raised(other) if other else error
        _tell(ended)
        # Hosts that wait for this one in a computation must notice.
        backend.abandon(_status(type(ended).__name__))
        if other:
            raise ended from error
        raise
    finally:
        watch.on_stuck = None


def _status(kind):
    return {'KeyboardInterrupt': 130, 'Terminated': 143}.get(kind, 2)


def _of_devices(error):
    return type(error).__name__ in ('JaxRuntimeError', 'XlaRuntimeError') or 'Gloo' in str(error)


def _as_raised(other):
    """The exception that this host raises when another has ended with `other`."""
    error = {'KeyboardInterrupt': KeyboardInterrupt(), 'Terminated': Terminated(143)}.get(other.kind, other)
    error.on_host = other.on_host
    return error


def _tell(error):
    """Tell the other hosts what ends the run: this host, or another one that it has heard from."""
    watch = backend.watch()
    kind = error.kind if isinstance(error, backend.HostEnded) else type(error).__name__
    what = {'KeyboardInterrupt': 'was interrupted', 'Terminated': 'was terminated'}.get(kind)
    what = what or f'ended by {kind}: {str(error)[:500]}'
    watch.end(kind, getattr(error, 'on_host', None) or f'{watch.names[watch.number]} {what}')


def check_same(
    options: dict[str, Any], data: Dataset, network: str | None, state: Any, digests: dict[str, str | None]
) -> None:
    """Refuse hosts that would run different experiments.

    Parameters
    ----------
    options : dict
        Arguments in their JSON form.
    data : loaders.Dataset
    network : str or None
        Source of the network's class.
    state : dict or None
        State of the model to resume.
    digests : dict of str to str or None
        Digests of the teacher and of the unlabelled images.

    Raises
    ------
    ValueError
        If the hosts differ; the message says how. Every host raises it.
    """
    packages = {name: version(name) for name in ('jax', 'jaxlib', 'numpy', 'pytensor', 'h5py')}
    settings = {name: os.environ.get(name) for name in ('SYMFER_PLATFORM', 'SYMFER_EXCLUDE', 'SYMFER_NATIVE')}
    facts = {
        'code': {'version': __version__, 'source': source_digest(), 'class of the network': _digest(network)},
        'versions': {'python': '.'.join(map(str, sys.version_info[:2])), **packages},
        'devices': {'platform': backend.platform(), 'name': backend.device_name(), **settings},
        'data set': {'images': data.content_digest, 'source': data.fingerprint, 'shape': list(data.shape), **digests},
        'arguments': {key: value for key, value in options.items() if key not in OWN},
        'model to resume': state and {key: state[key] for key in ('stage', 'epoch')} | {'arrays': _of_arrays(state)},
    }
    answers = [json.loads(one) for one in backend.compared('what it was given', json.dumps(facts))]
    for k, other in enumerate(answers):
        for what, own in answers[0].items():
            if other[what] != own:
                raise ValueError(f'the hosts have different {what}: {_difference(own, other[what], k)}')


def _difference(first, other, k):
    if first is None or other is None:
        return f'host 0 has {"none" if first is None else "one"}, host {k} {"none" if other is None else "one"}'
    key = next(key for key in {**first, **other} if first.get(key) != other.get(key))
    return f'{key} is {shortened(first.get(key))} on host 0, {shortened(other.get(key))} on host {k}'


def _digest(text):
    return hashlib.sha256((text or '').encode()).hexdigest()[:16]


def _of_arrays(state):
    digest = hashlib.sha256()
    for group in ('arrays', 'kept', 'trained'):
        for name, value in sorted((state[group] or {}).items()):
            digest.update(f'{group} {name}'.encode() + value.tobytes())
    return digest.hexdigest()[:16]


def source_digest() -> str:
    """Digest of all of symfer's code that an experiment may use."""
    digest = hashlib.sha256()
    for folder in ('launch.py', 'cnn', 'loaders', 'mlp', 'utils'):
        found = ROOT / folder
        for path in [found] if found.is_file() else sorted(found.rglob('*.py')):
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]

"""An experiment that several hosts run together: they meet, compare what they were given, and notice who stops.

Each runs the whole of it; host 0 writes model and record, the others into a folder that goes with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils import __version__, backend
from utils.experiment.values import shortened

if TYPE_CHECKING:
    from utils.annotations import Dataset


ROOT = Path(__file__).parents[2]
# Arguments in which hosts may differ: where files lie, and what is said and drawn.
OWN = ('dataset', 'savename', 'teacher', 'track', 'report', 'name', 'save_every')


def join(options: dict[str, Any]) -> bool:
    """Meet the other hosts, where the arguments name any; whether they do.

    Raises
    ------
    ValueError
        Arguments that do not go together.
    ConnectionError
        The hosts did not all meet.
    """
    hosts, index, number = (options[key] for key in ('hosts', 'host_index', 'n_hosts'))
    if hosts is None:
        if index is not None or number is not None:
            raise ValueError('host_index and n_hosts are of several hosts: give hosts, the address of host 0, too')
        return False
    if hosts == 'auto':
        if index is not None or number is not None:
            raise ValueError("with hosts='auto' host_index and n_hosts are found out: leave them out")
    else:
        if index is None or number is None:
            raise ValueError(f'hosts={hosts!r} needs host_index and n_hosts: the number of this host and how many')
        if index >= number:
            raise ValueError(f'host_index must lie between 0 and n_hosts - 1 = {number - 1}, got {index}')
        if not hosts.rpartition(':')[2].isdigit() or ':' not in hosts:
            raise ValueError(f'hosts must be host:port of host 0, as 10.0.0.1:4321, got {hosts!r}')
    if options['members'] > 1:
        raise ValueError('members are of one host: leave hosts out, or members')
    backend.join(hosts, index, number)
    return backend.n_hosts() > 1


def check_same(options: dict[str, Any], data: Dataset, source: str | None, state: Any) -> None:
    """Refuse hosts that would not run the same experiment.

    Parameters
    ----------
    options : dict
        Arguments as JSON knows them.
    data : loaders.Dataset
    source : str or None
        Of the network's class.
    state : dict or None
        Of the model to resume.

    Raises
    ------
    ValueError
        They differ; says in what. Every host raises it.
    """
    facts = {
        'code': {'version': __version__, 'source': source_digest(), 'class of the network': _digest(source)},
        'data set': {'images': data.content_digest, 'source': data.fingerprint, 'shape': list(data.shape)},
        'arguments': {key: value for key, value in options.items() if key not in OWN},
        'model to resume': state and {'stage': state['stage'], 'epoch': state['epoch'], 'arrays': _of_arrays(state)},
    }
    answers = [json.loads(one) for one in backend.compared('what it was given', json.dumps(facts))]
    for k, other in enumerate(answers):
        for what, own in answers[0].items():
            if other[what] != own:
                raise ValueError(f'the hosts have different {what}: {_difference(own, other[what], k)}')


def _difference(first, other, k):
    if not isinstance(first, dict) or not isinstance(other, dict):
        return f'host 0 {"has none" if first is None else "has one"}, host {k} {"none" if other is None else "one"}'
    key = next(key for key in first if first[key] != other.get(key))
    return f'{key} is {shortened(first[key])} on host 0, {shortened(other.get(key))} on host {k}'


def _digest(text):
    return hashlib.sha256((text or '').encode()).hexdigest()[:16]


def _of_arrays(state):
    digest = hashlib.sha256()
    for name, value in sorted(state['arrays'].items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()[:16]


def source_digest() -> str:
    """Of all code of symfer's that an experiment may use."""
    digest = hashlib.sha256()
    for folder in ('launch.py', 'cnn', 'loaders', 'mlp', 'utils'):
        found = ROOT / folder
        for path in [found] if found.is_file() else sorted(found.rglob('*.py')):
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def naming_the_dead() -> Iterator[None]:
    """A block in which an error that comes of a host that stopped names it.

    Raises
    ------
    ConnectionError
    """
    if backend.n_hosts() == 1:
        yield
        return
    watch = backend.Watch()
    try:
        yield
    except Exception as error:
        if type(error).__name__ not in ('JaxRuntimeError', 'XlaRuntimeError', 'ValueError'):
            raise
        dead = watch.dead()
        if not dead:
            raise
        raise ConnectionError(
            f'{" and ".join(dead)} stopped: resume the model on the hosts that are left, or on as many as before'
        ) from error
    finally:
        watch.close()

"""A cache of compiled functions in files: a function that was compiled once is neither rewritten nor traced again.

==================  ===========================================================================
`Storing`           a rewriter that skips graphs whose executable is in a file
`Executable`        a function that is read from a file, or compiled and written
`key_of`            the file name, derived from what a graph computes
==================  ===========================================================================

JAX's own cache only saves compilation: the graph must be rewritten and traced first, which then takes most of the time.
Here the name is derived from the graph before rewriting and from everything else that decides what is computed: the
sources of Ops, rewrites and translations, versions, options, processor. The files are beside those of JAX. As with
JAX's cache, reading a file runs machine code that a process of this user has written.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
import pytensor
from jax.experimental import serialize_executable
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.scalar.basic import ScalarOp, ScalarType
from pytensor.tensor.type import TensorType

from utils import native
from utils.backend.native import kernels, registered
from utils.backend.platform import device_name, platform

if TYPE_CHECKING:
    from pytensor.graph.fg import FunctionGraph

NAME = 'stored_step'  # of jitted functions
FOLDER = 'functions'  # in JAX's cache folder
MOST_BYTES = 2 << 30  # of all files; the least recently used ones are deleted first


class Unknown(Exception):
    """Raised for a part of a graph that cannot be identified."""


def folder() -> Path | None:
    """Folder of the files; None if JAX's cache is off."""
    where = jax.config.jax_compilation_cache_dir
    return Path(where) / FOLDER if where and jax.config.jax_enable_compilation_cache else None


# ------------------------------------------------------------------------------------------------ names


def _token(value: Any) -> Any:
    """Convert a value to an object whose `repr` identifies it."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return (
            'array',
            value.dtype.str,
            value.shape,
            hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest(),
        )
    if isinstance(value, np.dtype):
        return ('dtype', value.str)
    if isinstance(value, slice):
        return ('slice', *map(_token, (value.start, value.stop, value.step)))
    if isinstance(value, (tuple, list)):
        return (type(value).__name__, *map(_token, value))
    if isinstance(value, dict) or hasattr(value, 'items'):
        return ('dict', *sorted((_token(k), _token(v)) for k, v in value.items()))
    if isinstance(value, TensorType):
        return ('tensor', value.dtype, value.shape)
    if isinstance(value, ScalarType):
        return ('scalar', value.dtype)
    return _token_of_object(value)


def _token_of_object(value):
    kind = value if isinstance(value, type) or callable(value) and hasattr(value, '__qualname__') else type(value)
    name = (kind.__module__ or '', kind.__qualname__)
    if name[0].partition('.')[0] not in ('pytensor', 'utils', 'numpy', 'builtins') or '<' in name[1]:
        raise Unknown(value)
    if kind is value:  # a class or function of these packages
        return ('name', *name)
    if isinstance(value, ScalarOp):
        return ('object', *name, _token({k: v for k, v in vars(value).items() if not k.startswith('__')}))
    if getattr(value, '__props__', None) is not None:
        return ('object', *name, *(_token(getattr(value, prop)) for prop in value.__props__))
    if name[0] == 'pytensor.scalar.basic':  # rules for types of outputs
        return ('object', *name, _token(vars(value)))
    raise Unknown(value)


def _of_graph(fgraph: FunctionGraph) -> Iterable[Any]:
    """Yield everything that decides what a graph computes, piece by piece."""
    places = {variable: ('input', k) for k, variable in enumerate(fgraph.inputs)}
    for variable in fgraph.inputs:
        if not isinstance(variable.type, TensorType) or None in variable.type.shape:
            raise Unknown(variable)
        yield _token(variable.type)

    def place(variable):
        if isinstance(variable, Constant):
            return ('constant', _token(variable.type), _token(variable.data))
        return places[variable]

    for n, node in enumerate(fgraph.toposort()):
        yield _token(node.op), tuple(map(place, node.inputs)), tuple(_token(v.type) for v in node.outputs)
        places |= {variable: ('node', n, k) for k, variable in enumerate(node.outputs)}
    yield tuple(map(place, fgraph.outputs)), tuple(sorted(fgraph.update_mapping.items()))


@lru_cache
def _surroundings() -> str:
    """Digest of the sources and versions, which are the same for every function of this process."""
    digest, here = hashlib.sha256(), Path(__file__).parent
    for path in sorted([*here.glob('*.py'), *(here.parent / 'ops').glob('*.py')]):
        digest.update(path.read_bytes())
    import jaxlib

    versions = [module.__version__ for module in (jax, jaxlib, np, pytensor)]
    digest.update(repr(versions).encode())
    return digest.hexdigest()


def key_of(fgraph: FunctionGraph, options: Any) -> str | None:
    """Name that identifies what a graph computes with these options; None if the graph cannot be identified."""
    digest = hashlib.sha256(_surroundings().encode())
    flags = [os.environ.get(name, '') for name in ('XLA_FLAGS', 'SYMFER_EXCLUDE')]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    settings = [jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision, cores]
    settings += [native.digest() if native.compiler() else None]
    device = platform(), device_name(), jax.devices()[0].client.platform_version
    digest.update(repr((device, flags, settings, options)).encode())
    try:
        for piece in _of_graph(fgraph):
            digest.update(repr(piece).encode())
    except (Unknown, KeyError):
        return None
    return digest.hexdigest()


# ------------------------------------------------------------------------------------------------ files


def _read(path: Path) -> Any:
    """Read the executable in a file; None if there is no file or it is damaged."""
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise ValueError('not whole')
        libraries, serialized = pickle.loads(content[32:])
        if any(kernels(library) is None for library in libraries):
            raise ValueError('calls kernels that cannot be compiled')
        compiled = serialize_executable.deserialize_and_load(*serialized, execution_devices=jax.devices()[:1])
        os.utime(path)
        return compiled
    except FileNotFoundError:
        return None
    except Exception:  # damaged, unreadable, or from another JAX: it is compiled again
        with suppress(OSError):
            path.unlink()
        return None


def _write(path: Path, compiled: Any) -> None:
    """Write an executable to a file atomically; on a full disk, or without kernels that it should call, nothing."""
    libraries = registered()
    if libraries is None:
        return
    content = pickle.dumps((libraries, serialize_executable.serialize(compiled)))
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in path.parent.iterdir())
        excess = sum(size for _, size, _ in files) + len(content) - MOST_BYTES
        for _, size, file in files:
            if excess <= 0:
                break
            file.unlink(missing_ok=True)
            excess -= size
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
            new.write(hashlib.sha256(content).digest() + content)
        os.replace(new.name, path)


def _compiled(jitted: Any, args: Any) -> Any:
    """Compile without writing to JAX's cache: an executable read from there lacks functions when written (JAX 0.10).

    JAX's key includes the name of the function, see `NAME`; it stores what took longer than a minimum to compile.
    """
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update('jax_persistent_cache_min_compile_time_secs', float('inf'))
    try:
        return jitted.lower(*args).compile()
    finally:
        jax.config.update('jax_persistent_cache_min_compile_time_secs', least)


class Stored(NamedTuple):
    """Path of the executable of a graph, the executable if the file exists, and the rewriter of the graph."""

    path: Path
    compiled: Any
    rewriter: Any


class Executable:
    """Replacement of a jitted function.

    Parameters
    ----------
    stored : Stored
    jitted : callable
        Makes the jitted function; called if there is no file, or for `lower` and `__wrapped__`.
    """

    def __init__(self, stored: Stored, jitted: Callable[[], Any]) -> None:
        self._path, self._compiled, self._make = stored.path, stored.compiled, jitted
        self._jitted = None

    @property
    def jitted(self) -> Any:
        """The jitted function of the rewritten graph."""
        if self._jitted is None:
            self._jitted = self._make()
        return self._jitted

    def __call__(self, *args: Any) -> Any:
        if self._compiled is None:
            self._compiled = _compiled(self.jitted, args)
            _write(self._path, self._compiled)
        return self._compiled(*args)

    @property
    def lower(self) -> Any:
        """`lower` of the jitted function."""
        return self.jitted.lower

    @property
    def __wrapped__(self) -> Any:
        return self.jitted.__wrapped__


class Storing(GraphRewriter):
    """A rewriter that does not change a graph whose executable is in a file.

    The graph gets an attribute `stored`: a `Stored`, or None if it cannot be identified.

    Parameters
    ----------
    rewriter : GraphRewriter
        Rewriter for graphs without a file.
    options : any
        Options of the compilation; part of the name.
    """

    def __init__(self, rewriter: GraphRewriter, options: Any) -> None:
        self.rewriter, self.options = rewriter, options

    def apply(self, fgraph: FunctionGraph, *args: Any, **kwargs: Any) -> Any:
        """Rewrite a graph, unless its executable is in a file."""
        where, stored = folder(), None
        key = key_of(fgraph, self.options) if where else None
        if where and key:
            stored = Stored(where / key, _read(where / key), self.rewriter)
        fgraph.stored = stored  # type: ignore[attr-defined]
        return None if stored and stored.compiled is not None else self.rewriter.rewrite(fgraph)

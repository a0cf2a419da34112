"""Read pickles of unknown origin by parsing them opcode by opcode. Nothing in them is called.

Reading takes at most a small multiple of the file's size in memory.
"""

from __future__ import annotations

import io
import math
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from utils.files.checksums import ModelError

MOST_OPCODES = 5_000_000  # largest number of opcodes; an array takes about thirty


class _Name(str):
    """The name of an object that a pickle refers to; it is never looked up."""


class _Type:
    """A NumPy type by its code, such as 'f4'."""

    def __init__(self, text):
        self.text = text


class _Array:
    """An array, whose value is None until its state is read."""

    value = None


ADMITTED = {
    'numpy.ndarray',
    'numpy.dtype',
    'numpy._core.multiarray._reconstruct',
    'numpy._core.multiarray.scalar',
    'numpy.core.multiarray._reconstruct',
    'numpy.core.multiarray.scalar',
}
_PLAIN = {
    'BININT',
    'BININT1',
    'BININT2',
    'BINUNICODE',
    'SHORT_BINUNICODE',
    'BINUNICODE8',
    'BINBYTES',
    'SHORT_BINBYTES',
    'BINBYTES8',
}
NUMBERS = {'f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_TUPLE': ()}


def read_pickle(path: Path) -> Any:
    """Read a pickle of a dict of strings, whole numbers and NumPy arrays.

    The pickle is parsed opcode by opcode. Arrays are made from their shape, type and bytes, and no name in the pickle
    is looked up or called.

    Raises
    ------
    ModelError
        The pickle contains anything else.
    Exception
        The file is damaged; raised by pickletools or NumPy.
    """
    content = Path(path).read_bytes()
    stack, outer, memo = [], [], {}
    for k, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
        if k > MOST_OPCODES:
            raise ModelError(f'it has more than {MOST_OPCODES} opcodes')
        name = opcode.name
        if name in ('PROTO', 'FRAME'):
            continue
        if name in _PLAIN:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == 'MARK':
            outer.append(stack)
            stack = []
        elif name == 'EMPTY_DICT':
            if k > 2:
                raise ModelError('it contains a dict within a dict')
            stack.append({})
        elif name == 'MEMOIZE':
            memo[len(memo)] = stack[-1]
        elif name in ('BINPUT', 'LONG_BINPUT'):
            memo[argument] = stack[-1]
        elif name in ('BINGET', 'LONG_BINGET'):
            stack.append(memo[argument])
        elif name in ('GLOBAL', 'STACK_GLOBAL'):
            if name == 'STACK_GLOBAL':
                argument = ' '.join([stack.pop(-2), stack.pop()])
            stack.append(_named(argument.replace(' ', '.')))
        elif name in ('TUPLE1', 'TUPLE2', 'TUPLE3'):
            n = int(name[-1])
            stack[-n:] = [tuple(stack[-n:])]
        elif name == 'TUPLE':
            items, stack = stack, outer.pop()
            stack.append(tuple(items))
        elif name == 'REDUCE':
            arguments = stack.pop()
            stack.append(_made(stack.pop(), arguments))
        elif name == 'BUILD':
            state = stack.pop()
            _set(stack[-1], state)
        elif name == 'SETITEM':
            value = stack.pop()
            _put(stack[-2], [stack.pop(), value])
        elif name == 'SETITEMS':
            items, stack = stack, outer.pop()
            _put(stack[-1], items)
        elif name == 'STOP':
            (flat,) = stack
            return _arrays_and_texts(flat)
        else:
            raise ModelError(
                f'it contains the pickle opcode {name}, which no array needs; it is not loaded, because '
                'unpickling it could run code'
            )
    raise ModelError('it is truncated')


def _arrays_and_texts(flat):
    """Check that the parsed object is a dict of strings, whole numbers and arrays, and return it."""
    if not isinstance(flat, dict):
        raise ModelError('it is a pickle, but not of a dict')
    for key, value in flat.items():
        if isinstance(value, _Array):
            flat[key] = value = value.value
        if not isinstance(value, (str, int, np.ndarray, np.generic)):
            raise ModelError(f'{key!r} is not an array of numbers')
    return flat


def _named(name):
    if name not in ADMITTED:
        raise ModelError(
            f"it contains an object '{name}', which is neither a NumPy array nor a built-in container; it is "
            'not loaded, because unpickling it could run code'
        )
    return _Name(name.rpartition('.')[2])


def _made(what, arguments):
    """Return what NumPy's functions would return, without calling them."""
    if not isinstance(what, _Name):
        raise ModelError('it calls something other than a NumPy function; it is not loaded, because it could run code')
    if what == 'dtype':
        return _Type(_numeric(arguments[0]))
    if what == '_reconstruct':
        return _Array()
    if what == 'scalar':
        return _array((), *arguments)[()]
    raise ModelError(f'it calls {what}; it is not loaded, because unpickling it could run code')


def _numeric(text):
    if not isinstance(text, str) or text not in NUMBERS:
        found = text if isinstance(text, str) else type(text).__name__
        raise ModelError(f'it contains an array of type {found!r}, expected numbers; other types could run code')
    return text


def _set(target, state):
    if isinstance(target, _Type):
        if state[1] not in ('<', '|') or any(v is not None for v in state[2:5]):
            raise ModelError('it contains an array that is not of numbers')
    elif isinstance(target, _Array) and target.value is None:
        _, shape, kind, columns_first, data = state
        target.value = _array(shape, kind, data, 'F' if columns_first else 'C')
    else:
        raise ModelError('it sets the state of an object other than an array; it is not loaded, as it could run code')


def _array(shape, kind, data, order='C'):
    if not (
        isinstance(kind, _Type)
        and isinstance(data, bytes)
        and isinstance(shape, tuple)
        and len(shape) <= 32
        and all(type(n) is int and n >= 0 for n in shape)
    ):
        raise ModelError('it contains an array that is not of plain numbers')
    dtype = np.dtype('<' + kind.text)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ModelError(f'it contains an array of shape {shape} and type {dtype} with {len(data)} bytes of data')
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _put(target, items):
    if not isinstance(target, dict):
        raise ModelError('it puts items into an object other than a dict')
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str) or key in target:
            raise ModelError(f'it has the entry {key!r} twice' if isinstance(key, str) else 'an entry has no name')
        target[key] = value

"""Reading files that may be hostile: no more of HDF5 and of pickle than model files need, checked before it is read.

==================  ===========================================================================
`read_hdf5`         names, texts and arrays of an HDF5 file
`read_pickle`       the same of a pickle; nothing in it is called, it is parsed
`checksums`         SHA-256 of every entry
`Draws`             a generator that draws no more numbers than a saved network needs
`ModelError`        what a bad file ends in
==================  ===========================================================================

Neither takes more memory than a small multiple of the file's size.
"""
import hashlib
import io
import math
import pickletools
import struct
from pathlib import Path

import h5py
import numpy as np

MOST_NAMES = 100_000        # data sets and groups of an HDF5 file
MOST_OPCODES = 5_000_000    # of a pickle; an array takes about thirty
LONGEST_ATTRIBUTE = 256     # bytes


class ModelError(ValueError):
    """A model file that is not what it should be."""


def checksums(flat):
    """SHA-256 in hex of every entry, by name: of texts, and of type, shape and bytes of arrays."""
    out = {}
    for name, value in flat.items():
        if isinstance(value, str):
            out[name] = hashlib.sha256(value.encode()).hexdigest()
        else:
            value = np.asarray(value)
            digest = hashlib.sha256(f'{value.dtype.str} {value.shape} '.encode())
            digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
            out[name] = digest.hexdigest()
    return out


# ------------------------------------------------------------------------------------------- HDF5

def read_hdf5(path):
    """Attributes and data sets of an HDF5 file, every one of which lies within the file.

    Returns
    -------
    attributes : dict of str to str or int
        Of the file itself: texts of fixed length and whole numbers.
    flat : dict of str to str or array
        Texts, and arrays of numbers, by path.

    Raises
    ------
    ModelError
        Links that lead elsewhere, external storage, virtual, chunked or compressed data, other types, shapes that
        the file has no room for, one thing under two names.
    OSError, RuntimeError, KeyError, ValueError, TypeError
        From h5py: the file is damaged.
    """
    size = Path(path).stat().st_size
    with h5py.File(path, 'r') as file:
        attributes = {name: _attribute(file, name) for name in ('format', 'version') if name in file.attrs}
        flat, room = {}, size
        for name, item in _data_sets(file):
            room -= _check_within(name, item, size)
            if room < 0:
                raise ModelError(f'its data sets together are larger than the file, from {name!r} on')
            flat[name] = _text(path, name, item, size) if item.dtype.kind in 'SO' else item[()]
    return attributes, flat


def _attribute(file, name):
    declared = file.attrs.get_id(name)
    if declared.shape == () and declared.dtype.itemsize <= LONGEST_ATTRIBUTE:
        if declared.dtype.kind in 'iu':
            return int(file.attrs[name])
        if declared.dtype.kind == 'S':
            return file.attrs[name].decode('ascii', 'replace')
        if declared.dtype.kind == 'O':      # of version 1: text of variable length, which is left where it is
            return None
    raise ModelError(f'its attribute {name!r} is neither a short text nor a number')


def _data_sets(file):
    """Every data set with its path. A link is followed only where it leads to something of this file, once."""
    waiting, seen = [(file, '')], {h5py.h5o.get_info(file['/'].id).addr}
    while waiting:
        group, prefix = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f'{prefix + name!r} is a link to somewhere else')
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ModelError(f'{prefix + name!r} is there under another name too')
            seen.add(address)
            if len(seen) > MOST_NAMES:
                raise ModelError(f'it has more than {MOST_NAMES} data sets')
            if isinstance(item, h5py.Group):
                waiting.append((item, f'{prefix}{name}/'))
            elif isinstance(item, h5py.Dataset):
                yield prefix + name, item
            else:
                raise ModelError(f'{prefix + name!r} is neither a group nor a data set')


def _check_within(name, item, size):
    """Bytes of a data set, if it is stored in one piece within the file."""
    if item.dtype.kind not in 'fiuSO' or (item.dtype.kind in 'fiu' and item.dtype.itemsize > 8):
        raise ModelError(f'data set {name!r} has type {item.dtype}, numbers expected')
    if item.dtype.kind in 'SO' and item.shape != ():
        raise ModelError(f'data set {name!r} has type {item.dtype}, numbers expected')
    if item.is_virtual or item.external or item.chunks:
        raise ModelError(f'data set {name!r} is not stored in one piece within the file')
    n_bytes = item.id.get_type().get_size() * math.prod(item.shape or ())
    start = item.id.get_offset()
    if start is None or item.shape is None or start + n_bytes > size:
        raise ModelError(f'data set {name!r} is declared as {item.dtype} {item.shape}, and the file has no room for it')
    return n_bytes


def _text(path, name, item, size):
    if item.dtype.kind == 'S':
        return item[()].decode()
    info = h5py.check_string_dtype(item.dtype)
    if info is None or info.length is not None:
        raise ModelError(f'data set {name!r} has type {item.dtype}, numbers expected')
    # Text of variable length (version 1) lies in a heap that HDF5 has no checksum for: read here, by the format's
    # specification (global heap, section III.E), and not by the library.
    with open(path, 'rb') as file:
        file.seek(item.id.get_offset())
        length, address, number = struct.unpack('<IQI', file.read(16))
        file.seek(address)
        magic, heap_size = struct.unpack('<8sQ', file.read(16))
        if magic != b'GCOL\1\0\0\0' or not 16 < heap_size <= size - address:
            raise ModelError(f'the text {name!r} is damaged')
        heap, at = file.read(heap_size - 16), 0
    while at + 16 <= len(heap):
        index, n_bytes = struct.unpack('<H6xQ', heap[at:at + 16])
        if index == number and number:
            if length > n_bytes or at + 16 + length > len(heap):
                break
            return heap[at + 16:at + 16 + length].decode()
        if index == 0:
            break
        at += 16 + -(-n_bytes // 8) * 8
    raise ModelError(f'the text {name!r} is damaged')


# ----------------------------------------------------------------------------------------- pickle

class _Name(str):
    """What a pickle names by module and name; never looked up."""


class _Type:
    """A NumPy type, by its text: 'f4'."""

    def __init__(self, text):
        self.text = text


class _Array:
    """An array before its state is known, and then with it."""
    value = None


ADMITTED = {'numpy.ndarray', 'numpy.dtype', 'numpy._core.multiarray._reconstruct', 'numpy._core.multiarray.scalar',
            'numpy.core.multiarray._reconstruct', 'numpy.core.multiarray.scalar'}
_PLAIN = {'BININT', 'BININT1', 'BININT2', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINBYTES',
          'SHORT_BINBYTES', 'BINBYTES8'}
NUMBERS = {'f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'}
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False, 'EMPTY_TUPLE': ()}


def read_pickle(path):
    """The dict that a pickle of a dict of texts, whole numbers and NumPy arrays holds.

    The pickle is parsed opcode by opcode; arrays are made here from their shape, type and bytes, and nothing that it
    names is looked up or called.

    Raises
    ------
    ModelError
        Anything else in it.
    Exception
        From pickletools or NumPy: the file is damaged.
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
                raise ModelError('it holds a dict within a dict')
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
            raise ModelError(f'it holds a pickle opcode {name}, which no array needs; it is not loaded, for '
                             'unpickling it could run code')
    raise ModelError('it ends too early')


def _arrays_and_texts(flat):
    """What a pickle gave, if it is a dict of texts, whole numbers and arrays."""
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
        raise ModelError(f"it holds an object '{name}', which is neither a NumPy array nor a built-in container; it is "
                         'not loaded, for unpickling it could run code')
    return _Name(name.rpartition('.')[2])


def _made(what, arguments):
    """What NumPy's own functions would give, without calling them."""
    if not isinstance(what, _Name):
        raise ModelError('it calls something that is no function of NumPy; it is not loaded, for it could run code')
    if what == 'dtype':
        return _Type(_numeric(arguments[0]))
    if what == '_reconstruct':
        return _Array()
    if what == 'scalar':
        return _array((), *arguments)[()]
    raise ModelError(f'it calls {what}; it is not loaded, for unpickling it could run code')


def _numeric(text):
    if not isinstance(text, str) or text not in NUMBERS:
        found = text if isinstance(text, str) else type(text).__name__
        raise ModelError(f'it holds an array of type {found!r}, numbers expected; other types could run code')
    return text


def _set(target, state):
    if isinstance(target, _Type):
        if state[1] not in ('<', '|') or any(v is not None for v in state[2:5]):
            raise ModelError('it holds an array of another type than numbers')
    elif isinstance(target, _Array) and target.value is None:
        _, shape, kind, columns_first, data = state
        target.value = _array(shape, kind, data, 'F' if columns_first else 'C')
    else:
        raise ModelError('it sets the state of something that is no array; it is not loaded, for it could run code')


def _array(shape, kind, data, order='C'):
    if not (isinstance(kind, _Type) and isinstance(data, bytes) and isinstance(shape, tuple) and len(shape) <= 32
            and all(type(n) is int and n >= 0 for n in shape)):
        raise ModelError('it holds an array that is not of plain numbers')
    dtype = np.dtype('<' + kind.text)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ModelError(f'it holds an array of shape {shape} and type {dtype} with {len(data)} bytes of data')
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _put(target, items):
    if not isinstance(target, dict):
        raise ModelError('it puts items into something that is no dict')
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str) or key in target:
            raise ModelError(f'it has the entry {key!r} twice' if isinstance(key, str) else 'an entry has no name')
        target[key] = value


# -------------------------------------------------------------------------------------- networks

class Draws(np.random.Generator):
    """A generator for a saved network's weights that refuses to draw many more numbers than were saved.

    So a configuration that asks for an absurdly large network is refused before it takes memory, and one that asks
    for a great many layers before it takes time.

    Parameters
    ----------
    saved : int
        Numbers that the file holds.
    calls : int, optional
        How often it may be asked for numbers.
    """

    def __init__(self, bit_generator, saved, calls=math.inf):
        super().__init__(bit_generator)
        self.left, self.calls = 4 * saved + 2 ** 20, calls

    def _count(self, size):
        self.left -= math.prod(np.atleast_1d(size).tolist()) if size is not None else 1
        self.calls -= 1
        if self.left < 0 or self.calls < 0:
            raise ModelError('the saved model is of another architecture: its arguments make a network much larger '
                             'than the parameters in the file')

    def uniform(self, low=0., high=1., size=None):
        self._count(size)
        return super().uniform(low, high, size)

    def normal(self, loc=0., scale=1., size=None):
        self._count(size)
        return super().normal(loc, scale, size)

    def standard_normal(self, size=None, *args, **kwargs):
        self._count(size)
        return super().standard_normal(size, *args, **kwargs)

    def random(self, size=None, *args, **kwargs):
        self._count(size)
        return super().random(size, *args, **kwargs)

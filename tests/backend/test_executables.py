"""Compiled functions in files: found again, distinguished, and compiled again if they cannot be used."""

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from utils import backend, ops
from utils.backend import executables
from utils.backend.executables import Executable


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(executables, 'folder', lambda: tmp_path / 'functions')
    return tmp_path / 'functions'


def counter(scale=2.0, start=0.0, **kwargs):
    """A function that adds to a shared array in place, and the array."""
    x = pt.tensor('x', dtype='float32', shape=(3,))
    total = pytensor.shared(np.full(3, start, 'float32'), shape=(3,))
    value = np.float32(scale) * pt.log(pt.exp(x)) + total
    kwargs = {'stored': True, **kwargs}
    return backend.function([x], [value.sum(), 2 * value], updates={total: value}, **kwargs), total


X = np.array([1, 2, 3], 'float32')


def rewritten(f):
    """Whether PyTensor has rewritten the graph of a function, which removes the log of an exp."""
    return 'log' not in ' '.join(str(node.op) for node in f.maker.fgraph.toposort()).lower()


def test_a_function_that_was_compiled_once_is_found_and_does_the_same(folder):
    outcomes = []
    for found in (False, True, True):
        f, total = counter(start=1.0)
        assert isinstance(f.vm.jit_fn, Executable)
        results = [[np.asarray(v).tobytes() for v in f(X)] for _ in range(3)]
        outcomes.append((results, np.asarray(total.get_value()).tobytes()))
        assert len(list(folder.iterdir())) == 1
        assert (f.vm.jit_fn._jitted is None) is found
    assert outcomes[0] == outcomes[1] == outcomes[2]
    np.testing.assert_allclose(total.get_value(), 1 + 3 * 2 * X, rtol=1e-6)


def test_what_computes_something_else_has_another_name(folder):
    x = pt.tensor('x', dtype='float32', shape=(4, 8, 8, 2))
    long = pt.tensor('x', dtype='float32', shape=(5, 8, 8, 2))
    W = pt.tensor('W', dtype='float32', shape=(3, 3, 2, 4))
    seed, rows = pt.scalar('seed', dtype='uint32'), pt.tensor('rows', dtype='int32', shape=(3,))
    graphs = [
        ([x], x + np.float32(1)),
        ([x], x + np.float32(2)),
        ([long], long + np.float32(1)),
        ([x], x.sum(axis=0)),
        ([x], x.sum(axis=1)),
        ([x], x[:, 1:]),
        ([x], x[:, 2:]),
        ([x], x.transpose(0, 2, 1, 3)),
        ([x], pt.cast(x, 'int32')),
        ([x], pt.cast(x, 'int8')),
        ([x, W], ops.conv2d(x, W, 1)),
        ([x, W], ops.conv2d(x, W, 0)),
        ([x, W], ops.conv2d(x, W, 1, 2)),
        *[([seed, rows], ops.RandomBits(k)(seed, rows)) for k in (1, 2)],
    ]
    names = []
    for inputs, output in graphs:
        fgraph = pytensor.graph.fg.FunctionGraph(inputs, [output], clone=True, update_mapping={})
        assert executables.key_of(fgraph, ()) == executables.key_of(fgraph.clone(), ())
        names += [executables.key_of(fgraph, ()), executables.key_of(fgraph, ('bf16',))]
    assert None not in names and len(set(names)) == len(names)


def test_environment_and_platform_are_in_the_name(monkeypatch):
    x = pt.tensor('x', dtype='float32', shape=(4,))
    fgraph = pytensor.graph.fg.FunctionGraph([x], [x + 1], clone=True, update_mapping={})
    names = {executables.key_of(fgraph, ())}
    other = 'cpu' if backend.platform() == 'gpu' else 'gpu'
    for name, value in (('XLA_FLAGS', '--xla_x'), ('SYMFER_EXCLUDE', 'a'), ('SYMFER_PLATFORM', other)):
        monkeypatch.setenv(name, value)
        names.add(executables.key_of(fgraph, ()))
    assert len(names) == 4


class Own(Op):
    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0] + 1


def test_of_an_op_from_elsewhere_nothing_is_kept(folder):
    from pytensor.link.jax.dispatch import jax_funcify

    jax_funcify.register(Own)(lambda op, **kwargs: lambda x: x + 1)
    x = pt.tensor('x', dtype='float32', shape=(3,))
    f = backend.function([x], Own()(x), stored=True)
    np.testing.assert_array_equal(f(X), X + 1)
    assert not isinstance(f.vm.jit_fn, Executable) and not folder.exists()
    vector = pt.vector('x', dtype='float32')  # of any length
    f = backend.function([vector], vector * 2, stored=True)
    assert [len(np.asarray(f(X[:k]))) for k in (1, 3)] == [1, 3] and not folder.exists()


@pytest.mark.parametrize('damage', [lambda b: b[: len(b) // 2], lambda b: b'', lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_damaged_file_is_made_anew(folder, damage):
    counter()[0](X)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_allclose(counter()[0](X)[0], 2 * X.sum(), rtol=1e-6)
    assert len(path.read_bytes()) > len(whole) // 2
    f = counter()[0]
    f(X)
    assert f.vm.jit_fn._jitted is None


def test_a_found_function_gives_its_graph_and_program_when_asked(folder):
    counter()[0](X)
    f, total = counter()
    assert not rewritten(f)
    assert 'stored_step' in f.vm.jit_fn.lower(X, np.zeros(3, 'float32')).as_text()
    assert rewritten(f)
    many = backend.StepsPerExecution(counter()[0], 4)
    each = counter()[0]
    np.testing.assert_array_equal(many(np.stack([X] * 3))[0], [each(X)[0] for _ in range(3)])
    assert total.get_value().sum() == 0


def test_what_was_not_used_for_longest_goes_first(folder, monkeypatch):
    for scale in (2.0, 3.0):
        counter(scale)[0](X)
    first, second = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    size = first.stat().st_size
    counter(2.0)[0](X)  # used again
    monkeypatch.setattr(executables, 'MOST_BYTES', int(2.5 * size))
    counter(4.0)[0](X)
    assert first.exists() and not second.exists() and len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_written_keeps_nothing(folder):
    folder.write_text('a file')
    np.testing.assert_allclose(counter()[0](X)[0], 2 * X.sum(), rtol=1e-6)
    assert folder.is_file()


def test_without_a_cache_of_jaxs_there_is_none_of_ours(monkeypatch):
    monkeypatch.undo()
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update('jax_compilation_cache_dir', None)
        assert executables.folder() is None
        assert not isinstance(counter()[0].vm.jit_fn, Executable)
    finally:
        jax.config.update('jax_compilation_cache_dir', before)

"""Export to ONNX: every network gives the same outputs in other programs; what cannot be converted is named."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile import Mode
from pytensor.graph import Apply
from pytensor.graph.op import Op

import cnn
import launch
import mlp
from cnn.layers import AvgPool, Conv, MaxPool, Residual
from mlp.layers import FullyConnected
from utils import ops
from utils.export.formats import FORMATS, Exported
from utils.export.onnx_.conversion import NotConvertible
from utils.layer import Layer, Phase, n_features, parameters

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

SIDE, CLASSES = 24, ('a', 'b', 'c')
NETWORKS = [*(getattr(cnn, name) for name in cnn.__all__), mlp.MLP]


def shaken(network, rng):
    """Change all parameters of a network from their initial values; variances stay positive."""
    for name, p in parameters(network).items():
        value = p.get_value()
        noise = rng.normal(size=value.shape).astype('float32')
        p.set_value(np.abs(value + 0.1 * noise) + 0.1 if name.endswith('var') else value + 0.1 * noise)
    return network


def expected(network, images, temperature=1.0):
    """Compute the probabilities by the NumPy forms of the Ops, in float64 after the network."""
    x = pt.tensor('x', dtype='float32', shape=(len(images), *images.shape[1:], 1))
    logits = pytensor.function([x], network(x, Phase()), mode=Mode('py', None))(
        images[..., None].astype('float32') / 255
    )
    e = np.exp((logits := logits.astype(float) / temperature) - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def encoded(network, side=SIDE, **config):
    config = {'im_dim': (side, side), 'classes': CLASSES, 'options': {'network': 'X'}, **config}
    return FORMATS['onnx'].encode(Exported(network, config))


def by_onnxruntime(content, images):
    session = onnxruntime.InferenceSession(content)
    return session.run(None, {'images': images[:, None].astype('float32')})[0]


def by_opencv(content, images):
    network = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))
    network.setInput(images[:, None].astype('float32'))
    return network.forward()


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)


@pytest.mark.parametrize('network', NETWORKS, ids=lambda network: network.__name__)
def test_every_network_answers_in_onnxruntime_and_opencv(network, rng):
    side = 48 if network in (cnn.VGG, cnn.VGG11, cnn.LeNet5) else SIDE
    images = rng.integers(0, 256, (3, side, side), dtype=np.uint8)
    net = shaken(network((side, side), len(CLASSES), n_hidden=(16,), rng=rng), rng)
    content, wanted = encoded(net, side, temperature=1.7), expected(net, images, 1.7)
    np.testing.assert_allclose(by_onnxruntime(content, images), wanted, atol=1e-5)
    np.testing.assert_allclose(by_opencv(content, images), wanted, atol=5e-5)  # its Winograd rounds more


def test_any_number_of_images_and_no_transposes_but_one(rng, images):
    net = cnn.D((SIDE, SIDE), len(CLASSES), n_hidden=(8,), rng=rng)
    content = encoded(net)
    whole = by_onnxruntime(content, images)
    for n in (1, 2):
        np.testing.assert_allclose(by_onnxruntime(content, images[:n]), whole[:n], atol=1e-6)
    nodes = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert nodes.count('Transpose') == 1 and 'BatchNormalization' not in nodes and 'Expand' not in nodes


class Own(Layer):
    """Operations of user-defined networks: gates, means, slices, joins, comparisons, products, other poolings."""

    def __init__(self, im_dim, n_classes, *, rng):
        self.conv = Conv(1, 4, size=5, border='valid', pool=MaxPool(3, stride=2, ignore_border=False), rng=rng)
        self.block = Residual(4, 6, pool=AvgPool((2, 3), ignore_border=False), rng=rng)
        self.gate = Conv(6, 6, size=1, activation=None, rng=rng)
        self.fc = FullyConnected(n_features(self.features, im_dim), n_classes, (5,), rng=rng)

    def features(self, x, phase):
        x = self.block(self.conv(x[:, 1:-1, ::2], phase), phase)
        x = x * pt.sigmoid(self.gate(x, phase)) + pt.exp(-(x**2)) - pt.log1p(abs(x))
        squeezed = pt.mean(x, axis=(1, 2), dtype='float32')  # (n, 6)
        x = pt.concatenate([x * squeezed.dimshuffle(0, 'x', 'x', 1), pt.switch(x > 0.1, x, 0.5)[..., :2]], axis=3)
        x = pt.concatenate(
            [pt.zeros_like(x[..., :1]) + 2, pt.clip(x, -0.5, 0.5), pt.max(x, axis=3, keepdims=True)], axis=3
        )
        return pt.maximum(x, x[..., ::-1]) + x[:, :, :, 2].dimshuffle(0, 1, 2, 'x')

    def __call__(self, x, phase):
        return self.fc(self.features(x, phase), phase)


def test_a_network_of_the_users_own_of_known_ops(rng, images):
    net = shaken(Own((SIDE, SIDE), len(CLASSES), rng=rng), rng)
    np.testing.assert_allclose(by_onnxruntime(encoded(net), images), expected(net, images), atol=1e-5)


FUNCTIONS = [
    pt.abs, pt.ceil, pt.cos, pt.cosh, pt.arctan, pt.exp, pt.expm1, pt.erf, pt.floor, pt.neg, pt.sign, pt.sigmoid,
    pt.sin, pt.sinh, pt.softplus, pt.sqr, pt.tan, pt.tanh, lambda x: pt.log(x + 2), lambda x: pt.sqrt(x + 2),
    lambda x: pt.reciprocal(x + 2), lambda x: pt.minimum(x, 0.2), lambda x: pt.maximum(0, x), lambda x: x**3,
    lambda x: pt.switch(pt.neq(x, 0), x, 1), lambda x: pt.switch(pt.le(x, 0.3) & pt.ge(x, -0.3), x, -x),
    lambda x: pt.switch(pt.eq(x, 0) | pt.lt(x, 0), x * 2, x), lambda x: pt.prod(x, axis=1), lambda x: pt.min(x, axis=1),
    lambda x: x.astype('int32').astype('float32'), lambda x: pt.special.softmax(x, axis=1),
    lambda x: x.reshape((x.shape[0], SIDE * SIDE))[:, 5:9], lambda x: x.dimshuffle(0, 2, 1), lambda x: x[:, -1],
    lambda x: pt.dot(x.mean(axis=1), np.ones((SIDE, 2), 'float32')), lambda x: pt.matmul(x, x.dimshuffle(0, 2, 1)),
]  # fmt: skip


@pytest.mark.parametrize('function', FUNCTIONS, ids=lambda f: getattr(f, 'name', None) or getattr(f, '__name__', 'f'))
def test_every_operation_is_that_of_numpy(function, rng, images):
    class One(Layer):
        def __call__(self, x, phase):
            y = function(4 * x[..., 0] - 2)
            return y.reshape((y.shape[0], int(np.prod(y.type.shape[1:]))))[:, : len(CLASSES)]

    np.testing.assert_allclose(by_onnxruntime(encoded(One()), images), expected(One(), images), atol=2e-6)


def refused(call):
    class One(Layer):
        def __call__(self, x, phase):
            return call(x)

    with pytest.raises(NotConvertible) as error:
        encoded(One())
    return str(error.value)


def test_what_cannot_be_converted_is_named_with_what_to_register():
    assert 'Unpool' in refused(lambda x: pytensor.grad(ops.max_pool(x, 2).sum(), x)[:, :3, 0, 0])
    assert 'scalar_converter' in refused(lambda x: pt.gammaln(x[:, :3, 0, 0] + 1))
    assert 'number is free' in refused(lambda x: x[:, :3, 0, 0] - x[:, :3, 0, 0].sum(axis=0))
    assert 'number is free' in refused(lambda x: x[:, :3, 0, 0] - x[0, :3, 0, 0])
    assert 'number of images' in refused(lambda x: x[:, :3, 0, 0] * x.shape[0].astype('float32'))


def test_a_model_by_the_command(tiny_model, tiny_set, tmp_path, capsys, images):
    path = tmp_path / 'm.onnx'
    assert launch.main(['export', str(tiny_model), '-o', str(path)]) == 0
    model = onnx.load(path)
    config = launch.open_model(tiny_model)[1]
    faces = np.random.default_rng(1).integers(0, 256, (4, *config['im_dim']), dtype=np.uint8)
    np.testing.assert_allclose(by_onnxruntime(path.read_bytes(), faces), launch.predict(tiny_model, faces), atol=1e-5)
    assert json.loads({p.key: p.value for p in model.metadata_props}['classes']) == [*config['classes']]
    assert [one.version for one in model.opset_import] == [17] and model.producer_name == 'symfer'


def test_stablehlo_answers_in_jax(tiny_model, tmp_path):
    from jax import export

    path = launch.export(tiny_model, tmp_path / 'm.stablehlo')
    program = export.deserialize(bytearray(path.read_bytes()))
    config = launch.open_model(tiny_model)[1]
    for n in (1, 4):
        faces = np.random.default_rng(n).integers(0, 256, (n, *config['im_dim']), dtype=np.uint8)
        np.testing.assert_allclose(program.call(faces), launch.predict(tiny_model, faces), atol=1e-5)
    assert program.platforms == ('cpu', 'cuda')


def blocks(page):
    text = (Path(__file__).parents[2] / 'docs' / page).read_text(encoding='utf-8')
    return re.findall(r'```python\n(.*?)```', text, re.S)


def test_the_lines_of_the_page_run_without_symfer(tmp_path, images):
    shipped = Path(__file__).parents[2] / 'trained_models' / 'fer2013_B.h5'
    launch.export(shipped, tmp_path / 'fer2013_B.onnx')
    launch.export(shipped, tmp_path / 'fer2013_B.stablehlo')
    face = np.random.default_rng(3).integers(0, 256, (48, 48), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'face.png'), face)
    wanted = launch.predict(shipped, face[None])[0]
    lines, _, program = blocks('export.md')
    assert 'symfer' not in lines and 'launch' not in lines
    done = subprocess.run(
        [sys.executable, '-I', '-c', lines], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    got = eval(done.stdout)  # noqa: S307  (the dict that the lines print)
    assert [*got] == ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral']
    np.testing.assert_allclose([*got.values()], wanted, atol=1e-3)
    names = {'images': face[None]}
    exec(program.replace("'fer2013_B", f"'{tmp_path}/fer2013_B"), names)
    np.testing.assert_allclose(names['probabilities'][0], wanted, atol=1e-6)


def test_a_converter_of_the_users_own_as_on_the_page(images):
    class MyOp(Op):
        __props__ = ()

        def make_node(self, x):
            return Apply(self, [x], [x.type()])

        def perform(self, node, inputs, outputs):
            outputs[0][0] = np.clip(0.2 * inputs[0] + 0.5, 0, 1)

    class One(Layer):
        def __call__(self, x, phase):
            return MyOp()(8 * x[:, : len(CLASSES), 0, 0] - 4)

    with pytest.raises(NotConvertible, match='MyOp'):
        encoded(One())
    exec(blocks('export.md')[1], {'MyOp': MyOp})
    np.testing.assert_allclose(by_onnxruntime(encoded(One()), images), expected(One(), images), atol=1e-6)

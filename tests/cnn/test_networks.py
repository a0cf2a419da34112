"""Networks: the thesis's parameter counts, shapes, dtypes of updates, and what they refuse."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import reference

import cnn
import mlp
from cnn.layers import AvgPool, Conv, MaxPool, Residual, thesis_parameter_count
from utils import backend, rna
from utils.layer import Phase, output_shape, parameters, sublayers
from utils.training import optimisers
from utils.training.functions import Functions
from utils.training.settings import Settings

NETWORKS = [cnn.A, cnn.B, cnn.C, cnn.D, cnn.VGG, cnn.ResNet18, cnn.LeNet5, cnn.Sprint, mlp.MLP]


@pytest.mark.parametrize('network, count', [(cnn.A, 7040), (cnn.B, 17280), (cnn.C, 21440), (cnn.D, 4928)])
def test_parameter_counts_are_those_of_tables_3_and_5(rng, network, count):
    without = {'batch_norm': False} if network in (cnn.A, cnn.B) else {}
    assert thesis_parameter_count(network((48, 48), 7, rng=rng, **without)) == count


def test_hidden_layer_of_A_has_the_parameters_that_the_thesis_names(rng):
    # "9.44 millones de parametros" with an input of 48x48 (thesis 5.4)
    net = cnn.A((48, 48), 7, batch_norm=False, rng=rng)
    W, b = (p.get_value() for name, p in parameters(net).items() if 'hidden0' in name)
    assert W.size == 9216 * 1024 and round((W.size + b.size) / 1e6, 2) == 9.44


@pytest.mark.parametrize('network', NETWORKS)
@pytest.mark.parametrize('im_dim', [(48, 48), (42, 44)])
@pytest.mark.parametrize('n_hidden', [[], [9], [9, 8, 7]])
def test_networks_take_any_size_and_any_number_of_hidden_layers(rng, network, im_dim, n_hidden):
    net = network(im_dim, 5, n_hidden=n_hidden, rng=rng)
    y = net(pt.tensor(dtype='float32', shape=(3, *im_dim, 1)), Phase(train=True))
    assert y.type.shape == (3, 5) and y.dtype == 'float32'
    assert len([name for name in parameters(net) if name.endswith('.W') and 'hidden' in name]) == len(n_hidden)


@pytest.mark.parametrize('network', NETWORKS)
@pytest.mark.parametrize('batch_norm', [True, False])
def test_every_update_has_the_dtype_and_shape_of_its_variable(rng, network, batch_norm):
    if network in (cnn.C, cnn.D, cnn.ResNet18, cnn.VGG, cnn.Sprint) and not batch_norm:
        pytest.skip('always with batch norm, or as A')
    convolutions = [name for name in sublayers(network((32, 32), 7, rng=rng), Conv) if 'projection' not in name]
    drops = {} if network is mlp.MLP else {'p_dropConv': [0.1] * len(convolutions)}
    net = network((32, 32), 7, batch_norm=batch_norm, p_drop=0.5, gaussian_std=0.1, rng=rng, **drops)
    for k, optimiser in enumerate((optimisers.sgd, optimisers.adamw)):
        f = Functions(
            net,
            (32, 32),
            Settings(
                4,
                L1_reg=1e-4,
                L2_reg=1e-4,
                optimiser=optimisers.clipped(optimiser, 1.0),
                label_smoothing=0.1,
                ema_decay=0.9 * (k % 2),
            ),
        )
        _, outputs, changes, _ = f._training
        assert [v.dtype for v in outputs] == ['float32'] * 2
        for variable, new in changes.items():
            assert new.dtype == variable.dtype, variable.name
            assert new.type.ndim == variable.type.ndim
        trainable = set(parameters(net, trainable=True).values())
        assert trainable <= set(changes)


def test_network_A_agrees_with_numpy_in_float64(rng):
    net = cnn.A(
        (16, 16), 4, n_hidden=[6], batch_norm=True, width=1 / 32, p_drop=0.5, p_dropConv=[0.1, 0.2, 0.3, 0.4], rng=rng
    )
    values = {}
    for name, p in parameters(net).items():
        low, high = (0.5, 1.5) if name.endswith(('gamma', 'var')) else (-0.5, 0.5)
        p.set_value(rng.uniform(low, high, p.type.shape).astype('float32'))
        values[name] = p.get_value().astype(float)
    images = rng.integers(0, 256, (3, 16, 16)).astype('uint8')

    def normed(y, name):
        return reference.batch_norm(y, *(values[f'{name}.norm.{p}'] for p in ('gamma', 'beta', 'mean', 'var')))

    h = images[..., None] / 255
    for k, (pooled, keep) in enumerate(((1, 0.9), (1, 0.8), (0, 0.7), (1, 0.6)), start=1):
        h = reference.conv2d(h, values[f'conv{k}.W'], (1, 1))
        h = reference.pool(h, (2, 2), (2, 2), True, np.max) if pooled else h
        h = np.maximum(normed(h, f'conv{k}'), 0) * keep
    h = np.maximum(normed(h.reshape(3, -1) @ values['fc.hidden0.W'], 'fc.hidden0'), 0) * 0.5
    expected = h @ values['fc.softmax.W'] + values['fc.softmax.b']
    got = np.asarray(Functions(net, (16, 16), Settings(3)).test(images))
    assert abs(got - expected).max() <= 1e-5 * abs(expected).max()


def test_the_last_pooling_of_B_can_be_switched_off(rng):
    for last_pool, side in ((True, 3), (False, 6)):
        net = cnn.B((48, 48), 7, last_pool=last_pool, rng=rng)
        assert output_shape(net.features, (48, 48)) == (side, side, 512)


def test_width_scales_the_filters(rng):
    net = cnn.A((48, 48), 7, width=0.25, rng=rng)
    assert [c.W.type.shape[3] for c in sublayers(net, Conv).values()] == [16, 32, 64, 64]


@pytest.mark.parametrize('projection, count', [(True, 11_171_271), (False, 10_997_447)])
def test_resnet18_has_the_parameters_of_the_usual_one_for_small_images(rng, projection, count):
    """The count is 11,173,962 for 32x32 images of 3 channels and 10 classes, minus 2 channels and 3 classes."""
    net = cnn.ResNet18((40, 40), 7, projection=projection, rng=rng)
    assert sum(np.prod(p.type.shape) for p in parameters(net, trainable=True).values()) == count
    assert output_shape(net.features, (40, 40)) == (512,)
    assert [b.conv1.W.type.shape[2:] for b in net.blocks if isinstance(b, Residual)] == [
        (64, 64),
        (64, 64),
        (64, 128),
        (128, 128),
        (128, 256),
        (256, 256),
        (256, 512),
        (512, 512),
    ]


def test_vgg_has_the_parameters_of_its_paper(rng):
    net = cnn.VGG((40, 40), 7, rng=rng)
    weights = sum(np.prod(p.type.shape) for name, p in parameters(net).items() if name.endswith('W'))
    assert round(weights / 1e6, 1) == 29.9
    assert [conv.W.type.shape[3] for conv in net.conv] == [64, 64, 128, 128, 256, 256, 512, 512]


def test_lenet_has_the_maps_of_1998(rng):
    net = cnn.LeNet5((32, 32), 10, rng=rng)
    x = pt.tensor(dtype='float32', shape=(1, 32, 32, 1))
    first = net.conv1(x, Phase())
    assert first.type.shape == (1, 14, 14, 6)
    assert net.conv2(first, Phase()).type.shape == (1, 5, 5, 16)
    assert isinstance(net.conv1.pool, AvgPool)
    assert [p.type.shape for name, p in parameters(net).items() if 'fc' in name and name.endswith('W')] == [
        (400, 120),
        (120, 84),
        (84, 10),
    ]


def test_a_narrowing_or_widening_network_of_the_user_works(rng):
    class Mine(cnn.A):
        def __init__(self, im_dim, n_classes, *, rng):
            super().__init__(im_dim, n_classes, n_hidden=[4], p_dropConv=[0] * 4, width=1 / 16, rng=rng)
            self.extra = Residual(4, 8, rng=rng)

        def __call__(self, x, phase):
            assert self.extra(self.conv1(x, phase), phase).type.shape[3] == 8
            return super().__call__(x, phase)

    y = Mine((16, 16), 7, rng=rng)(pt.tensor(dtype='float32', shape=(2, 16, 16, 1)), Phase())
    assert backend.function([], y.shape)().tolist() == [2, 7] if y.owner is None else y.type.shape == (2, 7)


@pytest.mark.parametrize(
    'make, message',
    [
        (
            lambda rng: cnn.A((48, 48), 7, p_dropConv=[0.1] * 3, rng=rng),
            'each of the 4 convolutions of network A, got 3',
        ),
        (lambda rng: cnn.B((48, 48), 7, p_dropConv=[0.1] * 4, rng=rng), '6 convolutions of network B, got 4'),
        (lambda rng: cnn.C((48, 48), 7, p_dropConv=[0.1] * 4, rng=rng), '13 convolutions of network C, got 4'),
        (
            lambda rng: cnn.A((48, 48), 7, p_dropConv=[0.1, 0.2, 0.3, 1.0], rng=rng),
            r'p_dropConv .* in \[0, 1\), got 1.0',
        ),
        (lambda rng: cnn.A((48, 48), 7, p_drop=-0.1, rng=rng), r'p_drop .* in \[0, 1\), got -0.1'),
        (lambda rng: cnn.A((7, 7), 7, rng=rng), '7x7 pixels are too small for network A: images of 1x1 pixels'),
        (lambda rng: cnn.C((15, 48), 7, rng=rng), '15x48 pixels are too small for network C: images of 1x6 pixels'),
        (
            lambda rng: cnn.LeNet5((4, 4), 7, rng=rng),
            '4x4 pixels are too small for network LeNet5: 5x5 filters do not fit',
        ),
        (lambda rng: cnn.C((48, 48), 7, batch_norm=False, rng=rng), 'always uses batch norm'),
        (lambda rng: cnn.A((48, 48), 7, width=0, rng=rng), 'width must be a factor > 0'),
        (lambda rng: mlp.MLP((48, 48), 7, p_dropConv=[0.1], rng=rng), 'MLP has no convolutions'),
    ],
)
def test_wrong_arguments_are_refused(rng, make, message):
    with pytest.raises(ValueError, match=message):
        make(rng)


@pytest.mark.parametrize('name', rna.ACTIVATIONS)
def test_activations_have_names(name):
    assert rna.ACTIVATIONS[name]() == rna.ACTIVATIONS[name]() == eval(repr(rna.ACTIVATIONS[name]()))
    assert rna.ACTIVATIONS[name]().name == name


def test_maxout_has_pieces(rng):
    x = rng.normal(size=(2, 6, 6, 3)).astype('float32')
    layer = Conv(3, 4, activation=rna.maxout(3), batch_norm=True, pool=MaxPool(2), rng=rng)
    assert layer.W.type.shape == (3, 3, 3, 12) and layer.norm.gamma.type.shape == (12,)
    images = pt.tensor(dtype='float32', shape=x.shape)
    y, linear = layer(images, Phase()), Conv(3, 12, activation=None, batch_norm=True, pool=MaxPool(2), rng=rng)
    linear.W.set_value(layer.W.get_value())
    got, all_pieces = pytensor.function([images], [y, linear(images, Phase())], mode='FAST_COMPILE')(x)
    np.testing.assert_allclose(got, all_pieces.reshape(2, 3, 3, 4, 3).max(axis=4), rtol=1e-6)
    with pytest.raises(ValueError, match='2 to 5 pieces'):
        rna.maxout(1)
    with pytest.raises(ValueError, match='cannot be maxout'):
        Residual(3, 3, activation=rna.maxout(2), rng=rng)

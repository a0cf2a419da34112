"""The networks of ImageNet: the parameter counts of their papers, and the forms for small images of faces."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import cnn
from utils.layer import Phase, output_shape, parameters

# For 224x224 images of three channels and 1,000 classes. Ours read one channel, so two thirds of the weights of the
# first layer's filters are missing.
AS_PUBLISHED = [
    (cnn.AlexNet, {}, 60_965_224, 96 * 11 * 11),
    (cnn.ZFNet, {}, 62_357_608, 96 * 7 * 7),
    (cnn.VGG11, {}, 132_863_336, 64 * 3 * 3),
    (cnn.GoogLeNet, {}, 13_378_280, 64 * 7 * 7),  # 6,998,552 without the auxiliary classifiers
    (cnn.ResNet18, {'strides': True, 'original': True}, 11_689_512, 64 * 7 * 7),
    (cnn.ResNet34, {'strides': True, 'original': True}, 21_797_672, 64 * 7 * 7),
]


@pytest.mark.parametrize('network, options, count, first', AS_PUBLISHED, ids=lambda v: getattr(v, '__name__', None))
def test_they_have_as_many_parameters_as_published(network, options, count, first):
    class NoDraws:  # of hundreds of megabytes
        def uniform(self, low, high, shape):
            return np.broadcast_to(np.float32(0), shape)

    net = network((224, 224), 1000, rng=NoDraws(), **options)
    trainable = parameters(net, trainable=True).values()
    assert sum(int(np.prod(p.type.shape)) for p in trainable) == count - 2 * first


@pytest.mark.parametrize(
    'network, options, shape',
    [
        (cnn.AlexNet, {}, (5, 5, 64)),
        (cnn.ZFNet, {}, (6, 6, 64)),
        (cnn.VGG11, {}, (1, 1, 128)),
        (cnn.ResNet34, {}, (128,)),
        (cnn.ResNet18, {'strides': True}, (128,)),
        (cnn.ResNet18, {'original': True, 'strides': True}, (128,)),
    ],
)
def test_small_images(rng, network, options, shape):
    net = network((48, 48), 7, n_hidden=(8,), width=0.25, rng=rng, **options)
    assert output_shape(net.features, (48, 48)) == shape
    x, y = pt.tensor(dtype='float32', shape=(4, 48, 48, 1)), None
    phase = Phase(train=True)
    y = net(x, phase)
    assert y.type.shape == (4, 7)
    gradients = pytensor.grad((y**2).sum(), list(parameters(net, trainable=True).values()))
    assert len(gradients) == len(parameters(net, trainable=True))


def test_the_groups_of_alexnet_do_not_see_one_another(rng):
    net = cnn.AlexNet((48, 48), 7, n_hidden=(8,), width=0.125, rng=rng)
    x = rng.normal(size=(2, 11, 11, 12)).astype('float32')
    images = pt.tensor(dtype='float32', shape=x.shape)
    f = pytensor.function([images], net.conv2(images, Phase()), mode='FAST_COMPILE')
    before = f(x)
    x[..., 6:] += 1
    after = f(x)
    assert before.shape == (2, 11, 11, 32)
    np.testing.assert_array_equal(after[..., :16], before[..., :16])
    assert abs(after[..., 16:] - before[..., 16:]).max() > 0.01

"""A user-defined network: a 5x5 convolution, a residual block, a mean over the image, softmax."""

from cnn.layers import Conv, GlobalAvgPool, MaxPool, Residual
from launch import test
from mlp.layers import FullyConnected
from utils.layer import Layer


class Mine(Layer):
    def __init__(self, im_dim, n_classes, n_hidden=(), p_drop=0.0, filters=64, *, rng):
        self.conv = Conv(1, filters, size=5, pool=MaxPool(2), batch_norm=True, rng=rng)
        self.block = Residual(filters, 2 * filters, projection=True, pool=MaxPool(2), rng=rng)
        self.mean = GlobalAvgPool()
        self.fc = FullyConnected(2 * filters, n_classes, n_hidden, p_drop, batch_norm=True, rng=rng)

    def __call__(self, x, phase):  # (n, 48, 48, 1)
        x = self.conv(x, phase)  # (n, 24, 24, 64)
        x = self.block(x, phase)  # (n, 12, 12, 128)
        return self.fc(self.mean(x, phase), phase)  # (n, 128) -> (n, n_classes), linear


if __name__ == '__main__':
    test(
        network=Mine,
        network_args={'filters': 64},
        dataset='datasets/set2.h5',
        n_hidden=[],
        p_drop=0.0,
        n_epochs=60,
        savename='trained_models/mine.h5',
    )

"""A small network whose layers are pre-trained."""

from cnn.layers import Conv, MaxPool
from mlp.layers import FullyConnected
from utils.layer import Layer
from utils.training.autoencoders import Denoising
from utils.training.functions import Functions
from utils.training.pretraining import Pretraining
from utils.training.settings import Settings

SIDE = (6, 6)


class Small(Layer):
    """A pooled convolution and a hidden layer, set by the arguments."""

    def __init__(self, rng, n_filters=3, **options):
        self.conv = Conv(1, n_filters, pool=MaxPool(2), p_drop=0.2, rng=rng, **options)
        self.fc = FullyConnected(9 * n_filters, 3, [5], 0.5, rng=rng, **options)

    def __call__(self, x, phase):
        return self.fc(self.conv(x, phase), phase)


def pretraining(net, n_epochs=1, batch_size=6, **settings):
    f = Functions(net, SIDE, Settings(batch_size, seed=4), n_classes=3)
    return Pretraining(f, Denoising(**settings), n_epochs)

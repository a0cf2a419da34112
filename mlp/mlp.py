"""The multi-layer perceptron of thesis 3.2."""

from mlp.layers import FullyConnected
from utils import rna
from utils.layer import Layer


class MLP(Layer):
    """Multi-layer perceptron on the pixels.

    Parameters
    ----------
    im_dim : (int, int)
        Height and width of the images.
    n_classes : int
    n_hidden : sequence of int
        Units of each hidden layer.
    activation, batch_norm, gaussian_std, p_drop, rng
        As in `mlp.layers.Hidden`.
    p_dropConv : sequence
        Empty: there is no convolution.
    """

    def __init__(
        self,
        im_dim,
        n_classes,
        n_hidden=(1024,),
        activation=rna.relu(),
        batch_norm=True,
        p_drop=0.5,
        p_dropConv=(),
        gaussian_std=0.0,
        *,
        rng,
    ):
        if len(p_dropConv):
            raise ValueError(f'p_dropConv must be empty: the network MLP has no convolutions, got {list(p_dropConv)}')
        height, width = im_dim
        self.fc = FullyConnected(
            height * width,
            n_classes,
            n_hidden,
            p_drop,
            activation=activation,
            batch_norm=batch_norm,
            gaussian_std=gaussian_std,
            rng=rng,
        )

    def __call__(self, x, phase):  # (n, height, width, 1)
        return self.fc(x, phase)  # (n, n_classes)

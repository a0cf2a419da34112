"""The script of the thesis: network A with dropout on set 2, its best result with such simple means.

Make the set first: python -m loaders fer2013.tar.gz --sets 2 -o datasets/
"""

from launch import test
from utils import rna

test(
    learning_rate=0.1,
    L1_reg=0.0,
    L2_reg=0.0,
    n_epochs=200,
    dataset='datasets/set2.h5',
    batch_size=100,
    n_hidden=[1024],
    activation=rna.relu(),
    batch_norm=False,
    p_drop=0.5,
    p_dropConv=[0.2, 0.3, 0.4, 0.5],
    gaussian_std=0.0,
    val=True,
    trainShared=True,
    im_dim=[48, 48],
    savename='trained_models/thesis.pkl',
)

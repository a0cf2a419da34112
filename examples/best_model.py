"""A recipe that combines current techniques, chosen on the validation images; takes hours on a GPU.

By default set 1 has no validation images. Make it with: python -m loaders fer2013.tar.gz --sets 1 --validation 3709
"""

import cnn
from launch import test
from utils.training.augmentation import Augment

result = test(
    network=cnn.VGG,
    dataset='datasets/set1.h5',
    n_hidden=[4096, 4096],
    p_drop=0.2,
    n_epochs=200,
    batch_size=128,
    learning_rate=0.02,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule='cosine',
    schedule_args={'warmup': 5},
    ema_decay=0.999,
    label_smoothing=0.1,
    augment=Augment(
        crop=40, mirror=0.5, shift=0.1, rotation=10, zoom=0.2, brightness=0.2, contrast=0.3, erase=0.5, mixup=0.2
    ),
    savename='trained_models/best.h5',
)

print(
    f'best epoch {result.epoch}, validation error {result.validation_error:.2f} %, '
    f'test error {result.special_test_error:.2f} %'
)

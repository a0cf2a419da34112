"""Keras 3 on its JAX backend, written like its own examples: channels last, `train_on_batch`."""

import os

from benchmarks.engines import N_CLASSES, N_HIDDEN, RATE, batches, data, tune_malloc


def keras(case):
    tune_malloc()
    os.environ['KERAS_BACKEND'] = 'jax'
    import jax
    import keras
    from keras import layers, ops

    if case.precision == 'bf16':
        keras.mixed_precision.set_global_policy('mixed_bfloat16')
    conv_drop, hidden_drop = case.drops

    def norm(x):
        return layers.BatchNormalization(epsilon=1e-5)(x) if case.bn else x

    def convolve(x, filters, side):
        return layers.Conv2D(filters, side, padding='same', use_bias=not case.bn)(x)

    def end(x, rate):
        return layers.Dropout(rate)(layers.ReLU()(x)) if rate else layers.ReLU()(x)

    inputs = x = layers.Input((case.side, case.side, 1))
    for kind, filters, *rest in case.layers:
        if kind == 'conv':
            y = convolve(x, filters, rest[0])
            x = end(norm(layers.MaxPooling2D()(y) if rest[-1] else y), conv_drop)
        else:
            y = norm(convolve(end(norm(convolve(x, filters, 3)), conv_drop), filters, 3))
            more = filters - x.shape[-1]
            y = y + ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, more)))
            x = end(layers.MaxPooling2D()(y) if rest[-1] else y, conv_drop)
    x = end(norm(layers.Dense(N_HIDDEN, use_bias=not case.bn)(layers.Flatten()(x))), hidden_drop)
    model = keras.Model(inputs, layers.Dense(N_CLASSES, dtype='float32')(x))
    model.compile(keras.optimizers.SGD(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = data(case)
    rows = batches(case)

    def minibatch():
        index = next(rows)
        return images[index, :, :, None].astype('float32') / 255, labels[index]

    def train():
        float(model.train_on_batch(*minibatch()))

    def predict():
        model.predict_on_batch(minibatch()[0])

    return train if case.train else predict, f'Keras {keras.__version__} on JAX {jax.__version__}'

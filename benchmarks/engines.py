"""One training step or one prediction, in symfer and in its peers; `benchmarks.train` runs them in turn.

Each engine is a function ``engine(case, **options) -> (step, about)``: `step` computes one minibatch and returns when
it is computed; `about` says versions, device and threads. An engine imports its own library, nothing else.

`NETWORKS` describes the networks as lists: ``('conv', filters, side, pooled)``, ``('residual', filters, pooled)``.
Every network ends with one hidden layer and the softmax. In each layer the order is that of the thesis: convolution,
pooling, batch norm or bias, rectifier, dropout.
"""
import os

import numpy as np

NETWORKS = {
    'A': [('conv', 64, 3, True), ('conv', 128, 3, True), ('conv', 256, 3, False), ('conv', 256, 3, True)],
    'B': [('conv', 64, 3, True), ('conv', 128, 3, True), ('conv', 256, 3, False), ('conv', 256, 3, True),
          ('conv', 512, 3, False), ('conv', 512, 3, True)],
    'C': [('conv', 64, 5, True), ('residual', 64, False), ('residual', 64, True), ('residual', 128, False),
          ('residual', 128, True), ('residual', 256, False), ('residual', 256, True)],
    'D': [('conv', 64, 3, True), ('conv', 128, 3, True), ('residual', 128, True)],
    'MLP': [],
}
N_HIDDEN, N_CLASSES, RATE = 1024, 7, .01
DROP_CONV, DROP_HIDDEN = .3, .5


class Case(dict):
    """What is measured: network, variant {'plain', 'dropout', 'bn', 'both'}, side, batch, train, precision."""
    __getattr__ = dict.__getitem__

    @property
    def bn(self):
        return self.variant in ('bn', 'both') or self.network in 'CD'

    @property
    def drops(self):
        return (DROP_CONV, DROP_HIDDEN) if self.variant in ('dropout', 'both') else (0., 0.)

    @property
    def layers(self):
        return NETWORKS[self.network]


def data(case):
    """A resident set of noise: images uint8 (n, side, side), labels uint8 (n,)."""
    rng = np.random.default_rng(0)
    n = max(1000, case.batch)
    return (rng.integers(0, 256, (n, case.side, case.side), dtype=np.uint8),
            rng.integers(0, N_CLASSES, n, dtype=np.uint8))


def batches(case):
    """Endless rows of minibatches."""
    rng = np.random.default_rng(1)
    n = len(data(case)[1])
    while True:
        yield rng.permutation(n)[:case.batch].astype(np.int32)


# ------------------------------------------------------------------------------------ symfer

class _Stored:
    """A subset as `utils.functions.place_subset` wants it."""

    def __init__(self, images, labels):
        self.y, self.base, self.name, self._images = labels, self, 'benchmark', images

    def images(self):
        return self._images


def symfer(case, exclude=''):
    """This library; `exclude` names rewrites to be left out."""
    from utils.process import keep_compiled, tune_malloc
    tune_malloc()
    keep_compiled()
    import jax

    import cnn
    import mlp
    from utils import jax_backend
    from utils.functions import Functions, place_subset
    jax_backend.MODE = jax_backend.MODE.excluding(*filter(None, exclude.split(',')))
    n_convolutions = sum({'conv': 1, 'residual': 2}[layer[0]] for layer in case.layers)
    conv, hidden = case.drops
    network = (mlp.MLP if case.network == 'MLP' else getattr(cnn, case.network))(
        (case.side, case.side), N_CLASSES, (N_HIDDEN,), batch_norm=case.bn, p_drop=hidden,
        p_dropConv=(conv,) * n_convolutions, rng=np.random.default_rng(0))
    stored = _Stored(*data(case))
    f = Functions(network, (case.side, case.side), case.batch, learning_rate=RATE, precision=case.precision,
                  resident=place_subset(stored))
    rows, weights = batches(case), np.ones(case.batch, 'float32')

    def train():
        float(f.train(next(rows), weights)[0])

    def predict():
        np.asarray(f.test(stored.images()[next(rows)]))

    return train if case.train else predict, f'symfer, JAX {jax.__version__}, {jax_backend.device_name()}'


# ----------------------------------------------------------------------------------- PyTorch

def torch(case, compiled=False, channels_last=False, malloc=True):
    """PyTorch, eager or compiled, in either layout."""
    if malloc:
        _tune_malloc_alone()
    import torch
    from torch import nn
    from torch.nn import functional as F
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    torch.manual_seed(0)
    torch.set_float32_matmul_precision('highest' if case.precision == 'float32' else 'high')
    conv_drop, hidden_drop = case.drops

    class Conv(nn.Module):
        def __init__(self, n_in, n_out, size, pooled, active=True):
            super().__init__()
            self.conv = nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=not case.bn)
            self.norm = nn.BatchNorm2d(n_out) if case.bn else nn.Identity()
            self.pooled, self.active = pooled, active

        def forward(self, x):
            x = self.conv(x)
            x = self.norm(F.max_pool2d(x, 2) if self.pooled else x)
            return F.dropout(F.relu(x), conv_drop, self.training) if self.active else x

    class Residual(nn.Module):
        def __init__(self, n_in, n_out, pooled):
            super().__init__()
            self.conv1, self.conv2 = Conv(n_in, n_out, 3, False), Conv(n_out, n_out, 3, False, active=False)
            self.more, self.pooled = n_out - n_in, pooled

        def forward(self, x):
            y = self.conv2(self.conv1(x)) + F.pad(x, (0, 0, 0, 0, 0, self.more))
            return F.dropout(F.relu(F.max_pool2d(y, 2) if self.pooled else y), conv_drop, self.training)

    layers, channels, side = [], 1, case.side
    for kind, n_out, *rest in case.layers:
        layers.append(Conv(channels, n_out, *rest) if kind == 'conv' else Residual(channels, n_out, *rest))
        channels, side = n_out, side // 2 if rest[-1] else side
    norm = nn.BatchNorm1d(N_HIDDEN) if case.bn else nn.Identity()
    layers += [nn.Flatten(), nn.Linear(channels * side * side, N_HIDDEN, bias=not case.bn), norm, nn.ReLU(),
               nn.Dropout(hidden_drop), nn.Linear(N_HIDDEN, N_CLASSES)]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = nn.Sequential(*layers).to(device, memory_format=layout).train(case.train)
    model = torch.compile(network, mode='reduce-overhead' if device.type == 'cuda' else None) if compiled else network
    optimiser = torch.optim.SGD(network.parameters(), RATE)
    images, labels = (torch.from_numpy(v).to(device) for v in data(case))
    rows = batches(case)

    def forward():
        index = torch.from_numpy(next(rows)).to(device)
        x = (images[index].float() / 255)[:, None].contiguous(memory_format=layout)
        with torch.autocast(device.type, torch.bfloat16, enabled=case.precision == 'bf16'):
            return model(x), index

    def train():
        logits, index = forward()
        loss = F.cross_entropy(logits.float(), labels[index].long())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    def predict():
        with torch.inference_mode():
            forward()[0].float().cpu().numpy()

    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'cpu'
    return train if case.train else predict, f'PyTorch {torch.__version__}, {name}, {torch.get_num_threads()} threads'


def _tune_malloc_alone():
    """`utils.process.tune_malloc` for an interpreter that has no PyTensor: the package is not imported."""
    import importlib.util
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'utils', 'process.py')
    spec = importlib.util.spec_from_file_location('process', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.tune_malloc()


# -------------------------------------------------------------------------------------- JAX

def jax(case):
    """The same network in JAX as one would write it, NHWC, gradients by `jax.grad`."""
    _tune_malloc_alone()
    import jax
    import jax.numpy as jnp
    from jax import lax
    conv_drop, hidden_drop = case.drops
    rng = np.random.default_rng(0)

    def weights(*shape):
        return jnp.asarray(rng.normal(0, (2 / np.prod(shape[:-1])) ** .5, shape), 'float32')

    def norm(n):
        return {'gamma': jnp.ones(n), 'beta': jnp.zeros(n)} if case.bn else {'beta': jnp.zeros(n)}

    parameters, channels, side = [], 1, case.side
    for kind, n_out, *rest in case.layers:
        size = rest[0] if kind == 'conv' else 3
        parameters.append([{'W': weights(size, size, channels, n_out), **norm(n_out)}])
        if kind == 'residual':
            parameters[-1].append({'W': weights(3, 3, n_out, n_out), **norm(n_out)})
        channels, side = n_out, side // 2 if rest[-1] else side
    parameters += [[{'W': weights(channels * side * side, N_HIDDEN), **norm(N_HIDDEN)}],
                   [{'W': weights(N_HIDDEN, N_CLASSES), 'beta': jnp.zeros(N_CLASSES)}]]

    def normalise(x, p):
        if 'gamma' in p:
            axes = tuple(range(x.ndim - 1))
            x = (x - x.mean(axes)) * (p['gamma'] * lax.rsqrt(x.var(axes) + 1e-5))
        return x + p['beta']

    def pool(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), 'VALID')

    def convolve(x, p):
        return lax.conv_general_dilated(x, p['W'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))

    def drop(x, rate, key):
        if not rate or not case.train:
            return x
        return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)

    def logits(parameters, x, key):
        keys = iter(jax.random.split(key, 2 * len(parameters)))
        for (kind, n_out, *rest), layer in zip(case.layers, parameters):
            if kind == 'conv':
                y = convolve(x, layer[0])
                x = jax.nn.relu(normalise(pool(y) if rest[-1] else y, layer[0]))
            else:
                y = drop(jax.nn.relu(normalise(convolve(x, layer[0]), layer[0])), conv_drop, next(keys))
                y = normalise(convolve(y, layer[1]), layer[1])
                y = y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, n_out - x.shape[3])))
                x = jax.nn.relu(pool(y) if rest[-1] else y)
            x = drop(x, conv_drop, next(keys))
        (hidden,), (last,) = parameters[-2:]
        x = drop(jax.nn.relu(normalise(x.reshape(x.shape[0], -1) @ hidden['W'], hidden)), hidden_drop, next(keys))
        return x @ last['W'] + last['beta']

    images, labels = map(jnp.asarray, data(case))

    def pixels(rows):
        return images[rows].astype('float32')[..., None] / 255

    def cost(parameters, rows, key):
        log_p = jax.nn.log_softmax(logits(parameters, pixels(rows), key))
        return -jnp.take_along_axis(log_p, labels[rows].astype('int32')[:, None], 1).mean()

    @jax.jit
    def update(parameters, rows, key):
        value, gradients = jax.value_and_grad(cost)(parameters, rows, key)
        return jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients), value

    predicted = jax.jit(lambda parameters, rows: logits(parameters, pixels(rows), jax.random.key(0)))
    rows, state = batches(case), {'parameters': parameters, 'n': 0}

    def train():
        state['n'] += 1
        state['parameters'], value = update(state['parameters'], next(rows), jax.random.key(state['n']))
        float(value)

    def predict():
        np.asarray(predicted(state['parameters'], next(rows)))

    return train if case.train else predict, f'JAX {jax.__version__}, {jax.devices()[0].device_kind}'


ENGINES = {
    'symfer': (symfer, {}),
    'symfer, no rewrites': (symfer, {'exclude': 'symfer'}),
    **{f'symfer, no {name}': (symfer, {'exclude': name})
       for name in ('winograd_convolutions', 'centred_sums', 'small_factors', 'column_sums', 'dropout_masks')},
    'torch eager NCHW': (torch, {}),
    'torch eager channels_last': (torch, {'channels_last': True}),
    'torch eager channels_last, malloc untuned': (torch, {'channels_last': True, 'malloc': False}),
    'torch compiled NCHW': (torch, {'compiled': True}),
    'torch compiled channels_last': (torch, {'compiled': True, 'channels_last': True}),
    'jax': (jax, {}),
}

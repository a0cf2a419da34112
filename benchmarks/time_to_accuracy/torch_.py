"""Recipe B-online in PyTorch, written for speed.

Images stay in memory as bytes. A minibatch is augmented as a whole, as tensors in the training process (forms
'tensors ...') or by a worker process ahead of the step ('worker ...'), in either memory layout, eager or compiled.
Network, augmentation, optimiser, schedule, moving average and the data saved after each epoch are those of the recipe;
initial weights and random draws are PyTorch's.
"""

import json
import math
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from benchmarks.time_to_accuracy.recipes import RECIPES
from benchmarks.time_to_accuracy.turns import report

FORMS = [
    f'{loading} {how} {layout}'
    for loading in ('tensors', 'worker')
    for how in ('eager', 'compiled')
    for layout in ('NCHW', 'channels_last')
]
PILOT = 12  # steps of each form; the first two are not counted


def network(recipe, n_classes):
    """Network B with the width of the recipe; each layer is convolution, pooling, batch norm, rectifier."""
    layers, channels = [], 1
    for n_out, pooled in ((64, True), (128, True), (256, False), (256, True), (512, False), (512, True)):
        n_out = round(n_out * recipe['network_args']['width'])
        layers.append(nn.Conv2d(channels, n_out, 3, padding=1, bias=False))
        layers += [nn.MaxPool2d(2)] * pooled + [nn.BatchNorm2d(n_out), nn.ReLU()]
        channels = n_out
    (n_hidden,) = recipe['n_hidden']
    layers += [nn.Flatten(), nn.Linear(channels * (recipe['augment']['crop'] // 16) ** 2, n_hidden, bias=False)]
    layers += [nn.BatchNorm1d(n_hidden), nn.ReLU(), nn.Dropout(recipe['p_drop']), nn.Linear(n_hidden, n_classes)]
    for layer in layers:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers)


def augmented(x, changes):
    """Augment images (n, h, w) uint8 like symfer's `Augment`; returns (n, 1, crop, crop) in [0, 1]."""
    n, h, w = x.shape
    crop, u = changes['crop'], torch.rand(12, n)
    x = x[:, None].float().div_(255)
    turn = (2 * u[0] - 1) * math.radians(changes['rotation'])
    zoom = torch.exp((2 * u[1] - 1) * math.log1p(changes['zoom']))
    mirror = torch.where(u[2] < changes['mirror'], -1.0, 1.0)
    right, down = ((2 * v - 1) * changes['shift'] * side for v, side in ((u[3], w), (u[4], h)))
    left, top = (torch.floor(v * (side - crop + 1)) for v, side in ((u[5], w), (u[6], h)))
    cos, sin = torch.cos(turn) / zoom, torch.sin(turn) / zoom
    place = torch.arange(crop, dtype=torch.float32)
    across = (place[None] - (w - 1) / 2 + left[:, None]) * mirror[:, None] - right[:, None]
    along = place[None] - (h - 1) / 2 + top[:, None] - down[:, None]
    columns = cos[:, None, None] * across[:, None, :] - sin[:, None, None] * along[:, :, None]
    rows = sin[:, None, None] * across[:, None, :] + cos[:, None, None] * along[:, :, None]
    grid = torch.stack([columns * (2 / (w - 1)), rows * (2 / (h - 1))], -1)
    x = F.grid_sample(x, grid, 'bilinear', 'border', align_corners=True)
    middle = x.mean((1, 2, 3), keepdim=True)
    x = torch.lerp(middle, x, (1 + (2 * u[7] - 1) * changes['contrast'])[:, None, None, None]).clamp_(0, 1)
    area = (0.02 + 0.31 * u[8]) * crop * crop
    aspect = torch.exp(math.log(0.3) + (math.log(3.3) - math.log(0.3)) * u[9])
    tall, wide = ((area * a).sqrt().round().clamp(1, crop) for a in (aspect, 1 / aspect))
    first_row, first_column, grey, chosen = torch.rand(4, n)
    inside = [
        (place[None] >= first[:, None]) & (place[None] < (first + extent)[:, None])
        for first, extent in (
            (torch.floor(first_row * (crop - tall + 1)), tall),
            (torch.floor(first_column * (crop - wide + 1)), wide),
        )
    ]
    painted = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    painted &= (chosen < changes['erase'])[:, None, None, None]
    return torch.where(painted, grey[:, None, None, None], x)


def moving_average(decay):
    """Exponential moving average, corrected for its start as in `utils.training.optimisers.averaged`."""

    @torch.no_grad()
    def update(averages, values, n):
        weight = (1 - decay) / (1 - decay ** (int(n) + 1))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, weight)
        else:  # counts of minibatches
            torch._foreach_copy_(averages, values)

    return update


class Minibatches(torch.utils.data.Dataset):
    """Minibatches of augmented images, one per item, for a worker process."""

    def __init__(self, images, labels, changes, batch_size):
        self.images, self.labels, self.changes, self.batch_size = images, labels, changes, batch_size
        self.order = torch.arange(len(labels))

    def __len__(self):
        return math.ceil(len(self.labels) / self.batch_size)

    def __getitem__(self, k):
        rows = self.order[k * self.batch_size : (k + 1) * self.batch_size]
        return augmented(self.images[rows], self.changes), self.labels[rows].long()


class Run:
    """State and steps of training in one form."""

    def __init__(self, recipe, data, form, seed):
        torch.manual_seed(seed)
        self.recipe, (self.loading, how, layout) = recipe, form.split()
        self.layout = torch.channels_last if layout == 'channels_last' else torch.contiguous_format
        self.training, self.validation = data[:2], data[2:]
        self.net = network(recipe, int(data[1].max()) + 1).to(memory_format=self.layout)
        self.model = torch.compile(self.net) if how == 'compiled' else self.net
        average = moving_average(recipe['ema_decay'])
        self.ema = AveragedModel(self.net, multi_avg_fn=average, use_buffers=True)
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        others = [p for p in self.net.parameters() if p.ndim == 1]
        self.optimiser = torch.optim.SGD(
            [{'params': decayed, 'weight_decay': recipe['weight_decay']}, {'params': others}],
            lr=recipe['learning_rate'],
            momentum=recipe['momentum'],
            nesterov=recipe['nesterov'],
        )

    def minibatches(self):
        """Iterator over the minibatches of one epoch."""
        items = Minibatches(*self.training, self.recipe['augment'], self.recipe['batch_size'])
        items.order = torch.randperm(len(items.order))
        if self.loading == 'tensors':
            return map(items.__getitem__, range(len(items)))
        return iter(torch.utils.data.DataLoader(items, batch_size=None, num_workers=1, prefetch_factor=4))

    def step(self, x, labels):
        self.model.train()
        outputs = self.model(x.contiguous(memory_format=self.layout))
        loss = F.cross_entropy(outputs, labels, label_smoothing=self.recipe['label_smoothing'])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.ema.update_parameters(self.net)
        return loss.item()

    @torch.inference_mode()
    def error(self):
        """Validation error of the moving average in %."""
        self.ema.eval()
        images, labels = self.validation
        spare, crop = images.shape[1] - self.recipe['augment']['crop'], self.recipe['augment']['crop']
        x = images[:, spare // 2 : spare // 2 + crop, spare // 2 : spare // 2 + crop]
        wrong = 0
        for k in range(0, len(labels), 500):
            block = (x[k : k + 500, None].float() / 255).contiguous(memory_format=self.layout)
            wrong += int((self.ema(block).argmax(1) != labels[k : k + 500]).sum())
        return 100 * wrong / len(labels)

    def rate(self, epoch):
        """Learning rate of an epoch, counted from 0, as in `utils.training.schedules.cosine`."""
        warmup, n = self.recipe['schedule_args']['warmup'], self.recipe['n_epochs']
        if epoch < warmup:
            return self.recipe['learning_rate'] * (epoch + 1) / (warmup + 1)
        return self.recipe['learning_rate'] * (1 + math.cos(math.pi * (epoch - warmup) / (n - warmup))) / 2

    def train(self):
        """Train the epochs of the recipe, saving after each and waiting for its next turn."""
        with tempfile.TemporaryDirectory() as folder:
            for epoch in range(self.recipe['n_epochs']):
                for group in self.optimiser.param_groups:
                    group['lr'] = self.rate(epoch)
                for x, labels in self.minibatches():
                    self.step(x, labels)
                error = self.error()
                state = {'net': self.net, 'ema': self.ema, 'optimiser': self.optimiser}
                torch.save({key: value.state_dict() for key, value in state.items()}, f'{folder}/state.pt')
                report(epoch + 1, error)


def pilot(recipe, data):
    """Median milliseconds of a step of each form, including augmentation."""
    found = {}
    for form in FORMS:
        run, times = Run(recipe, data, form, 0), []
        batches = run.minibatches()
        for _ in range(PILOT):
            start = time.perf_counter()
            run.step(*next(batches))
            times.append(1000 * (time.perf_counter() - start))
        found[form] = round(float(np.median(times[2:])), 1)
        print(f'  {form:30} {found[form]:8.1f} ms per step', file=sys.stderr, flush=True)
    return found


def main(name, arrays, seed, form):
    """Train a recipe on arrays of a .npz file; `form` 'pilot' times all forms."""
    from benchmarks.engines import tune_malloc

    tune_malloc()
    with np.load(arrays) as found:
        data = [torch.from_numpy(found[key]) for key in ('x', 'y', 'validation_x', 'validation_y')]
    if form == 'pilot':
        print(json.dumps(pilot(RECIPES[name], data)))
    else:
        Run(RECIPES[name], data, form, int(seed)).train()


if __name__ == '__main__':
    main(*sys.argv[1:])

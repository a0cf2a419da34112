"""The networks in PyTorch: those described in `benchmarks.engines.NETWORKS`, and others of cnn/.

The others have the layers, sizes and default arguments of the class of the same name, for images below 200 pixels. The
order in each layer is that of symfer: convolution, pooling, batch norm or bias, rectifier, dropout.
"""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.engines import N_CLASSES, N_HIDDEN
from benchmarks.engines import NETWORKS as DESCRIBED


def network(case):
    """The network of a case."""
    return described(case) if case.network in DESCRIBED else CLASSES[case.network](case.side)


# ------------------------------------------------------------------------- described networks


class Conv(nn.Module):
    def __init__(self, case, n_in, n_out, size, pooled, active=True):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=not case.bn)
        self.norm = nn.BatchNorm2d(n_out) if case.bn else nn.Identity()
        self.pooled, self.active, self.p_drop = pooled, active, case.drops[0]

    def forward(self, x):
        x = self.conv(x)
        x = self.norm(F.max_pool2d(x, 2) if self.pooled else x)
        return F.dropout(F.relu(x), self.p_drop, self.training) if self.active else x


class Residual(nn.Module):
    def __init__(self, case, n_in, n_out, pooled):
        super().__init__()
        self.conv1, self.conv2 = Conv(case, n_in, n_out, 3, False), Conv(case, n_out, n_out, 3, False, active=False)
        self.more, self.pooled, self.p_drop = n_out - n_in, pooled, case.drops[0]

    def forward(self, x):
        y = self.conv2(self.conv1(x)) + F.pad(x, (0, 0, 0, 0, 0, self.more))
        return F.dropout(F.relu(F.max_pool2d(y, 2) if self.pooled else y), self.p_drop, self.training)


def described(case):
    layers, channels, side = [], 1, case.side
    for kind, n_out, *rest in case.layers:
        layers.append((Conv if kind == 'conv' else Residual)(case, channels, n_out, *rest))
        channels, side = n_out, side // 2 if rest[-1] else side
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * side * side, N_HIDDEN, bias=not case.bn),
        nn.BatchNorm1d(N_HIDDEN) if case.bn else nn.Identity(),
        nn.ReLU(),
        nn.Dropout(case.drops[1]),
        nn.Linear(N_HIDDEN, N_CLASSES),
    )


# ----------------------------------------------------------------------------- other networks


def conv(n_in, n_out, size=3, pool=None, norm=False, active=True, **options):
    """A convolution that keeps the size of the images, with what follows it."""
    options = {'padding': size // 2, 'bias': not norm} | options
    layers = [nn.Conv2d(n_in, n_out, size, **options)]
    layers += [pool] if pool else []
    layers += [nn.BatchNorm2d(n_out)] if norm else []
    return nn.Sequential(*layers, *([nn.ReLU()] if active else []))


def hidden(n_in, n_hidden, p_drop, norm=False):
    """Hidden layers with dropout, and the logits."""
    layers = []
    for n_out in n_hidden:
        layers.append(nn.Linear(n_in, n_out, bias=not norm))
        layers += [nn.BatchNorm1d(n_out)] if norm else []
        layers += [nn.ReLU(), nn.Dropout(p_drop)]
        n_in = n_out
    return nn.Sequential(*layers, nn.Linear(n_in, N_CLASSES))


def classified(features, n_hidden, p_drop, side, norm=False):
    """Features of images of a side, flattened, with hidden layers and logits."""
    with torch.no_grad():
        n_in = features.eval()(torch.zeros(1, 1, side, side)).numel()
    return nn.Sequential(features, nn.Flatten(), hidden(n_in, n_hidden, p_drop, norm))


class ResponseNorm(nn.Module):
    """Local response normalisation over five channels (k 2, alpha 1e-4, beta 3/4), as sums of shifted squares.

    `torch.nn.LocalResponseNorm` pools a five-dimensional view instead, and takes several times as long on a CPU.
    """

    def forward(self, x):
        squares = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        n = x.shape[1]
        total = squares[:, :n] + squares[:, 1 : n + 1] + squares[:, 2 : n + 2] + squares[:, 3 : n + 3]
        base = 2 + 1e-4 * (total + squares[:, 4 : n + 4])
        root = base.rsqrt()
        return x * (root * root.sqrt())  # base ** -0.75 without powers


def VGG(side):
    counts = (1, 64, 128, 256, 512)
    layers = []
    for n_in, n_out in zip(counts, counts[1:]):
        layers += [conv(n_in, n_out, norm=True), conv(n_out, n_out, pool=nn.MaxPool2d(2), norm=True)]
    return classified(nn.Sequential(*layers), (4096, 4096), 0.2, side, norm=True)


def VGG11(side):
    counts = (1, 64, 128, 256, 256, 512, 512, 512, 512)
    layers = [conv(counts[k], counts[k + 1], pool=nn.MaxPool2d(2) if k in (0, 1, 3, 5, 7) else None) for k in range(8)]
    return classified(nn.Sequential(*layers), (4096, 4096), 0.5, side)


def AlexNet(side):
    def pool():
        return nn.MaxPool2d(3, 2)

    layers = [conv(1, 96, 5), ResponseNorm(), pool(), conv(96, 256, 5, groups=2), ResponseNorm(), pool()]
    layers += [conv(256, 384), conv(384, 384, groups=2), conv(384, 256, groups=2), pool()]
    return classified(nn.Sequential(*layers), (4096, 4096), 0.5, side)


def ZFNet(side):
    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers = [conv(1, 96, 5), pool(), ResponseNorm(), conv(96, 256, 5), pool(), ResponseNorm()]
    layers += [conv(256, 384), conv(384, 384), conv(384, 256), pool()]
    return classified(nn.Sequential(*layers), (4096, 4096), 0.5, side)


class Inception(nn.Module):
    """1x1, 3x3 and 5x5 filters and a pooling in parallel."""

    def __init__(self, n_in, n1, n3_reduced, n3, n5_reduced, n5, projected):
        super().__init__()
        self.parts = nn.ModuleList(
            [
                conv(n_in, n1, 1),
                nn.Sequential(conv(n_in, n3_reduced, 1), conv(n3_reduced, n3)),
                nn.Sequential(conv(n_in, n5_reduced, 1), conv(n5_reduced, n5, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(n_in, projected, 1)),
            ]
        )

    def forward(self, x):
        return torch.cat([part(x) for part in self.parts], 1)


class GoogLeNet(nn.Module):
    """GoogLeNet; in training it returns the logits and those of its two auxiliary classifiers."""

    PARTS = (
        ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None, (192, 96, 208, 16, 48, 64)),
        ((160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64)),
        ((256, 160, 320, 32, 128, 128), None, (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
    )

    def __init__(self, side):
        super().__init__()

        def pool():
            return nn.MaxPool2d(3, 2, ceil_mode=True)

        first = [conv(1, 64, 5), pool(), ResponseNorm(), conv(64, 64, 1), conv(64, 192), ResponseNorm(), pool()]
        n_in, parts = 192, [first, [], []]
        for layers, modules in zip(parts, self.PARTS):
            for sizes in modules:
                layers.append(pool() if sizes is None else Inception(n_in, *sizes))
                n_in = n_in if sizes is None else sizes[0] + sizes[2] + sizes[4] + sizes[5]
        self.parts = nn.ModuleList(nn.Sequential(*layers) for layers in parts)
        self.auxiliary = nn.ModuleList()
        with torch.no_grad():
            x = torch.zeros(1, 1, side, side)
            for part in self.parts[:2]:
                x = part(x)
                mean = nn.AvgPool2d(min(5, x.shape[2]), 3)
                features = nn.Sequential(mean, conv(x.shape[1], 128, 1), nn.Flatten())
                self.auxiliary.append(nn.Sequential(features, hidden(features(x).numel(), (1024,), 0.7)))
        self.dropout, self.last = nn.Dropout(0.4), nn.Linear(n_in, N_CLASSES)

    def forward(self, x):
        others = []
        for k, part in enumerate(self.parts):
            x = part(x)
            if self.training and k < 2:
                others.append(self.auxiliary[k](x))
        logits = self.last(self.dropout(x.mean((2, 3))))
        return (logits, *others) if self.training else logits


class Block(nn.Module):
    """A residual block with a projection where the width grows."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv1, self.conv2 = conv(n_in, n_out, norm=True), conv(n_out, n_out, norm=True, active=False)
        self.projection = conv(n_in, n_out, 1, norm=True, active=False) if n_in != n_out else nn.Identity()

    def forward(self, x):
        return F.relu(self.conv2(self.conv1(x)) + self.projection(x))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def resnet(*stages):
    layers, n_in = [conv(1, 64, norm=True)], 64
    for stage, (n_blocks, n_out) in enumerate(zip(stages, (64, 128, 256, 512))):
        layers += [nn.MaxPool2d(2)] if stage else []
        layers += [Block(n_in if k == 0 else n_out, n_out) for k in range(n_blocks)]
        n_in = n_out
    return nn.Sequential(*layers, Mean(), nn.Linear(512, N_CLASSES))


def ResNet18(side):
    return resnet(2, 2, 2, 2)


def ResNet34(side):
    return resnet(3, 4, 6, 3)


class Sprint(nn.Module):
    """Sprint, whose whitening is frozen and whose batch norm has no gamma."""

    def __init__(self, side):
        super().__init__()
        layers = [nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.ReLU()]
        layers[0].weight.requires_grad_(False)
        n_in = 32
        for n_out in (64, 128, 256):
            layers += [conv(n_in, n_out, pool=nn.MaxPool2d(2), norm=True), conv(n_out, n_out, norm=True)]
            n_in = n_out
        self.layers = nn.Sequential(*layers, Mean(), nn.Linear(256, N_CLASSES))
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.requires_grad_(False)

    def forward(self, x):
        return self.layers(x) / 9


CLASSES = {cls.__name__: cls for cls in (VGG, VGG11, ResNet18, ResNet34, AlexNet, ZFNet, GoogLeNet, Sprint)}

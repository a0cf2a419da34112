"""PyTorch."""

from benchmarks.engines import N_CLASSES, N_HIDDEN, RATE, batches, data, tune_malloc


def torch(case, compiled=False, channels_last=False, malloc=True):
    """The same network in PyTorch, eager or compiled, in either memory layout."""
    if malloc:
        tune_malloc()
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
    layers += [
        nn.Flatten(),
        nn.Linear(channels * side * side, N_HIDDEN, bias=not case.bn),
        norm,
        nn.ReLU(),
        nn.Dropout(hidden_drop),
        nn.Linear(N_HIDDEN, N_CLASSES),
    ]
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

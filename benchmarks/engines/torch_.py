"""PyTorch."""

from benchmarks.engines import RATE, batches, data, tune_malloc


def torch(case, compiled=False, channels_last=False, malloc=True):
    """The same network in PyTorch, eager or compiled, in either memory layout."""
    if malloc:
        tune_malloc()
    import torch
    from torch.nn import functional as F

    from benchmarks.engines import torch_networks

    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    torch.manual_seed(0)
    torch.set_float32_matmul_precision('highest' if case.precision == 'float32' else 'high')
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = torch_networks.network(case).to(device, memory_format=layout).train(case.train)
    model = torch.compile(network, mode='reduce-overhead' if device.type == 'cuda' else None) if compiled else network
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], RATE)
    images, labels = (torch.from_numpy(v).to(device) for v in data(case))
    rows = batches(case)

    def forward():
        index = torch.from_numpy(next(rows)).to(device)
        x = (images[index].float() / 255)[:, None].contiguous(memory_format=layout)
        with torch.autocast(device.type, torch.bfloat16, enabled=case.precision == 'bf16'):
            out = model(x)
        return out if isinstance(out, tuple) else (out,), index

    def train():
        (logits, *auxiliary), index = forward()
        loss = F.cross_entropy(logits.float(), labels[index].long())
        for other in auxiliary:  # of GoogLeNet
            loss = loss + 0.3 * F.cross_entropy(other.float(), labels[index].long())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        loss.item()

    def predict():
        with torch.inference_mode():
            forward()[0][0].float().cpu().numpy()

    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'cpu'
    return train if case.train else predict, f'PyTorch {torch.__version__}, {name}, {torch.get_num_threads()} threads'

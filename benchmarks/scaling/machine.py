"""Public figures of GPUs and their links, with sources, and assumptions where there are none."""

from dataclasses import asdict, dataclass, field
from typing import Any

SOURCES = {
    'peak': 'https://glennklockwood.com/garden/processors/h100',
    'nvlink': 'https://developer.nvidia.com/blog/'
    'introducing-nvidia-hgx-h100-an-accelerated-server-platform-for-ai-and-high-performance-computing/',
    'infiniband': 'https://docs.nvidia.com/networking/display/800GMMA4Z00NS/Overview',
    'latencies': 'https://github.com/NVIDIA/nccl/blob/01afd20a77b5804e0ecf1042509dd9d20ebf9e93/src/graph/tuning.cc',
    'bus bandwidth': 'https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md',
    'ring': 'https://doi.org/10.1016/j.jpdc.2008.09.002',
}


@dataclass(frozen=True)
class Machine:
    """Servers with eight H100 SXM5 GPUs and one InfiniBand port per GPU.

    Attributes
    ----------
    peak : dict of str to float
        Operations per second of dense products, by precision.
    utilisation : float in (0, 1]
        Fraction of the peak that convolutions and products reach. Assumed.
    launch : float
        Minimum time of a kernel in seconds, including its launch. Assumed.
    per_server : int
        Number of GPUs connected by NVLink.
    nvlink, infiniband : float
        Bandwidth per GPU in one direction, bytes per second.
    reached : float in (0, 1]
        Fraction of the bandwidth that all-reduces reach. Assumed.
    base, nvlink_step, infiniband_step : float
        Latency in seconds of an all-reduce, and of one hop of a small message, as NCCL models them for its trees.
    """

    peak: dict[str, float] = field(default_factory=lambda: {'float32': 66.9e12, 'tf32': 494.7e12, 'bf16': 989.4e12})
    utilisation: float = 0.2
    launch: float = 2e-6
    per_server: int = 8
    nvlink: float = 450e9
    infiniband: float = 50e9
    reached: float = 0.8
    base: float = 4.4e-6
    nvlink_step: float = 0.52e-6
    infiniband_step: float = 5e-6

    def described(self) -> dict[str, Any]:
        """Figures with their sources, for a file."""
        return {**asdict(self), 'sources': SOURCES}

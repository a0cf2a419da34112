"""Public figures of GPUs and of what connects them, with their sources; what is assumed where there are none."""

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
    """Servers of eight H100 SXM5 with a port of InfiniBand for each GPU.

    Attributes
    ----------
    peak : dict of str to float
        Operations a second of dense products, by precision.
    utilisation : float in (0, 1]
        Part of the peak that convolutions and products reach. Assumed.
    launch : float
        Seconds that a kernel takes at least, its start included. Assumed.
    per_server : int
        GPUs that NVLink connects.
    nvlink, infiniband : float
        Bytes a second and GPU, in one direction.
    reached : float in (0, 1]
        Part of these that all-reduces reach. Assumed.
    base, nvlink_step, infiniband_step : float
        Seconds: an all-reduce's start, and one hop of a small message, as NCCL models them for its trees.
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
        """Its figures and where they come from, for a file."""
        return {**asdict(self), 'sources': SOURCES}

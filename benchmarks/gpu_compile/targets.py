"""Target GPUs: the properties of one GPU for each compute capability, in the format of XLA."""

from importlib.util import find_spec

from utils.files.extras import MissingExtra

# Name, streaming multiprocessors, arithmetic units of each, shared memory of each and of a block (bytes), threads of
# each, memory (bytes) and its bandwidth (bytes/s), second-level cache (bytes), clock (GHz). Sources: NVIDIA's data
# sheets and the CUDA programming guide, table of technical specifications by compute capability.
CARDS = {
    'sm_75': ('Tesla T4', 40, 64, 65536, 65536, 1024, 15_843_721_216, 320e9, 4 << 20, 1.59),
    'sm_80': ('NVIDIA A100-SXM4-80GB', 108, 64, 167936, 166912, 2048, 85_174_583_296, 2039e9, 40 << 20, 1.41),
    'sm_90': ('NVIDIA H100 80GB HBM3', 132, 128, 233472, 232448, 2048, 84_942_979_072, 3352.32e9, 50 << 20, 1.98),
    'sm_100': ('NVIDIA B200', 148, 128, 233472, 232448, 2048, 192_265_846_784, 8000e9, 126 << 20, 1.965),
}
MODULES = {
    'jax_plugins.xla_cuda12': 'jax-cuda12-plugin and jax-cuda12-pjrt',
    'nvidia.cuda_nvcc': 'nvidia-cuda-nvcc-cu12',
}


def check_extra() -> None:
    """Check that the compiler for CUDA is installed.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    for module, packages in MODULES.items():
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if not found:
            raise MissingExtra(
                f'{packages} needed to compile for a GPU, not installed: pip install -e ".[aot]" in symfer\'s folder, '
                'in a separate environment'
            )


def description(capability: str) -> str:
    """Description of a GPU as the text of XLA's `GpuTargetConfigProto`."""
    name, cores, units, shared, block, threads, memory, bandwidth, cache, clock = CARDS[capability]
    number = capability.removeprefix('sm_')
    return f"""gpu_device_info {{
      threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
      shared_memory_per_core: {shared} shared_memory_per_block_optin: {block} threads_per_core_limit: {threads}
      core_count: {cores} fpus_per_core: {units} block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
      block_dim_limit_z: 65535 memory_bandwidth: {bandwidth:.0f} l2_cache_size: {cache} clock_rate_ghz: {clock}
      device_memory_size: {memory} cuda_compute_capability {{ major: {number[:-1]} minor: {number[-1]} }}
      registers_per_core_limit: 65536 registers_per_block_limit: 65536 }}
    platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }} runtime_version {{ major: 12 minor: 9 }}
    device_description_str: "{name}"
    """


def devices(capability: str, count: int = 1) -> list:
    """Devices for compilation only. JAX must be restricted to the CPU (``JAX_PLATFORMS=cpu``)."""
    from jax.experimental import topologies

    found = topologies.get_topology_desc(
        platform='cuda', target_config=description(capability), topology=f'1x1x{count}'
    )
    return list(found.devices)

"""One network, precision and GPU: ``python -m benchmarks.gpu_compile.cell JSON`` prints one line per function.

It is a separate process, so that the other cells continue if XLA crashes. `ENVIRONMENT` must be set before it starts.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.gpu_compile import targets

# JAX must not look for a GPU, the graph takes the GPU form, and the persistent cache does not work for these programs.
ENVIRONMENT = {
    'JAX_PLATFORMS': 'cpu',
    'SYMFER_PLATFORM': 'gpu',
    'SYMFER_CACHE': '0',
    'JAX_ENABLE_COMPILATION_CACHE': 'false',
    'TF_CPP_MIN_LOG_LEVEL': '3',
    'PYTHONWARNINGS': 'ignore',
}
COST_MODEL = {'xla_gpu_collect_cost_model_stats': True}
NOT_MODELLED = 'Cannot find key: sm_'  # for GPUs without a table in XLA's cost model


def compiled(program, devices, batch):
    """Compile a program; return the executable, the seconds of compilation and whether it has modelled times."""
    from benchmarks.gpu_compile.programs import lowered

    traced = lowered(program, devices, batch)
    start = time.perf_counter()
    try:
        return traced.compile(COST_MODEL), time.perf_counter() - start, True
    except Exception as error:  # jaxlib's errors differ only in their messages
        if NOT_MODELLED not in str(error):
            raise
    start = time.perf_counter()
    return traced.compile(), time.perf_counter() - start, False


def memory(executable) -> dict[str, int]:
    """Bytes on one device: of arguments, of temporary arrays, at the peak, and updated in place."""
    found = executable.memory_analysis()
    parts = found.argument_size_in_bytes + found.temp_size_in_bytes + found.output_size_in_bytes
    return {
        'arguments': found.argument_size_in_bytes,
        'temporary': found.temp_size_in_bytes,
        'peak': getattr(found, 'peak_memory_in_bytes', 0) or parts - found.alias_size_in_bytes,
        'in_place': found.alias_size_in_bytes,
    }


def one_function(make, devices, batch, text_path=None):
    """Figures of a function, or the error of its compilation; None if the network has no such function."""
    from benchmarks.gpu_compile import reading

    try:
        program = make()
        if program is None:
            return None
        executable, seconds, modelled = compiled(program, devices, batch)
    except Exception as error:  # any error of XLA is a result
        return {'compiles': False, 'error': f'{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}'}
    text = executable.as_text()
    if text_path:
        text_path.parent.mkdir(parents=True, exist_ok=True)
        text_path.write_text(text, encoding='utf-8')
    figures = {'compiles': True, 'seconds': round(seconds, 1), **memory(executable), **reading.figures(text)}
    return figures if modelled else {**figures, 'model_us': None}


def batches_that_fit(network, precision, devices, options):
    """Largest minibatch of a training step for each memory, as a dict by units of 10**9 bytes."""
    from benchmarks.gpu_compile import batches, programs

    def peak(size):
        program = programs.programs(network, precision, size, **options)['train']()
        executable = compiled(program, devices, size)[0]
        return memory(executable)['peak']

    known: dict[int, float] = {}
    return {str(size): batches.largest_batch(peak, size * 1e9, known) for size in batches.MEMORIES}


def main():
    order = json.loads(sys.argv[1])
    targets.check_extra()
    from benchmarks.gpu_compile import programs

    devices = targets.devices(order['capability'], order['devices'])
    batch, options = order['batch'], order.get('options', {})
    made = programs.programs(order['network'], order['precision'], batch, **options)
    for name in order['functions']:
        path = Path(order['texts'], f'{order["name"]} {name}.txt'.replace(' ', '_')) if order.get('texts') else None
        print(json.dumps({'function': name, 'figures': one_function(made[name], devices, batch, path)}), flush=True)
    if order.get('fit'):
        try:
            found = batches_that_fit(order['network'], order['precision'], devices, options)
        except Exception as error:  # as above
            found = {'error': str(error).strip().splitlines()[0][:300]}
        print(json.dumps({'fit': found}), flush=True)


if __name__ == '__main__':
    main()

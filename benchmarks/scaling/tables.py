"""The tables of docs/scaling.md."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.scaling.machine import Machine
from benchmarks.scaling.model import step, strong, weak
from utils.results.tables import as_markdown, put_into_page

GPUS = (8, 64, 1024)
IMAGES = 100  # images on each GPU
WHOLE = 8192  # images of a minibatch that is divided
LARGE, LARGE_SIDE = 'ResNet18', 224
JPEG = 20_000  # bytes of a file
SETS = {  # images, bytes per image
    'FER2013, set 4: 401,926 of 42x42, grey': (401_926, 42 * 42),
    '450,000 of 224x224, grey': (450_000, 224 * 224),
    '450,000 of 224x224, colour': (450_000, 3 * 224 * 224),
    '100 million of 224x224, grey': (100_000_000, 224 * 224),
    '100 million of 224x224, colour': (100_000_000, 3 * 224 * 224),
    '100 million of 224x224, JPEG': (100_000_000, JPEG),
}


def in_bytes(n: float) -> str:
    """A number of bytes with its unit, powers of 1,000."""
    units = ['B', 'kB', 'MB', 'GB', 'TB']
    while n >= 999.5 and len(units) > 1:
        n /= 1000
        del units[0]
    return f'{n:.0f} {units[0]}' if n >= 100 or units[0] == 'B' else f'{n:.2g} {units[0]}'


def in_time(seconds: float) -> str:
    """A time in seconds, minutes or hours."""
    size, unit = next((size, unit) for size, unit in ((3600, 'h'), (60, 'min'), (0, 's')) if seconds >= 2 * size)
    return f'{seconds / (size or 1):.2g} {unit}'


def percent(share: float) -> str:
    return f'{100 * share:.0f}' if share >= 0.1 else f'{100 * share:.1f}'


def both(efficiency: Any, *args: Any, **options: Any) -> str:
    """An efficiency without overlap, and with gradients hidden by the backward pass."""
    return f'{percent(efficiency(*args, **options))} to {percent(efficiency(*args, hidden=True, **options))}'


def counted_rows(counted: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, figures in counted.items():
        sums = figures['exchanges']
        awaited = [one['bytes'] for one in sums if one['awaited']]
        whole = sum(one['bytes'] for one in sums)
        rows.append(
            [
                name,
                f'{figures["parameters"]:,}',
                f'{figures["operations"]["48"] / 1e6:,.0f}',
                in_bytes(whole),
                in_bytes(2 * figures['parameters'] + sum(awaited)),
                f'{len(awaited)}: {in_bytes(sum(awaited))}',
                f'{figures["operations"]["48"] * IMAGES / whole:,.0f}',
                str(figures['kernels']),
            ]
        )
    return rows


def weak_rows(counted: dict[str, Any]) -> list[list[str]]:
    return [
        [name, *(both(weak, figures, images, gpus) for images in (IMAGES, 10 * IMAGES) for gpus in GPUS)]
        for name, figures in counted.items()
    ]


def strong_rows(counted: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, figures in counted.items():
        gains = [gpus * strong(figures, WHOLE, gpus, hidden=True) for gpus in GPUS]
        rows.append([name, *(both(strong, figures, WHOLE, gpus) for gpus in GPUS), *(f'{gain:.0f}' for gain in gains)])
    return rows


def variant_rows(counted: dict[str, Any], name: str) -> list[list[str]]:
    """Weak scaling of one network, with one assumption changed at a time."""
    figures, machine = counted[name], Machine()
    apart = {**figures, 'exchanges': [one for one in figures['exchanges'] if not one['awaited']]}
    slow = replace(machine, nvlink_step=2 * machine.nvlink_step, infiniband_step=2 * machine.infiniband_step)
    cases: dict[str, tuple] = {
        'as above': (figures, IMAGES, 'tf32', machine),
        '10 images on each GPU': (figures, 10, 'tf32', machine),
        '1,000 images on each GPU': (figures, 1000, 'tf32', machine),
        '10 % of the peak': (figures, IMAGES, 'tf32', replace(machine, utilisation=0.1)),
        '40 % of the peak': (figures, IMAGES, 'tf32', replace(machine, utilisation=0.4)),
        'bf16': (figures, IMAGES, 'bf16', machine),
        'hops twice as long': (figures, IMAGES, 'tf32', slow),
        "batch norm with the statistics of each GPU's own images": (apart, IMAGES, 'tf32', machine),
    }
    return [
        [what, *(both(weak, given, images, gpus, precision, on) for gpus in GPUS)]
        for what, (given, images, precision, on) in cases.items()
    ]


def set_rows() -> list[list[str]]:
    return [
        [name, in_bytes(n * size), *(in_bytes(n * size / gpus) for gpus in GPUS)] for name, (n, size) in SETS.items()
    ]


def reading_rows(counted: dict[str, Any]) -> list[list[str]]:
    """Data that a network on large images reads per second, over all GPUs, and the length of epochs."""
    rows = []
    for gpus in GPUS:
        seconds = step(counted[LARGE], IMAGES, gpus, hidden=True, side=LARGE_SIDE)
        speed = gpus * IMAGES / seconds
        grey, colour = LARGE_SIDE**2, 3 * LARGE_SIDE**2
        rates = [in_bytes(speed * size) for size in (JPEG, grey, colour)]
        rows.append(
            [f'{gpus:,}', f'{gpus * IMAGES:,}', f'{speed:,.0f}', *(f'{rate}/s' for rate in rates)]
            + [in_time(450_000 / speed), in_time(1e8 / speed)]
        )
    return rows


def tables(counted: dict[str, Any]) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Header and rows of each table, by its mark."""
    columns = [f'{gpus:,} GPUs' for gpus in GPUS]
    return {
        'counted': (
            ['network', 'parameters', 'million operations per image', 'all-reduced per step', 'with 2-byte gradients']
            + ['awaited', f'operations per byte, {IMAGES} images', 'kernels'],
            counted_rows(counted),
        ),
        'weak': (
            ['network', *(f'{n:,} images: {column}' for n in (IMAGES, 10 * IMAGES) for column in columns)],
            weak_rows(counted),
        ),
        'strong': (['network', *columns, *(f'speed-up: {gpus:,}' for gpus in GPUS)], strong_rows(counted)),
        'variants': (['network A', *columns], variant_rows(counted, 'A')),
        'sets': (['images', 'all', *(f'one of {gpus:,} parts' for gpus in GPUS)], set_rows()),
        'reading': (
            ['GPUs', 'minibatch', 'images/s', 'as JPEG', 'grey', 'colour', 'epoch of 450,000', 'epoch of 100 million'],
            reading_rows(counted),
        ),
    }


def write_page(counted: dict[str, Any], page: Path) -> None:
    """Write all tables between their marks on the page."""
    for name, (head, rows) in tables(counted).items():
        put_into_page(page, name, '\n' + as_markdown(head, rows) + '\n')

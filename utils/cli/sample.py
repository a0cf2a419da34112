"""The main job: a short run on drawn faces, if no data set is given."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from utils.files.terminal import write_line

# The arguments of `python launch.py` without a data set: a short run on the sample faces.
SAMPLE_RUN = {
    'network_args': {'width': 0.25},
    'p_dropConv': [0.0, 0.1, 0.1, 0.2],
    'n_hidden': [256],
    'batch_size': 50,
    'n_epochs': 10,
    'anneal_epochs': 3,
    'statistics_images': 1000,
}


def with_sample(options: dict[str, Any], chosen: Collection[str] = ()) -> dict[str, Any]:
    """Add the defaults for the sample data set if no data set is given; they suit its small number of faces.

    Parameters
    ----------
    options : dict
        Arguments of `launch.test`.
    chosen : collection of str
        Further arguments that a sweep or a search sets.
    """
    if {'dataset', 'resume'} & set(options):
        return options
    sample = dict(SAMPLE_RUN)
    if 'network' in options or 'network' in chosen:  # these two defaults are for network A
        del sample['network_args'], sample['p_dropConv']
    write_line(
        'A short run on drawn faces, with '
        + ', '.join(f'{k}={v}' for k, v in sample.items() if k not in options)
        + '. For a full experiment, give a data set: --dataset.'
    )
    return {**sample, **options}

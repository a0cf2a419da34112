"""The data sets of the experiments, made from FER2013 or from drawn faces."""

from pathlib import Path

import numpy as np

import loaders
from loaders.sets.splits import draw
from loaders.synthetic.sample import draw_faces
from reproduction.experiments import N_TEST, N_TRAINING, VALIDATION


def originals(data, scale):
    """The images of FER2013, or a fraction `scale` of each class and usage; drawn faces if `data` is None."""
    if data is None:
        arrays = draw_faces(*(max(200, round(n * scale)) for n in (N_TRAINING, N_TEST, N_TEST)))
        return loaders.Originals(*arrays, np.arange(len(arrays[0]), dtype=np.int32), layout='drawn faces')
    whole = _from_sets(data) if (Path(data) / 'set1.h5').is_file() else loaders.read(data)
    if scale == 1:
        return whole
    rows = [
        draw(
            np.flatnonzero(whole.usage == usage),
            whole.labels[whole.usage == usage],
            round((whole.usage == usage).sum() * scale),
            seed=0,
            stratify=True,
        )
        for usage in range(3)
    ]
    rows = np.sort(np.concatenate(rows))
    return loaders.Originals(
        whole.images[rows],
        whole.labels[rows],
        whole.usage[rows],
        whole.ids[rows],
        whole.classes,
        f'{len(rows)} images of {whole.layout}',
    )


def _from_sets(folder):
    with loaders.load(Path(folder) / 'set1.h5') as data:
        parts = [data.training, data.test]
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ('y', 'usage', 'source')]
        images = np.concatenate([part.images() for part in parts])
    order = np.argsort(columns[2])
    return loaders.Originals(images[order], *(column[order] for column in columns), layout=f"'{folder}'")


def make_sets(numbers, data, scale, folder):
    """Paths of sets by number: existing full-size sets in `data`, or sets in `folder`, made if they are missing."""
    paths, images = {}, None
    for number in numbers:
        paths[number] = folder / f'set{number}.h5'
        given = Path(data or '') / f'set{number}.h5'
        if scale == 1 and given.is_file():
            with loaders.load(given) as one:
                if one.validation is not None:
                    paths[number] = given
        if not paths[number].is_file():
            images = originals(data, scale) if images is None else images
            folder.mkdir(parents=True, exist_ok=True)
            recipe = loaders.Recipe('set 1', held_out=VALIDATION, number=1) if number == 1 else number
            loaders.build(images, sets=(recipe,), out=folder, info=lambda line: None)
            print(f"made '{paths[number]}'")
    return paths

"""A recipe with symfer: `launch.test` as a user calls it, including saving."""

import sys
import tempfile
from pathlib import Path

from benchmarks.time_to_accuracy.recipes import RECIPES
from benchmarks.time_to_accuracy.turns import report


def main(name, dataset, seed):
    import launch

    def on_epoch(row):
        report(row['epoch'], row['validation_error'])

    with tempfile.TemporaryDirectory() as folder:
        launch.test(
            **RECIPES[name],
            dataset=dataset,
            seed=int(seed),
            savename=str(Path(folder) / 'm.h5'),
            on_epoch=on_epoch,
            retrain=False,
            anneal_epochs=0,
            report=False,
            verbose=0,
        )


if __name__ == '__main__':
    main(*sys.argv[1:])

"""The description of a kind of file."""

from pathlib import Path

import loaders
from tests.stress.fuzz.mutations import havoc


class Kind:
    """A kind of file: good examples, a mutation, a reader and the errors that it may raise."""

    errors = (loaders.DataError,)
    suffix = ''

    def __init__(self, folder):
        self.folder = Path(folder)
        self.path = self.folder / f'file{self.suffix}'
        self.seeds = self.good()

    def write(self, rng):
        self.path.write_bytes(self.mutate(rng))

    def mutate(self, rng):
        return havoc(rng.choice(self.seeds), rng, self.seeds)

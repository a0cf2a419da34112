"""A process that trains one epoch on request, so that several can take turns on one machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def report(epoch, error, **more):
    """Print the row of an epoch and wait for the next turn; called by the training process after each epoch.

    `error` is the validation error in %. The process ends when its standard input is closed.
    """
    used = os.times()
    cpu = used.user + used.system + used.children_user + used.children_system
    print(json.dumps({'epoch': epoch, 'error': error, 'cpu': cpu, **more}), flush=True)
    if not sys.stdin.readline():
        os._exit(0)


class Trainer:
    """A training process; its time is the sum of its turns, including the start of the process.

    Parameters
    ----------
    name : str
    command : list of str
        Command that calls `report` after each epoch.
    """

    def __init__(self, name, command):
        self.name, self.command, self.process = name, command, None
        self.seconds, self.rows = 0.0, []

    def turn(self):
        """Train one more epoch; returns its row: epoch, error, seconds and processor seconds since the start."""
        start = time.perf_counter()
        if self.process is None:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        else:
            print('go', file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith('{'):
                break
        else:
            raise RuntimeError(f'{self.name} ended with status {self.process.wait()}')
        self.seconds += time.perf_counter() - start
        self.rows.append({**json.loads(line), 'seconds': self.seconds})
        return self.rows[-1]

    def close(self):
        """End the process."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()

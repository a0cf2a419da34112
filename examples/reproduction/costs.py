"""Cost of an epoch of an entry, in epochs of network Sprint: the steps of both are timed in turn.

A processor shared with others changes its speed from minute to minute by more than most techniques cost. Neighbouring
steps see the same speed, so the quotient of their times does not change.
"""

import itertools
import time
from contextlib import ExitStack

import numpy as np

import launch
from utils.experiment.building import network_maker, training_settings
from utils.experiment.teachers import open_teacher
from utils.layer import parameters
from utils.training.inference import validate
from utils.training.steps import batches_of
from utils.training.trainer import Trainer

TURNS, WARM_UP, VALIDATIONS, PRETRAINING_STEPS = 12, 2, 3, 6


def epochs_for(options, reference, budget):
    """Number of epochs of an experiment that cost as much processor time as `budget` epochs of another.

    Stage pretrain, if there is one, uses a part of it.

    Parameters
    ----------
    options, reference : dict
        Arguments of `launch.test` of the experiment and of the other one.
    budget : float

    Returns
    -------
    dict
        'n_epochs' (rounded, at least one), 'cost' of an epoch relative to that of the other, 'images' of an epoch,
        'images_a_cpu_second' (of the moment), and 'parameters' (the number of trained ones).
    """
    with ExitStack() as stack:
        own, other = _Course(options, stack), _Course(reference, stack)
        before = own.pretraining_seconds()
        quotients, unit = [], []
        for height in own.heights:
            own.resize(height)
            turns = _in_turn(own.step, other.step, TURNS, WARM_UP)
            quotients.append(np.median(turns[:, 0] / turns[:, 1]))
            unit.append(np.median(turns[:, 1]))
        unit = float(np.mean(unit))
        turns = _in_turn(own.validation, other.validation, VALIDATIONS, 1)  # the first one compiles
        seconds = own.n_steps * unit * float(np.mean(quotients)) + float(np.median(turns[:, 0]))
        other_seconds = other.n_steps * unit + float(np.median(turns[:, 1]))
        return {
            'n_epochs': max(1, round((budget * other_seconds - before) / seconds)),
            'cost': seconds / other_seconds,
            'images': own.order.size,
            'images_a_cpu_second': own.order.size / seconds,
            'parameters': own.n_parameters,
        }


class _Course:
    """Steps and validations of an experiment, timed: processor time of all cores together, in seconds."""

    def __init__(self, options, stack):
        options = launch.CONTEXT.validate(options)
        data = stack.enter_context(launch.CONTEXT.open_data(options, print))
        self.trainer = stack.enter_context(
            Trainer(
                network_maker(options, data),
                data,
                training_settings(options),
                teacher=open_teacher(launch.CONTEXT, options, data, print),
            )
        )
        self.functions, self.images, self.heights = self.trainer.functions, data, options['progressive_sizes'] or [None]
        subset = data.reduced_training
        self.trainer.targets.put(self.functions, subset)
        self.order = self.trainer._order(subset)
        self.n_steps = -(-self.order.shape[-1] // self.functions.batch_size)
        self.batches = itertools.cycle(
            itertools.islice(batches_of(self.functions, subset, self.order), WARM_UP + TURNS)
        )

    @property
    def n_parameters(self):
        trained = parameters(self.functions.network, trainable=True)
        return sum(int(np.prod(p.type.shape)) for p in trained.values())

    def resize(self, height):
        self.functions.resize(height)

    def step(self):
        inputs, weights, _ = next(self.batches)
        return _seconds(lambda: self.functions.train(*inputs, weights))

    def validation(self):
        return _seconds(lambda: validate(self.functions, self.images.validation))

    def pretraining_seconds(self):
        """Processor time of stage pretrain, estimated from a few minibatches of each layer."""
        stacked, total = self.trainer.pretraining, 0.0
        batch_size, subset = self.functions.batch_size, self.images.reduced_training
        rows = np.arange(PRETRAINING_STEPS * batch_size)
        for k in range(len(stacked.names) if stacked else 0):
            stacked.epoch(k, subset, rows, self.trainer.reporter)  # compiles
            taken = _seconds(lambda k=k: stacked.epoch(k, subset, rows, self.trainer.reporter)[0])
            total += stacked.n_epochs * taken / PRETRAINING_STEPS * -(-len(subset) // batch_size)
        return total


def _in_turn(own, other, turns, warm_up):
    """Seconds (turns, 2) of two timed calls that take turns, without the first `warm_up` turns."""
    return np.array([(own(), other()) for _ in range(warm_up + turns)])[warm_up:]


def _seconds(call):
    """Processor time of a call, in seconds; its first result must be a number."""
    start = time.process_time()
    float(call()[0])
    return time.process_time() - start

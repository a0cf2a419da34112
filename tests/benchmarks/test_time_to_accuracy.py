"""Alternation of training processes, and the report on them."""

import sys
import time

from benchmarks.time_to_accuracy.__main__ import in_turn, reached, verdict
from benchmarks.time_to_accuracy.turns import Trainer

CHILD = """
import sys, time
from benchmarks.time_to_accuracy.turns import report
for epoch, error in enumerate(map(float, sys.argv[1:]), 1):
    print('a line of another kind')
    report(epoch, error)
"""


def trainer(name, *errors):
    return Trainer(name, [sys.executable, '-c', CHILD, *map(str, errors)])


def test_each_trains_until_it_is_good_and_only_its_own_turns_count(capsys):
    fast, slow = trainer('fast', 50, 39, 30), trainer('slow', 60, 50, 40, 30)
    start = time.perf_counter()
    in_turn([fast, slow], 40.0, 9)
    took = time.perf_counter() - start
    assert [row['error'] for row in fast.rows] == [50, 39] and [row['error'] for row in slow.rows] == [60, 50, 40]
    assert reached(slow, 40.0)['epoch'] == 3 and reached(slow, 10.0) is None
    assert 0 < fast.seconds + slow.seconds <= took
    for one in (fast, slow):
        assert one.process.poll() is not None
        assert [row['seconds'] for row in one.rows] == sorted(row['seconds'] for row in one.rows)
    said = verdict([fast, slow], 40.0)
    ratio = slow.rows[-1]['seconds'] / fast.rows[-1]['seconds']
    assert f'({fast.rows[-1]["epoch"]} epochs)' in said and said.endswith(f'{ratio:.2f} times')
    assert 'was not reached by either' in verdict([fast, slow], 1.0)


def test_a_process_that_ends_is_named():
    one = trainer('short', 50)
    try:
        in_turn([one], 40.0, 3)
    except RuntimeError as error:
        assert 'short ended with status 0' in str(error)
    else:
        raise AssertionError('the end of the process was not noticed')

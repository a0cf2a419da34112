"""The benchmark of growth: relative times by turn, table, figure."""

import pytest

from benchmarks import growth


class Fake:
    """An engine whose step takes a given time, in a machine that gets slower with each turn."""

    def __init__(self, name, case, python):
        self.case, self.times, self.peak, self.turn = case, [], 100, 0

    def steps(self, n):
        self.turn += 1
        return self.turn * (2e-3 * self.case.batch + 1e-2)

    def close(self):
        pass


def test_times_are_relative_to_the_reference_of_the_same_turn(monkeypatch, tmp_path):
    monkeypatch.setattr(growth, 'Engine', Fake)
    rows = growth.measure('batches', turns=3, seconds=1)
    relative = {row['case']: row['relative'] for row in rows}
    assert relative == pytest.approx({n: (2e-3 + 1e-2 / n) / (2e-3 + 1e-4) for n in (1, 10, 100, 300, 1000)})
    assert '| minibatch 1,000 | ' in growth.table(rows) and '| 1.00 per image |' in growth.table(rows)
    growth.figure(rows, tmp_path / 'growth.png')
    assert (tmp_path / 'growth.png').stat().st_size > 1000

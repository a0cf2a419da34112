"""The parts of `examples/reproduce.py` and `examples/techniques.py`: experiments, data, runs, tables."""

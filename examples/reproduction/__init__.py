"""What `examples/reproduce.py` is made of: experiments, their data, their runs, the table."""

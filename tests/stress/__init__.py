"""Fault injection and fuzzing. Short runs are part of the test suite; long ones are started by hand."""

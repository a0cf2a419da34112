"""Fault injection and fuzzing: their short forms are tests, the long ones are run by hand."""

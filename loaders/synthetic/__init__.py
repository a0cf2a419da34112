"""Drawn faces, for use without a data set."""

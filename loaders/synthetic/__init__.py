"""Drawn faces, for when there is no data set."""

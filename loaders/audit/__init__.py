"""Defects of a data set that affect how results should be read."""

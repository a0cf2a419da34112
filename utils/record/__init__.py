"""The record of a run: a numbered folder beside the model, and one table of all runs.

==================  ===========================================================================
`writing`           a run while it goes on: makes its folder, writes into it, ends it
`reading`           a run folder, read back
`table`             experiments.csv, a row for every run
`history`           history.csv, a row for every epoch
`environment`       versions, device, git revision
`source`            the source of a network's class
`trackers`          TensorBoard and MLflow
==================  ===========================================================================
"""

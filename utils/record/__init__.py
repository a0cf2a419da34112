"""The record of a run: a numbered folder beside the model, and one table of all runs.

==================  ===========================================================================
`writing`           writing the folder of a run, from its start to its end
`reading`           reading a run folder
`table`             experiments.csv, with a row per run
`history`           history.csv, with a row per epoch
`environment`       versions, device, git revision
`source`            the source of a network's class
`trackers`          TensorBoard and MLflow
==================  ===========================================================================
"""

"""Studies of many runs: sweeps, search, the learning-rate range test, cross-validation, comparison, ensembles.

==================  ===========================================================================
`grid`              the trials of a sweep, from a grid and seeds
`sweeps`            running all trials of a sweep
`trials`            running one trial, unless it is done
`workers`           running trials in turn, in processes or on a Ray cluster
`search`            search with Optuna
`lr_finder`         the learning-rate range test
`folds`             cross-validation
`matrix`            the cross-data matrix
`comparison`        means over seeds, and a paired test
`ensembles`         several runs as one model
==================  ===========================================================================
"""

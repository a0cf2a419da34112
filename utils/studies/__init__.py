"""Many runs: grids and seeds, several workers, search, the learning-rate range test, comparison, ensembles.

==================  ===========================================================================
`grid`              the points of a sweep
`sweeps`            all trials of a grid
`trials`            one trial, once
`workers`           ways to work through all trials
`search`            search with Optuna
`lr_finder`         the learning-rate range test
`comparison`        means over seeds, a paired test
`ensembles`         several runs as one model
==================  ===========================================================================
"""

"""Estimate the speed of training on many GPUs from counted figures of each network and a model of the machine.

==================  ===========================================================================
`counting`          counts operations and exchanges of a training step, in a separate process
`machine`           public figures of GPUs and their links, with sources, and assumptions
`model`             the time of a step on a number of GPUs
`tables`            the tables of docs/scaling.md
==================  ===========================================================================

Nothing is timed; see docs/scaling.md.
"""

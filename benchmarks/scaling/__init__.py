"""What training on many GPUs would give, on paper: counted figures of each network, and a model of the machine.

==================  ===========================================================================
`counting`          what a training step computes and what devices exchange in it: a process
`machine`           public figures of GPUs and networks, with their sources, and what is assumed
`model`             the time of a step on so many GPUs
`tables`            the tables of docs/scaling.md
==================  ===========================================================================

Nothing is timed: see docs/scaling.md.
"""

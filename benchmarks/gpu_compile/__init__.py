"""Every function of every network compiled for NVIDIA GPUs on a machine that has none.

==================  ===========================================================================
`targets`           the GPUs: what XLA has to know of them, and of how many there are
`programs`          what is compiled: the functions of a network in the form for a GPU
`reading`           what compiled text says: kernels, calls of cuDNN, copies, precision
`batches`           the largest minibatch that fits the memory of a card
`cell`              one network, precision and GPU: a process that compiles and prints figures
`matrix`            all of them: what is there already is not compiled again; the table
==================  ===========================================================================

It is a whole compilation, down to machine code by ptxas. Nothing runs, so it has no speed to tell: see docs/gpu.md.
"""

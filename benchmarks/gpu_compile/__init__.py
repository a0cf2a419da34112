"""Compile every function of every network for NVIDIA GPUs, on a machine without one.

==================  ===========================================================================
`targets`           descriptions of GPUs for XLA
`programs`          the functions to compile: those of a network in the GPU form
`reading`           statistics of compiled text: kernels, cuDNN calls, copies, precision
`batches`           the largest minibatch that fits into the memory of a GPU
`cell`              one network, precision and GPU: a process that compiles and prints figures
`matrix`            all cells, without compiling existing ones again; the tables
==================  ===========================================================================

This is a complete compilation, down to machine code by ptxas. Nothing runs, so no speed is measured; see docs/gpu.md.
"""

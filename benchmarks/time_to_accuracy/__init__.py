"""Time to accuracy: from the start of the process to a target validation error, for symfer and PyTorch in turn.

=================  ============================================================================
`__main__`         the command: both take turns of an epoch; prints the comparison
`recipes`          the training recipes
`symfer_`          a recipe with `launch.test`
`torch_`           the same recipe in PyTorch
`turns`            a process that trains one epoch on request
=================  ============================================================================
"""

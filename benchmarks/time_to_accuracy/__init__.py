"""How long until a network is good: from the start of the process to a validation error, symfer and PyTorch in turn.

=================  ============================================================================
`__main__`         the command: both take turns of an epoch; the table
`recipes`          what is trained
`symfer_`          by `launch.test`
`torch_`           the same recipe, written for PyTorch
`turns`            a process that trains an epoch when it is told to
=================  ============================================================================
"""

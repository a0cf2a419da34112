"""The command line of symfer, made from the schema of the arguments and the signatures of the commands.

Nothing here imports PyTensor or JAX before a command does its work, so that help and errors come at once.

==================  =====================================================================
`program`           finds the command, does it, tells of errors in one line
`commands`          one function a sub-command: its arguments, its help, what it does
`data`              those of ``symfer data``
`predict`, `serve`  a model on pictures; behind HTTP
`summary`           what a network consists of
`registry`          which commands there are
`parser`            an argparse parser from a command's function and the schema
`source`            signatures and docstrings, read without importing what they belong to
`config`            --config
`sample`            defaults for the sample data set
`shells`            ``symfer completion``: scripts for shells
==================  =====================================================================
"""

from utils.cli.program import main

__all__ = ['main']

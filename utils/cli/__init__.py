"""The command line of symfer, made from the schema of the arguments and the signatures of the commands.

Nothing here imports PyTensor or JAX before a command runs, so that help and errors appear at once.

==================  =====================================================================
`program`           finds and runs the command; prints errors in one line
`commands`          the sub-commands: a function with arguments and help for each
`data`              the sub-commands of ``symfer data``
`predict`, `serve`  apply a model to pictures; serve it over HTTP
`summary`           shows the layers of a network
`registry`          the registry of commands
`parser`            makes an argparse parser from a command's function and the schema
`source`            reads signatures and docstrings without importing their modules
`sample`            defaults for the sample data set
`shells`            ``symfer completion``: scripts for shells
==================  =====================================================================
"""

from utils.cli.program import main

__all__ = ['main']

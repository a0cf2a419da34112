"""What only a GPU can tell, by one command: ``benchmarks/on_gpu.sh FOLDER``.

==============  ===========================================================================
`steps`         what is done, each step a command with a time limit
`running`       runs them, whatever becomes of one, and sums up
`device`        the step that says which device it is
`sets`          the step that makes the data sets
`outcomes`      a plugin of pytest: what becomes of each test, written as it happens
`training`      the steps that compare precisions and that time an epoch of set 4
==============  ===========================================================================
"""

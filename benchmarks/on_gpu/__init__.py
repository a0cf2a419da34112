"""Measurements that need a GPU, by one command: ``benchmarks/on_gpu.sh FOLDER``.

==============  ===========================================================================
`steps`         the steps, each a command with a time limit
`running`       runs the steps, even if some fail, and summarises them
`device`        the step that identifies the device
`sets`          the step that makes the data sets
`outcomes`      a pytest plugin that writes the outcome of each test as it ends
`training`      the steps that compare precisions and time an epoch of set 4
==============  ===========================================================================
"""

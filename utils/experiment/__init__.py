"""One run, from its arguments to its result; a saved model opened, evaluated and applied to images.

==================  ===========================================================================
`arguments`         validation of the arguments of `launch.test`
`schema`            a table of all arguments; `kinds`: the kinds of values they take
`context`           objects from above utils, passed down by launch.py
`experiment`        data set, trainer, model file and record of one call of `launch.test`
`building`          network, optimiser and schedule, made from the arguments
`resuming`          whether a saved model fits the data set and the network it is resumed with
`console`           lines and a progress bar
`signals`           Ctrl-C, SIGTERM and SIGHUP as exceptions
`checkpoint`        writes the model file during training
`memory`            explains out-of-memory errors
`wording`           the sentences that an experiment prints
`result`            `Result`, tables, figures, report
`saved`             model files: validated, opened, resumed
`summarising`       the layers of a network
`evaluation`        tests a saved model on the test images of a set
`prediction`        applies a saved model to images
==================  ===========================================================================
"""

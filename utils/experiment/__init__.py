"""One run: its arguments, what is built of them, resuming, console, signals, checkpoint.

==================  ===========================================================================
`arguments`         the arguments of `launch.test`, each checked
`building`          network, optimiser and schedule made of them
`resuming`          whether a saved model and what it goes on with belong together
`console`           lines and a progress bar
`signals`           Ctrl-C, SIGTERM and SIGHUP as exceptions
`checkpoint`        writes the model file as training goes on
`memory`            memory that is used up, explained
==================  ===========================================================================
"""

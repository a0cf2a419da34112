"""One run, from its arguments to its result; a saved model opened, evaluated, applied to images.

==================  ===========================================================================
`arguments`         the arguments of `launch.test`, each checked
`schema`            a row for each argument, from which everything is made that lists them; `kinds`: their values
`context`           what utils may not import, handed down by launch.py
`experiment`        what surrounds the methodology of `launch.test`
`building`          network, optimiser and schedule made of them
`resuming`          whether a saved model and what it goes on with belong together
`console`           lines and a progress bar
`signals`           Ctrl-C, SIGTERM and SIGHUP as exceptions
`checkpoint`        writes the model file as training goes on
`memory`            memory that is used up, explained
`wording`           what an experiment says of itself
`result`            what comes out: `Result`, tables, figures, report
`saved`             models in files: checked, opened, gone on with
`summarising`       what a network consists of
`evaluation`        a saved model on the test images of a set
`prediction`        a saved model on images
==================  ===========================================================================
"""

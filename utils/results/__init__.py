"""What is said of one model: figures of merit, predictions, the competition, plots, the report.

==================  ===========================================================================
`metrics`           errors with intervals, figures of each class, calibration
`summary`           these for a person, as lines and tables of text
`predictions`       the answers in files
`competition`       the challenge of 2013 and a result's place in it
`inspection`        what a network makes of images, layer by layer
`structure`         the layers of a network as a table; `structure_drawing`: as a drawing
`plots`             the figures, one decorated function each
`report`            one HTML file with all of it
==================  ===========================================================================
"""

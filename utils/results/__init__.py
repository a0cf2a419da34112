"""The results of one model: metrics, predictions, the competition, plots, the report.

==================  ===========================================================================
`metrics`           errors with intervals, metrics of each class, calibration
`summary`           these as lines and tables of text
`predictions`       predictions in files
`competition`       the challenge of 2013, and the place of a result in it
`inspection`        the outputs of a network for images, layer by layer
`structure`         the layers of a network as a table; `structure_drawing`: as a drawing
`plots`             the figures, each one decorated function
`report`            one HTML file with everything
==================  ===========================================================================
"""

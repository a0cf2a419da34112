"""Faces classified as before deep networks, for comparison: `python -m benchmarks.classical`.

==================  ===========================================================================
`features`          images to numbers: pixels, HOG, LBP, Gabor energies, landmarks, strips
`classifiers`       naive Bayes, SVMs, forests, boosted trees; the table of all classifiers
`bayesian`          tree augmented naive Bayes and a structure search, of pgmpy
`markov`            one hidden Markov model a class, of hmmlearn
`data`              the images of a set, or a stratified part of them
`protocol`          settings by validation, training, one look at the test images
`table`             rows as JSON and as Markdown
==================  ===========================================================================
"""

"""Face classification with the methods before deep networks, for comparison: `python -m benchmarks.classical`.

==================  ===========================================================================
`features`          images to numbers: pixels, HOG, LBP, Gabor energies, landmarks, strips
`classifiers`       naive Bayes, SVMs, forests, boosted trees; the table of all classifiers
`bayesian`          tree augmented naive Bayes and a structure search, with pgmpy
`markov`            one hidden Markov model per class, with hmmlearn
`data`              the images of a set, or a stratified part of them
`protocol`          choice of settings by validation, training, a single test
`table`             rows as JSON and as Markdown
==================  ===========================================================================
"""

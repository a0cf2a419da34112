"""The default reporter of a `Trainer`."""


class NullReporter:
    """Does nothing. A reporter is called at every epoch and minibatch, see `utils.experiment.console.Console`."""

    def epoch_begins(self, stage, epoch, n_epochs, n_images):
        pass

    def compiling(self, what):
        pass

    def warn(self, text):
        pass

    def minibatch(self, count, cost):
        pass

    def epoch_ends(self, row):
        pass

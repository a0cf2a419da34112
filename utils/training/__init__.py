"""How a network is trained and used.

=========================  ==================================================================
`trainer`                  the methodology, with a method for each stage; `stages`: their registry
`engine`                   epochs; saving and restoring the state
`settings`                 all settings of training in one object
`rules`                    rules for choosing the epoch to keep
`functions`                the compiled functions of a network
`batches`                  minibatches, data on the device
`inference`                applies a trained network to the images of a subset
`state`                    checks of saved arrays
`losses`                   loss functions
`optimisers`               functions from gradients to updates
`schedules`                the learning rate of each epoch
`augmentation`, `warping`  random changes of the training images, inside the graph
`reporter`                 the default reporter
=========================  ==================================================================
"""

"""How a network is trained and used.

=========================  ==================================================================
`trainer`                  the methodology: a method for each stage; `stages`: their registry
`engine`                   epochs, state saved and restored
`settings`                 what training is done with, as one thing
`rules`                    by which epochs are kept
`functions`                the compiled functions of a network
`batches`                  minibatches, data on the device
`inference`                a trained network on the images of a subset
`state`                    checks of saved arrays
`losses`                   what is minimised
`optimisers`               gradients to updates
`schedules`                the learning rate from epoch to epoch
`augmentation`, `warping`  random changes of the training images, inside the graph
`reporter`                 the default reporter
=========================  ==================================================================
"""

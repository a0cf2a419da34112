"""How a network is trained.

==================  ===========================================================================
`losses`            what is minimised
`optimisers`        gradients to updates
`schedules`         the learning rate from epoch to epoch
`augmentation`, `warping`
                    random changes of the training images, inside the graph
==================  ===========================================================================
"""

"""Convolutional networks. To edit one, edit its class; to add one, write a class like them and pass it to
``launch.test(network=...)``, from here or from a script of your own."""
from cnn.lenet import LeNet5
from cnn.resnet import C, D
from cnn.vgg import A, B

__all__ = ['A', 'B', 'C', 'D', 'LeNet5']

"""Convolutional networks. To edit one, edit its class; to add one, write a class like them and pass it to
``launch.test(network=...)``, from here or from a script of your own."""
from cnn.lenet import LeNet5
from cnn.resnet import C, D, ResNet18
from cnn.vgg import VGG, A, B

__all__ = ['A', 'B', 'C', 'D', 'VGG', 'ResNet18', 'LeNet5']

"""Conversion of the symbolic graph to ONNX by a dispatch over Ops, like the JAX translations.

==================  ===========================================================================
`conversion`        conversion of a graph to ONNX nodes; `converter` registers an Op
`elementwise`       element-wise operations
`shaping`           reshapes, transposes, slices, joins, reductions, products
`images`            convolution and pooling
`model`             the format 'onnx': a network with scaling of pixels, temperature and softmax
==================  ===========================================================================
"""

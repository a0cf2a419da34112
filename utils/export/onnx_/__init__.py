"""ONNX from the symbolic graph: a dispatch over Ops, as the JAX translations are.

==================  ===========================================================================
`conversion`        a graph turned into the nodes of ONNX; `converter` registers an Op
`elementwise`       what is done element by element
`shaping`           reshapes, transposes, slices, joins, reductions, products
`images`            convolution and pooling
`model`             a network with pixels / 255, temperature and softmax as a file; the format 'onnx'
==================  ===========================================================================
"""

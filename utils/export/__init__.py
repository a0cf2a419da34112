"""Trained models in files for use: without what training needs, or in other people's formats.

==================  ===========================================================================
`exporting`         `export`: a saved model into a file of one of the formats
`formats`           the formats by name; each is one decorated function
`parameters`        .h5 and .safetensors: parameters under their names
`onnx_`             ONNX, from the graph
`stablehlo`         a program for JAX
==================  ===========================================================================

An exported model is used and tested, and cannot be gone on with.
"""

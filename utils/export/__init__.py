"""Export trained models to files for inference, in symfer's own format or in others.

==================  ===========================================================================
`exporting`         `export`: writes a saved model in one of the formats
`formats`           the formats by name; each is a decorated function
`parameters`        .h5 and .safetensors: the parameters by name
`onnx_`             ONNX, converted from the graph
`stablehlo`         a program for JAX
==================  ===========================================================================

Training of an exported model cannot be continued.
"""

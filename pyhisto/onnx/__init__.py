"""A Caffe network as an ONNX model: the same layers, weights and outputs, for any number of images.

`layers` has one function a layer type, `export` joins them to a model, `proof` holds the model against Caffe, `runtime`
runs it.
"""

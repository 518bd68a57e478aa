"""Layers that Caffe imports by name."""

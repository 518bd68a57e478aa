"""Compact Caffe networks for breast cancer histopathology: generate, train, prune, evaluate."""

__version__ = "0.1.0"

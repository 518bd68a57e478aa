"""The SEP layer (fig. 4 of Zhu et al. 2019) as a Caffe Python layer on the N x C gate of an SE block.

Caffe imports this module itself, from a prototxt:

  python_param { module: "pyhisto.layers.sep" layer: "SEPLayer" param_str: '{"stage": "statistics"}' }

The stage is one of
  training    the activation factors pass; the network's own Scale layer applies them
  statistics  they pass, and their sum over all samples is kept: channel importance, eq. 5
  pruning     they are multiplied by the channel mask, so that a pruning can be looked at with unchanged shapes. (The
              squeeze still sees the removed channels; a rewritten network does not.)
and `samples` (optional) the number of samples that the statistics are over; later ones are not counted.

A Python layer runs on the CPU, on a GPU machine too: hence the small gate, and never the N x C x H x W maps.
"""

from collections.abc import Sequence
from typing import Any

import caffe

from pyhisto.layers import activation_statistics as statistics
from pyhisto.layers.sep_layer import STAGES, read_settings


class SEPLayer(caffe.Layer):  # type: ignore[misc]  # pycaffe has no type hints
    """One bottom, one top, both N x C (or N x C x 1 x 1)."""

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read the stage; make the state blobs: no samples seen, nothing masked."""
        settings = read_settings(self.param_str)
        self.stage = settings.get("stage", "training")
        self.limit = settings.get("samples")
        if self.stage not in STAGES:
            raise ValueError(f"SEP layer: stage '{self.stage}' is not one of {', '.join(STAGES)}")
        if len(bottom) != 1 or len(top) != 1:
            raise ValueError("SEP layer: takes one bottom (the N x C activation factors) and one top")
        shape = bottom[0].data.shape
        if shape != shape[:2] + (1,) * (len(shape) - 2):
            raise ValueError(f"SEP layer: the bottom is {shape}, not N x C activation factors")
        for blob_shape in statistics.blob_shapes(shape[1]):
            self.blobs.add_blob(*blob_shape)
            self.blobs[-1].data[...] = 0
        self.blobs[statistics.MASK].data[...] = 1

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """The top has the bottom's shape."""
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Pass the activation factors on; count them, or mask them."""
        factors = bottom[0].data
        top[0].data[...] = factors * self._mask(factors) if self.stage == "pruning" else factors
        if self.stage == "statistics":
            high, low, samples = (
                self.blobs[i].data for i in (statistics.SUM_HIGH, statistics.SUM_LOW, statistics.SAMPLES)
            )
            statistics.accumulate(high, low, samples, factors.reshape(factors.shape[:2]), self.limit)

    def backward(self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]) -> None:
        """The gradient passes; in the pruning stage, masked."""
        if propagate_down[0]:
            gradient = top[0].diff
            bottom[0].diff[...] = gradient * self._mask(gradient) if self.stage == "pruning" else gradient

    def _mask(self, like: Any) -> Any:
        """The mask, shaped so that it applies to the channels of `like`."""
        return self.blobs[statistics.MASK].data.reshape(1, -1, *(1,) * (like.ndim - 2))

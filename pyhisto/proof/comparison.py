"""Running a network, and what was made of it, on the same random inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Shape
from pyhisto.graph.types import dims
from pyhisto.proof.engines import ENGINES, Blobs, Choice
from pyhisto.proof.runnable import Runnable
from pyhisto.proto import Net

TOLERANCE = 1e-4
"""The largest difference in an output, relative to its largest value."""

FLOOR = 2.0**-100
"""A largest value below it counts as this one. Float32 has all its digits down to 2^-126: an output below 2^-100 has
terms that lack some, and one that is zero has no scale at all."""

SCALES = (1.0, 50.0)
"""Standard deviations of the random inputs: one as after normalisation, one as of pixels with the mean subtracted."""

ROUNDING_MARGIN = 10
"""How many times more the two networks, which sum in different orders, may round than a last bit of the input does."""


@dataclass(frozen=True)
class Proof:
    """What was compared, and how far apart the two were."""

    engine: str
    largest_difference: float
    """Over all outputs and inputs, relative to each output's largest value."""
    outputs: tuple[str, ...]
    input_scales: tuple[float, ...]
    """Standard deviations of the inputs that were compared."""
    input_shapes: Mapping[str, Shape]
    instead_of_caffe: str = ""
    """Why another engine than Caffe ran them."""
    outputs_vary: bool = True
    """Whether any output differed from one input to the other: else nothing was compared but constants."""
    inputs_made_smaller: bool = False
    """Whether the file's own input would have taken too much memory."""

    def describe(self, other: str) -> str:
        """One line for people; `other` is what the result was compared with."""
        how = self.engine
        if self.instead_of_caffe:
            how += f"; {self.instead_of_caffe}"
        if self.inputs_made_smaller:
            shapes = ", ".join(f"{name}={dims(shape)}" for name, shape in self.input_shapes.items())
            how += f"; at {shapes}, as the file's own input takes too much memory"
        return f"Proof ({how}): the largest difference from {other} is {self.largest_difference:.2g}"


def run_both(network: Runnable, weights: Net, choice: Choice, made: Callable[[Blobs], Blobs], source: object) -> Proof:
    """Run a network and `made`, which gives the same outputs, on random inputs of each of SCALES.

    Saturated gates and deep sums can make of one rounding in the input more than TOLERANCE in the output. If an output
    of the two differs by more, the network is run again with its input changed in the last bit; if that alone moves the
    output about as far, it proves nothing on this input, and is left out. Raises InputError (naming `source`) if an
    output is left out on every input, or is not finite, or of another shape.
    """
    outputs, engine = network.outputs, ENGINES[choice.engine]
    generator = np.random.default_rng(0)
    differences: dict[str, dict[float, float]] = {name: {} for name in outputs}
    runs = []
    for scale in SCALES:
        inputs = {
            name: (generator.standard_normal(shape) * scale).astype(np.float32)
            for name, shape in network.inputs.items()
        }
        original = engine(network, weights, inputs, outputs)
        runs.append(original)
        found = {name: _difference(original[name], other, name, source) for name, other in made(inputs).items()}
        moved: dict[str, float] = {}
        if max(found.values(), default=0) > TOLERANCE:
            nudged = {name: np.nextafter(values, np.float32(np.inf)) for name, values in inputs.items()}
            again = engine(network, weights, nudged, outputs)
            moved = {name: _difference(original[name], again[name], name, source) for name in outputs}
        for name, difference in found.items():
            if difference <= TOLERANCE or moved[name] <= TOLERANCE / ROUNDING_MARGIN:
                differences[name][scale] = difference
    for name, each in differences.items():
        if not each:
            raise InputError(
                f"{source}: the network turns rounding of its input into differences of {TOLERANCE:g} and more in "
                f"output '{name}', so that running it proves nothing; are the weights trained? --no-proof does without"
            )
    vary = any(not np.array_equal(runs[0][name], run[name]) for run in runs[1:] for name in outputs)
    largest = max((value for each in differences.values() for value in each.values()), default=0.0)
    scales = tuple(scale for scale in SCALES if any(scale in each for each in differences.values()))
    return Proof(choice.engine, largest, outputs, scales, network.inputs, choice.instead_of_caffe, vary)


def _difference(one: NDArray[np.float32], other: NDArray[np.float32], name: str, source: object) -> float:
    """The largest of an output, relative to its largest value."""
    if not np.isfinite(one).all():
        raise InputError(f"{source}: output '{name}' is not finite on random input: are the weights trained?")
    if one.shape != other.shape:
        raise InputError(f"{source}: output '{name}' has become {other.shape}, and was {one.shape}")
    scale = max(FLOOR, float(np.abs(one).max(initial=0)))
    difference = float(np.abs(one.astype(np.float64) - other).max(initial=0)) / scale
    return np.inf if np.isnan(difference) else difference

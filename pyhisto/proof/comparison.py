"""Running a network, and what was made of it, on the same random inputs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyhisto.errors import InputError
from pyhisto.proof.engines import ENGINES, Blobs, EngineName, outputs_of
from pyhisto.proto import Net

TOLERANCE = 1e-4
"""The largest difference, relative to the largest output where that is above 1."""

SCALES = (1.0, 50.0)
"""Standard deviations of the random inputs: one as after normalisation, one as of pixels with the mean subtracted."""

ROUNDING_MARGIN = 10
"""How many times more the two networks, which sum in different orders, may round than a last bit of the input does."""


@dataclass(frozen=True)
class Proof:
    """What was compared, and how far apart the two were."""

    engine: str
    largest_difference: float
    """Over all outputs and inputs; of an output whose values exceed 1, relative to its largest."""
    outputs: tuple[str, ...]
    input_scales: tuple[float, ...]
    """Standard deviations of the inputs that were compared."""


def run_both(net: Net, weights: Net, engine: EngineName, made: Callable[[Blobs], Blobs], source: object) -> Proof:
    """Run a network (`engines.runnable`) and `made`, which gives the same outputs, on random inputs of each of SCALES.

    Saturated gates and deep sums can make of one rounding in the input more than `TOLERANCE` in the output. Where the
    two differ by more, the network is run again with its input changed in the last bit; inputs on which that alone
    moves the outputs about as far prove nothing, and are left out. Raises InputError (naming `source`) where none is
    left, or the network's outputs are not finite, or the other's are of other shapes.
    """
    outputs = outputs_of(net)
    generator = np.random.default_rng(0)
    shapes = {layer.top[0]: tuple(layer.input_param.shape[0].dim) for layer in net.layer if layer.type == "Input"}
    differences = {}
    for scale in SCALES:
        inputs = {name: (generator.standard_normal(shape) * scale).astype(np.float32) for name, shape in shapes.items()}
        original = ENGINES[engine](net, weights, inputs, outputs)
        difference = _difference(original, made(inputs), source)
        if difference > TOLERANCE:
            nudged = {name: np.nextafter(values, np.float32(np.inf)) for name, values in inputs.items()}
            moved = _difference(original, ENGINES[engine](net, weights, nudged, outputs), source)
            if moved > TOLERANCE / ROUNDING_MARGIN:
                continue
        differences[scale] = difference
    if not differences:
        raise InputError(
            f"{source}: the network turns rounding of its input into differences of {TOLERANCE:g} and more, so that "
            "running it proves nothing; are the weights trained? --no-proof does without"
        )
    return Proof(engine, max(differences.values()), outputs, tuple(differences))


def _difference(original: Blobs, made: Blobs, source: object) -> float:
    """The largest over all outputs; relative to an output's largest value where that is above 1."""
    largest = 0.0
    for name, one in original.items():
        other = made[name]
        if not np.isfinite(one).all():
            raise InputError(f"{source}: output '{name}' is not finite on random input: are the weights trained?")
        if one.shape != other.shape:
            raise InputError(f"{source}: output '{name}' has become {other.shape}, and was {one.shape}")
        difference = float(np.abs(one - other).max(initial=0)) / max(1.0, float(np.abs(one).max(initial=0)))
        largest = max(largest, np.inf if np.isnan(difference) else difference)
    return largest

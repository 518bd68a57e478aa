"""Running a network, and what was made of it, on the same random inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.graph import Shape
from pyhisto.graph.types import dims
from pyhisto.proof.engines import PROOF_ENGINES, Blobs, EngineChoice
from pyhisto.proof.runnable import Runnable
from pyhisto.proto import Net

TOLERANCE = 1e-4
"""The largest difference in an output, relative to its largest value."""

FLOOR = 2.0**-100
"""A largest value below it counts as this one. Float32 has all its digits down to 2^-126: an output below 2^-100 has
terms that lack some, and one that is zero has no scale at all."""

SCALES = (1.0, 50.0)
"""Standard deviations of the noise: one as after normalisation, one as of pixels with the mean subtracted."""

MEAN, SCALE = 117.0, 1.0
"""Of what a network reads, if its files do not say: pixels with about the mean of photographs subtracted."""

IMAGE = "a smooth image"
"""The name of the input that looks like one."""

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
    smooth_image: bool = False
    """Whether an input that looks like an image was compared, too."""
    not_covered: tuple[str, ...] = ()
    """The layers that no engine ran: what they read was compared, and what they make was made up."""

    def describe(self, other: str) -> str:
        """One line for people; `other` is what the result was compared with."""
        how = self.engine
        if self.instead_of_caffe:
            how += f"; {self.instead_of_caffe}"
        if self.inputs_made_smaller:
            shapes = ", ".join(f"{name}={dims(shape)}" for name, shape in self.input_shapes.items())
            how += f"; at {shapes}, as the file's own input takes too much memory"
        found = f"Proof ({how}): the largest difference from {other} is {self.largest_difference:.2g}"
        if not self.not_covered:
            return found
        return f"{found}. No engine runs, and the proof does not cover: {', '.join(self.not_covered)}"


@dataclass(frozen=True)
class Setting:
    """How two networks are compared."""

    mean: Sequence[float] = (MEAN,)
    """What is subtracted from images, for each of their channels or for all."""
    scale: float = SCALE
    """What images are multiplied by then."""
    kept: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    """Input or output of the first network -> which channels the second has. The others of an input are zero."""
    noise: frozenset[str] = frozenset()
    """Inputs that are no images."""


def run_both(
    network: Runnable, weights: Net, choice: EngineChoice, made: Callable[[Blobs], Blobs], source: object,
    setting: Setting | None = None,
) -> Proof:  # fmt: skip
    """Run a network and `made`, which gives the same outputs, on noise of each of SCALES, and on a smooth image.

    Saturated gates and deep sums can make of one rounding in the input more than TOLERANCE in the output. If an output
    of the two differs by more, the network is run again with its input changed in the last bit; if that alone moves an
    output about as far, this input proves nothing of the outputs that differ, and they are left out. Raises InputError
    (naming `source`) if an output is left out on every input, or is not finite, or of another shape.
    """
    outputs, engine, setting = network.outputs, PROOF_ENGINES[choice.engine], setting or Setting()
    generator = np.random.default_rng(0)
    differences: dict[str, dict[float | str, float]] = {name: {} for name in outputs}
    runs = []
    for kind in (*SCALES, IMAGE):
        inputs = {name: _input(generator, kind, name, shape, setting) for name, shape in network.inputs.items()}
        original = _kept(engine(network, weights, inputs, outputs), setting)
        runs.append(original)
        found = {
            name: _difference(original[name], other, name, source)
            for name, other in made(_kept(inputs, setting)).items()
        }
        moved: dict[str, float] = {}
        if max(found.values(), default=0) > TOLERANCE:
            nudged = {name: np.nextafter(values, np.float32(np.inf)) for name, values in inputs.items()}
            again = _kept(engine(network, weights, nudged, outputs), setting)
            moved = {name: _difference(original[name], again[name], name, source) for name in outputs}
        # If one output is moved, so is what is made of it: a saturated Softmax shows the rounding now and then only.
        rounds = max(moved.values(), default=0.0) > TOLERANCE / ROUNDING_MARGIN
        for name, difference in found.items():
            if difference <= TOLERANCE or not rounds:
                differences[name][kind] = difference
    for name, each in differences.items():
        if not each:
            raise InputError(
                f"{source}: the network turns rounding of its input into differences of {TOLERANCE:g} and more in "
                f"output '{name}', so that running it proves nothing; are the weights trained? --no-proof does without"
            )
    vary = any(not np.array_equal(runs[0][name], run[name]) for run in runs[1:] for name in outputs)
    largest = max((value for each in differences.values() for value in each.values()), default=0.0)
    compared = {kind for each in differences.values() for kind in each}
    scales = tuple(scale for scale in SCALES if scale in compared)
    return Proof(
        choice.engine, largest, outputs, scales, network.inputs, choice.instead_of_caffe, vary,
        smooth_image=IMAGE in compared,
    )  # fmt: skip


def _input(
    generator: np.random.Generator, kind: float | str, name: str, shape: Shape, setting: Setting
) -> NDArray[np.float32]:
    if kind == IMAGE and len(shape) == 4 and name not in setting.noise:
        mean = np.resize(np.array(setting.mean), shape[1])[:, None, None]
        values = ((smooth_image(generator, shape) - mean) * setting.scale).astype(np.float32)
    else:
        deviation = kind if isinstance(kind, float) else 1.0
        values = (generator.standard_normal(shape) * deviation).astype(np.float32)
    if name in setting.kept:
        values[:, ~setting.kept[name]] = 0
    return values


def smooth_image(generator: np.random.Generator, shape: Shape) -> NDArray[np.float64]:
    """Random fields of N x C x H x W between 0 and 255, without detail, whose channels resemble one another."""
    batch, channels, height, width = shape
    down, across = (np.linspace(0, 1, side)[:, None] for side in (height, width))
    waves = 6
    frequency = generator.uniform(-3, 3, (2, batch, waves))
    phase = generator.uniform(0, 2 * np.pi, (batch, 1, waves)) + generator.normal(0, 0.3, (batch, channels, waves))
    field = np.zeros(shape)
    for wave in range(waves):  # cos(a + b) = cos a cos b - sin a sin b, so that no wave is computed pixel by pixel
        rows = 2 * np.pi * frequency[0, :, None, None, wave] * down[:, 0] + phase[:, :, None, wave]
        columns = 2 * np.pi * frequency[1, :, None, None, wave] * across[:, 0]
        columns = np.broadcast_to(columns, (batch, channels, width))
        field += np.cos(rows)[..., None] * np.cos(columns)[..., None, :]
        field -= np.sin(rows)[..., None] * np.sin(columns)[..., None, :]
    low, high = field.min(axis=(2, 3), keepdims=True), field.max(axis=(2, 3), keepdims=True)
    return np.asarray((field - low) / np.maximum(high - low, 1e-9) * 255)


def _kept(blobs: Blobs, setting: Setting) -> dict[str, NDArray[np.float32]]:
    return {
        name: np.compress(setting.kept[name], values, axis=1) if name in setting.kept else values
        for name, values in blobs.items()
    }


def _difference(one: NDArray[np.float32], other: NDArray[np.float32], name: str, source: object) -> float:
    """The largest of an output, relative to its largest value."""
    if not np.isfinite(one).all():
        raise InputError(f"{source}: output '{name}' is not finite on random input: are the weights trained?")
    if one.shape != other.shape:
        raise InputError(f"{source}: output '{name}' has become {other.shape}, and was {one.shape}")
    scale = max(FLOOR, float(np.abs(one).max(initial=0)))
    difference = float(np.abs(one.astype(np.float64) - other).max(initial=0)) / scale
    return np.inf if np.isnan(difference) else difference

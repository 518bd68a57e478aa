"""Dynamic Network Surgery, [25] (Guo et al. 2016), on Caffe's stock layers.

Beside the dense weights W of each layer lies a mask T. Forward and backward passes run on W*T; the gradient with
respect to W*T is applied to W, all of it, so that a weight that was cut goes on learning and may return. Weight decay
and momentum, being the solver's, act on W too. Biases, Scale and BatchNorm are left alone.

With t = max(mu + c_rate * sigma, 0), mu and sigma being those of |W| in the layer at the start,

    T: 1 -> 0 if |W| <= 0.9 t,    0 -> 1 if |W| > 1.1 t,    else as it is,

with probability (1 + gamma * iteration)^-power in each iteration before iter_stop. T starts as ones, and the first
iteration always updates it.

A wanted sparsity S gives each layer the t whose first update cuts S of its weights: 0.9 t is the S-quantile of |W|
(so c_rate is solved for layer by layer, and no layer is cut whole). Later updates may move the share: weights grow
back over 1.1 t, or decay below 0.9 t. What it came to is counted, not promised.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pyhisto.errors import InputError
from pyhisto.files import whole_file
from pyhisto.pycaffe import CaffeNet

WeightMask: TypeAlias = NDArray[np.bool_]

CUT, SPLICE = 0.9, 1.1
"""Between these multiples of t a mask stays as it is."""

LAYERS = ("Convolution", "InnerProduct")


@dataclass(frozen=True)
class SurgerySettings:
    """Either `sparsity` or `c_rate` is given. `layers`: names; empty means every convolution and inner product."""

    iter_stop: int
    sparsity: float | None = None
    c_rate: float | None = None
    gamma: float = 0.001
    power: float = 1.0
    seed: int = 0
    layers: tuple[str, ...] = ()


def threshold(weights: NDArray[np.floating], settings: SurgerySettings) -> float:
    """t of a layer's initial weights (any shape)."""
    sizes = np.abs(weights.astype(np.float64)).ravel()
    if settings.sparsity is None:
        assert settings.c_rate is not None
        return float(max(sizes.mean() + settings.c_rate * sizes.std(), 0.0))
    cut = int(settings.sparsity * sizes.size)  # below size: no layer is cut whole
    return float(np.partition(sizes, cut - 1)[cut - 1] / CUT) if cut else 0.0


def update_mask(mask: WeightMask, weights: NDArray[np.float32], t: float) -> WeightMask:
    """The mask after one update; see above."""
    sizes = np.abs(weights)
    return (mask & (sizes > np.float32(CUT * t))) | (sizes > np.float32(SPLICE * t))


class DynamicNetworkSurgery:
    """The method, as `pyhisto.training.solver_loop.train` calls it; between two iterations the net holds dense W."""

    name = "dns"

    def __init__(self, settings: SurgerySettings) -> None:
        self._settings = settings
        self._network = ""
        self._names: list[str] = []
        self._dense: dict[str, NDArray[np.float32]] = {}
        self.masks: dict[str, WeightMask] = {}
        self.thresholds: dict[str, float] = {}

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that decides the result."""
        return asdict(self._settings)

    def configure(self, solver: Any, path: Path) -> None:
        """The solver's settings stay as they are."""

    def rate(self, iteration: int) -> float | None:
        """The learning rate is the solver's."""
        return None

    def attach(self, net: CaffeNet, solver: Any) -> None:
        """Find the layers. Raises InputError if one is asked for that has no such weights, or there is none."""
        self._network = solver.net or solver.train_net or "the solver's network"
        types = dict(zip(net._layer_names, (layer.type for layer in net.layers), strict=True))
        found, seen = [], set()
        for name, blobs in net.params.items():
            address = blobs[0].data.ctypes.data  # layers that share one blob: it must be masked once
            if types[name] in LAYERS and address not in seen:
                seen.add(address)
                found.append(name)
        if unknown := [name for name in self._settings.layers if name not in found]:
            raise InputError(
                f"{self._network}: layer '{unknown[0]}' is no convolution or inner product with own weights"
            )
        self._names = [name for name in found if not self._settings.layers or name in self._settings.layers]
        if not self._names:
            raise InputError(f"{self._network}: has no convolution or inner product whose weights could be cut")

    def begin(self, net: CaffeNet) -> None:
        """Take the thresholds from the weights. Raises InputError if one would cut a whole layer."""
        for name, weights in self._weights(net):
            self.thresholds[name] = t = threshold(weights, self._settings)
            self.masks[name] = np.ones(weights.shape, bool)
            if not update_mask(self.masks[name], weights, t).any():
                raise InputError(
                    f"{self._network}: layer '{name}' would be cut whole: its weights are alike, or c_rate is too high"
                )

    def load(self, net: CaffeNet, path: Path) -> None:
        """Read masks and thresholds. Raises InputError if they are not of this network."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                thresholds = stored["thresholds"]
                for (name, weights), t in zip(self._weights(net), thresholds, strict=True):
                    bits = np.unpackbits(stored[f"mask/{name}"], count=weights.size)
                    self.masks[name] = bits.astype(bool).reshape(weights.shape)
                    self.thresholds[name] = float(t)
        except Exception as error:  # a damaged zip file raises anything
            raise InputError(
                f"{path}: not the masks of this network, or damaged ({type(error).__name__}); --restart begins anew"
            ) from None

    def save(self, path: Path) -> None:
        """Write masks (a bit a weight) and thresholds."""
        arrays: dict[str, Any] = {f"mask/{name}": np.packbits(self.masks[name]) for name in self._names}
        thresholds = np.array([self.thresholds[name] for name in self._names])
        with whole_file(path) as partial, open(partial, "wb") as file:
            np.savez(file, thresholds=thresholds, **arrays)

    def on_start(self, net: CaffeNet, iteration: int) -> None:
        """Perhaps update T; put W*T in place of W."""
        if iteration < self._settings.iter_stop and self._draws(iteration):
            for name, weights in self._weights(net):
                self.masks[name] = update_mask(self.masks[name], weights, self.thresholds[name])
        self._mask(net)

    def on_gradients_ready(self, net: CaffeNet) -> None:
        """Put W back: the solver updates it with the gradient at W*T."""
        for name, weights in self._weights(net):
            weights[...] = self._dense[name]

    @contextmanager
    def deployed(self, net: CaffeNet) -> Iterator[None]:
        """While it lasts, the net holds W*T."""
        self._mask(net)
        try:
            yield
        finally:
            self.on_gradients_ready(net)

    def status(self, net: CaffeNet) -> str:
        """The share of weights that is kept."""
        numbers = self.summary()
        return f"{numbers['kept'] / numbers['weights']:.1%} of {numbers['weights']:,} weights kept"

    def summary(self) -> dict[str, Any]:
        """Weights, and weights kept, in total and by layer with its threshold t; as JSON."""
        layers = {
            name: {"weights": mask.size, "kept": int(mask.sum()), "threshold": self.thresholds[name]}
            for name, mask in self.masks.items()
        }
        return {
            "weights": sum(layer["weights"] for layer in layers.values()),
            "kept": sum(layer["kept"] for layer in layers.values()),
            "layers": layers,
        }

    def _draws(self, iteration: int) -> bool:
        """Whether T is updated: by seed and iteration alone, so that a resumed run draws the same."""
        draw = np.random.default_rng((self._settings.seed, iteration)).random()
        return bool(draw < (1 + self._settings.gamma * iteration) ** -self._settings.power)

    def _mask(self, net: CaffeNet) -> None:
        for name, weights in self._weights(net):
            self._dense[name] = weights.copy()
            weights[~self.masks[name]] = 0  # and not times 0, which would make -0 of the negative ones

    def _weights(self, net: CaffeNet) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for name in self._names:
            yield name, net.params[name][0].data

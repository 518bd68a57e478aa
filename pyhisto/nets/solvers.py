"""Solver settings."""

from dataclasses import dataclass
from typing import Any, Literal

from pyhisto.proto import SolverParameter


@dataclass(frozen=True)
class SolverSettings:
    """SGD with momentum. How often to test, display and snapshot is nobody's publication, and has defaults here."""

    base_lr: float
    stepsize: int
    """Iterations after which the rate is multiplied by gamma; 0: it stays as it is."""
    gamma: float
    momentum: float
    weight_decay: float
    max_iter: int
    test_interval: int = 1000
    display: int = 100
    snapshot: int = 2000
    random_seed: int | None = None
    solver_mode: Literal["CPU", "GPU"] = "GPU"

    def message(self, net: str, snapshot_prefix: str, test_iter: int) -> Any:
        """The SolverParameter for the network file `net`; `test_iter` batches make one pass over the validation set."""
        rate: dict[str, Any] = {"lr_policy": "fixed"}
        if self.stepsize:
            rate = {"lr_policy": "step", "stepsize": self.stepsize, "gamma": self.gamma}
        solver = SolverParameter(
            net=net, test_iter=[test_iter], test_interval=self.test_interval, base_lr=self.base_lr, **rate,
            momentum=self.momentum, weight_decay=self.weight_decay, max_iter=self.max_iter, display=self.display,
            snapshot=self.snapshot, snapshot_prefix=snapshot_prefix, solver_mode=self.solver_mode, type="SGD",
        )  # fmt: skip
        if self.random_seed is not None:
            solver.random_seed = self.random_seed
        return solver


ZHU_2019 = SolverSettings(base_lr=0.0004, stepsize=10000, gamma=0.1, momentum=0.9, weight_decay=0.009, max_iter=40000)
"""Zhu et al. 2019, "Implementation details", with batches of 10.

The paper says that the rate "decreases exponentially every 10000 iterations" and prints no factor: gamma 0.1 is Caffe's
customary one, and ours.
"""


@dataclass(frozen=True)
class FirstTestLater(SolverSettings):
    """A solver that does not test before it trains.

    BatchNorm without statistics yet divides by the root of eps: by 0.003, where eps is 1e-5. Fifty layers of that are
    infinite, and the loss not a number.
    """

    def message(self, net: str, snapshot_prefix: str, test_iter: int) -> Any:
        """See SolverSettings."""
        solver = super().message(net, snapshot_prefix, test_iter)
        solver.test_initialization = False
        return solver


KONE_2018 = FirstTestLater(
    base_lr=0.01, stepsize=0, gamma=0.1, momentum=0.9, weight_decay=0.0001, max_iter=1800,
    test_interval=30, display=10, snapshot=300,
)  # fmt: skip
"""Kone & Boulmane 2018, with batches of 10: 60 epochs of 300 images, tested after each.

Their finder finds the rate, and their schedule (SGDR) changes it; neither rate nor momentum nor decay is printed:
customary ones here.
"""

SPANHOL_2016 = SolverSettings(base_lr=0.001, stepsize=4000, gamma=0.1, momentum=0.9, weight_decay=0.004, max_iter=5000)
"""cifar10_quick's, with batches of 100: 4000 iterations, then 1000 at a tenth of the rate. What ref. [11] trained with
is not repeated by Zhu et al."""

BAYRAMOGLU_2016 = SolverSettings(
    base_lr=0.0003, stepsize=10000, gamma=0.1, momentum=0.9, weight_decay=0.0005, max_iter=30000
)
"""Customary for a network of this kind (AlexNet's decay), with batches of 50: what ref. [17] trained with is not
repeated by Zhu et al."""

"""Solver settings."""

from dataclasses import dataclass
from typing import Any, Literal

from pyhisto.proto import SolverParameter


@dataclass(frozen=True)
class PaperSolver:
    """Zhu et al. 2019, "Implementation details": SGD, batch 10, and the defaults below.

    The paper says that the rate "decreases exponentially every 10000 iterations" and prints no factor: gamma 0.1 is
    Caffe's customary one, and ours. How often to test, display and snapshot is not the paper's either.
    """

    base_lr: float = 0.0004
    stepsize: int = 10000
    gamma: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.009
    max_iter: int = 40000
    test_interval: int = 1000
    display: int = 100
    snapshot: int = 2000
    random_seed: int | None = None
    solver_mode: Literal["CPU", "GPU"] = "GPU"

    def message(self, net: str, snapshot_prefix: str, test_iter: int) -> Any:
        """The SolverParameter for the network file `net`; `test_iter` batches make one pass over the validation set."""
        solver = SolverParameter(
            net=net, test_iter=[test_iter], test_interval=self.test_interval, base_lr=self.base_lr, lr_policy="step",
            stepsize=self.stepsize, gamma=self.gamma, momentum=self.momentum, weight_decay=self.weight_decay,
            max_iter=self.max_iter, display=self.display, snapshot=self.snapshot, snapshot_prefix=snapshot_prefix,
            solver_mode=self.solver_mode, type="SGD",
        )  # fmt: skip
        if self.random_seed is not None:
            solver.random_seed = self.random_seed
        return solver

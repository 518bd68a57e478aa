"""A network's folder: train_val, deploy, statistics and solver as prototxt text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pyhisto.errors import InputError
from pyhisto.files import read_json
from pyhisto.lmdb_folder import count_records
from pyhisto.nets.solvers import Solver
from pyhisto.proto import Net, to_text

MAX_TEST_BATCH = 50


@dataclass(frozen=True)
class LmdbFolder:
    """What a network needs to know of the LMDB that it is trained on. The folder need not exist yet."""

    source: str

    def mean(self) -> tuple[float, float, float] | None:
        """The mean of the B, G and R channels from preprocessing.json; None where there is no such file."""
        path = Path(self.source) / "preprocessing.json"
        if not path.exists():
            return None
        try:
            mean = [float(value) for value in read_json(path)["mean"]]
        except (ValueError, KeyError, TypeError, OverflowError):
            raise InputError(f"{path}: holds no mean per channel; build the LMDB again") from None
        if len(mean) != 3 or not all(map(math.isfinite, mean)):
            raise InputError(f"{path}: the mean must be three numbers (B, G, R)")
        return cast(tuple[float, float, float], tuple(mean))

    def records(self, default: int) -> int:
        """How many records it holds; `default` where it does not exist yet."""
        if not (Path(self.source) / "data.mdb").exists():
            return default
        return count_records(Path(self.source))

    def even_batch_size(self, default: int) -> int:
        """The largest batch size up to MAX_TEST_BATCH that divides the records, so that a test pass sees each once.

        `default` where the folder does not exist yet, or where only tiny batches would divide it.
        """
        records = self.records(default=0)
        divisors = [size for size in range(default, MAX_TEST_BATCH + 1) if records and records % size == 0]
        return max(divisors, default=default)


def network_files(
    folder: Path, networks: Mapping[str, Net], solver: Solver, test_iter: int, command: str, note: str = ""
) -> dict[str, str]:
    """File name -> text. `command` is what makes these files again; it stands at the head of each.

    `note` stands below it in the solver.
    """
    head = f"# Generated: {command}\n"
    files = {f"{name}.prototxt": head + to_text(net) for name, net in networks.items()}
    message = solver.message(str(folder / "train_val.prototxt"), str(folder / "snapshot"), test_iter)
    files["solver.prototxt"] = head + (f"# {note}\n" if note else "") + to_text(message)
    return files

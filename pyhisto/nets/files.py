"""A network's folder: train_val, deploy, statistics and solver as prototxt text."""

from collections.abc import Mapping
from pathlib import Path

from pyhisto.nets.solvers import SolverSettings
from pyhisto.proto import Net, to_text

MAX_TEST_BATCH = 50


def even_batch_size(records: int, default: int) -> int:
    """The largest batch size up to MAX_TEST_BATCH that divides the records, so that a test pass sees each once.

    `default` if there are no records yet, or only tiny batches would divide them.
    """
    divisors = [size for size in range(default, MAX_TEST_BATCH + 1) if records and records % size == 0]
    return max(divisors, default=default)


def network_files(
    folder: Path, networks: Mapping[str, Net], solver: SolverSettings, test_iter: int, command: str, note: str = ""
) -> dict[str, str]:
    """File name -> text. `command` is what makes these files again; it stands at the head of each.

    `note` stands below it in the solver.
    """
    head = f"# Generated: {command}\n"
    files = {f"{name}.prototxt": head + to_text(net) for name, net in networks.items()}
    message = solver.message(str(folder / "train_val.prototxt"), str(folder / "snapshot"), test_iter)
    files["solver.prototxt"] = head + (f"# {note}\n" if note else "") + to_text(message)
    return files

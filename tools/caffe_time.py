#!/usr/bin/env python3
"""Time networks with `caffe time`, in turns; write medians, and how busy the machine was, as JSON."""

import json
import os
from pathlib import Path

from pyhisto.cli import Parser, positive, run
from pyhisto.errors import InputError
from pyhisto.files import write_text
from pyhisto.graph import Graph
from pyhisto.proto import read_net
from pyhisto.training.timing import Rounds, time_in_turns


def main() -> None:
    """Parse, time, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", type=Path, nargs="+", required=True, metavar="F", help="deploy.prototxt")
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="default %(default)s")
    parser.add_argument("--iterations", type=positive, default=10, metavar="N", help="a round; default %(default)s")
    parser.add_argument("--out", type=Path, nargs="+", required=True, metavar="time.json", help="one for each network")
    arguments = parser.parse_args()
    if len(arguments.out) != len(arguments.model):
        raise InputError(f"--out names {len(arguments.out)} files, --model {len(arguments.model)}: give one for each")
    models = [(model, _batch(model)) for model in arguments.model]
    measured, others = time_in_turns(models, arguments.rounds, arguments.iterations)
    for (model, _), own, path in zip(models, measured, arguments.out, strict=True):
        write_text(path, json.dumps(_content(own, arguments.iterations, others), indent=1) + "\n")
        timing = own.median
        print(
            f"{model}: forward {timing.forward_ms:.2f} ms, backward {timing.backward_ms:.2f} ms, "
            f"a batch of {timing.batch}"
        )


def _batch(model: Path) -> int:
    shape = Graph.build(read_net(model, lenient=True), source=model).inputs[0].shape
    return shape[0] if shape else 1


def _content(own: Rounds, iterations: int, others: float | None) -> dict[str, object]:
    timing = own.median
    return {
        "forward_ms": timing.forward_ms,
        "backward_ms": timing.backward_ms,
        "batch": timing.batch,
        "iterations": iterations,
        "forward_ms_rounds": [each.forward_ms for each in own.timings],
        "cores": os.cpu_count(),
        "cores_used_by_others": others,
        "layers": [{"name": name, "forward_ms": ahead, "backward_ms": back} for name, ahead, back in timing.layers],
    }


if __name__ == "__main__":
    run(main)

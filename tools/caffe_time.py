#!/usr/bin/env python3
"""Time a network with `caffe time`, and write what comes out as JSON."""

import json
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.files import write_text
from pyhisto.graph import Graph
from pyhisto.proto import read_net
from pyhisto.training.timing import caffe_time


def main() -> None:
    """Parse, time, write."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="deploy.prototxt")
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True, metavar="time.json")
    arguments = parser.parse_args()
    shape = Graph.build(read_net(arguments.model), source=arguments.model).inputs[0].shape
    timing = caffe_time(arguments.model, shape[0] if shape else 1, arguments.iterations)
    content = {
        "forward_ms": timing.forward_ms,
        "backward_ms": timing.backward_ms,
        "batch": timing.batch,
        "iterations": arguments.iterations,
        "layers": [{"name": name, "forward_ms": ahead, "backward_ms": back} for name, ahead, back in timing.layers],
    }
    write_text(arguments.out, json.dumps(content, indent=1) + "\n")
    print(f"forward {timing.forward_ms:.2f} ms, backward {timing.backward_ms:.2f} ms, a batch of {timing.batch}")


if __name__ == "__main__":
    run(main)

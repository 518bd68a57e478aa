#!/usr/bin/env python3
"""Count a network's weights, FLOPs and activation memory, per layer and in total."""

import json
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.cost import as_json, as_table, layer_costs
from pyhisto.graph import Graph
from pyhisto.proto import read_net


def main() -> None:
    """Parse, count, print."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PROTOTXT", help="the network, best its deploy file"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    arguments = parser.parse_args()
    graph = Graph.build(read_net(arguments.model), data_root=Path(), source=arguments.model)
    costs = layer_costs(graph)
    if arguments.json:
        print(json.dumps(as_json(costs), indent=1))
    else:
        print(*as_table(costs), sep="\n")


if __name__ == "__main__":
    run(main)

#!/usr/bin/env python3
"""Count a network's weights, FLOPs and activation memory, per layer and in total, and a caffemodel's bytes on disk."""

import json
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.cost import as_json, as_table, layer_costs
from pyhisto.graph import Graph
from pyhisto.proto import read_net, read_weights
from pyhisto.pruning.sparse import encode


def main() -> None:
    """Parse, count, print."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PROTOTXT", help="the network, best its deploy file"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="F", help="caffemodel: its bytes too, and as sparse weights (see tools/dns.py)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")
    arguments = parser.parse_args()
    graph = Graph.build(read_net(arguments.model, lenient=True), data_root=Path(), source=arguments.model)
    costs = layer_costs(graph)
    sizes = _sizes(arguments.weights) if arguments.weights else {}
    if arguments.json:
        print(json.dumps(as_json(costs) | sizes, indent=1))
    else:
        print(*as_table(costs), sep="\n")
        if sizes:
            print(f"{sizes['caffemodel_bytes']:,} bytes as caffemodel, {sizes['sparse_bytes']:,} as sparse weights")


def _sizes(caffemodel: Path) -> dict[str, int]:
    """On disk: as it is, and as sparse weights, which is what networks with and without cut weights compare by."""
    weights = read_weights(caffemodel)
    return {"caffemodel_bytes": caffemodel.stat().st_size, "sparse_bytes": len(encode(weights))}


if __name__ == "__main__":
    run(main)

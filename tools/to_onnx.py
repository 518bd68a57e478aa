#!/usr/bin/env python3
"""Write a Caffe network and its weights as one ONNX model, with proof that it computes the same.

The number of images stays open. Inputs and outputs keep their names; images are prepared for it as for Caffe.
"""

import argparse
from pathlib import Path

from pyhisto.cli import Parser, run
from pyhisto.files import sha256
from pyhisto.graph import Graph
from pyhisto.lenient import unknown_fields
from pyhisto.onnx.export import export, write_model
from pyhisto.onnx.proof import prove
from pyhisto.proof.demand import demand
from pyhisto.proto import NetParameter, read_net, read_weights
from pyhisto.prototext import Document


def main() -> None:
    """Parse, export, prove, write."""
    arguments = parse()
    document = Document.read(arguments.model)
    for unknown in unknown_fields(document, NetParameter.DESCRIPTOR):
        print(f"Not in the model: {arguments.model}:{unknown.line}: {unknown.path}")
    graph = Graph.build(read_net(arguments.model, lenient=True), source=arguments.model)
    weights = read_weights(arguments.weights)
    properties = {
        f"{name}_sha256": sha256(path) for name, path in vars(arguments).items() if name in ("model", "weights")
    }
    exported = export(graph, weights, arguments.weights, properties, document)
    if arguments.proof:
        proof = demand(lambda: prove(exported, weights, arguments.model), arguments.model)
        print(proof.describe("the network"))
    else:
        print("No proof was asked for")
    write_model(arguments.out, exported.model)
    print(arguments.out)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="F", help="deploy.prototxt")
    parser.add_argument("--weights", type=Path, required=True, metavar="F", help="its caffemodel")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="ONNX file to write")
    parser.add_argument("--no-proof", dest="proof", action="store_false", help="write without running the network")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)

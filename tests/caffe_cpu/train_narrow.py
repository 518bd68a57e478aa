"""The narrow network trained for some iterations on made-up images of two kinds: `train_narrow.py SEED ITERATIONS`.

Prints the losses as JSON. Seeds give other weights and another order of the images, which stay the same.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")
import caffe

from pyhisto.nets.inception_sep import InceptionSEP
from pyhisto.proto import NetParameter, to_text

BATCH, SIDE = 8, 64


def main() -> None:
    seed, iterations = map(int, sys.argv[1:])
    net = InceptionSEP("paper", "native", width=0.25, input_size=SIDE).train_val("", "", BATCH, BATCH)
    own = NetParameter(name=net.name)
    for name, shape in (("data", (BATCH, 3, SIDE, SIDE)), ("label", (BATCH,))):
        own.layer.add(name=name, type="Input", top=[name]).input_param.shape.add(dim=shape)
    own.layer.extend(layer for layer in net.layer if layer.type not in ("Data", "Accuracy"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "net.prototxt").write_text(to_text(own))
        solver_file = Path(folder, "solver.prototxt")
        solver_file.write_text(
            f'net: "{folder}/net.prototxt" base_lr: 0.002 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.009 '
            f'display: 0 random_seed: {seed} snapshot_prefix: "{folder}/net" snapshot_after_train: false'
        )
        solver = caffe.get_solver(str(solver_file))
    images = np.random.default_rng(0).normal(0, 50, (64, 3, SIDE, SIDE))
    labels = np.arange(64) % 2
    images[labels == 1, :, ::2] += 25  # lines
    order, losses = np.random.default_rng(seed), []
    for _ in range(iterations):
        chosen = order.choice(64, BATCH, replace=False)
        solver.net.blobs["data"].data[...] = images[chosen]
        solver.net.blobs["label"].data[...] = labels[chosen]
        solver.step(1)
        losses.append(float(solver.net.blobs[solver.net.outputs[0]].data))
    print(json.dumps(losses))


if __name__ == "__main__":
    main()

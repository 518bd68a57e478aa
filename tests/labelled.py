"""A network of three layers with a labelled LMDB of noise, for programs that run a training network over records."""

from pathlib import Path

import lmdb
import numpy as np

from pyhisto.graph import Graph
from pyhisto.proto import Datum, read_net, write_weights
from tests.networks import random_weights

RECORDS, BATCH, SIDE = 23, 5, 8
MEAN, FACTOR = 100, 0.02
"""What the network's input is: (pixel - MEAN) x FACTOR."""

BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 1 } }
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 2 } }
"""
DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ scale: {factor} mean_value: {mean} }}
  data_param {{ source: "{source}" batch_size: {batch} backend: LMDB }} }}
"""
INPUT = """layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: {records} dim: 3 dim: {side} dim: {side} }} }} }}
"""
LOSS = """layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
"""


def write_labelled(folder: Path, body: str = BODY) -> Path:
    """Write lmdb/, records.npz (pixels, labels), train_val.prototxt, deploy.prototxt and net.caffemodel."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (RECORDS, 3, SIDE, SIDE), np.uint8)
    labels = generator.integers(0, 2, RECORDS)
    with lmdb.open(str(folder / "lmdb")) as environment, environment.begin(write=True) as transaction:
        for index, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            datum = Datum(channels=3, height=SIDE, width=SIDE, data=image.tobytes(), label=int(label))
            transaction.put(b"%010d" % index, datum.SerializeToString())
    np.savez(folder / "records.npz", pixels=pixels, labels=labels)
    fields = {"source": folder / "lmdb", "batch": BATCH, "factor": FACTOR, "mean": MEAN}
    data = [DATA.format(phase=phase, **fields) for phase in ("TRAIN", "TEST")]
    (folder / "train_val.prototxt").write_text("".join(data) + body + LOSS)
    (folder / "deploy.prototxt").write_text(INPUT.format(records=RECORDS, side=SIDE) + body)
    write_weights(folder / "net.caffemodel", random_weights([Graph.build(read_net(folder / "deploy.prototxt"))]))
    return folder

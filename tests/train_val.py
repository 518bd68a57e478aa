"""A network that trains, as text, and its solver."""

MEAN = "mean_value: 1 mean_value: 2 mean_value: 3"
SOLVER = """\
net: "net.prototxt"
test_iter: 3
test_interval: 100
base_lr: 0.01
lr_policy: "step"
gamma: 0.1
stepsize: 100
max_iter: 1000
momentum: 0.9
weight_decay: 0.005
snapshot: 100
snapshot_prefix: "snapshot"
"""


def trained(
    transform: str = "",
    test_transform: str = "",
    norm: str = "",
    classes: int = 3,
    source: str = "train",
    head: str = "",
) -> str:
    """A train_val: data, a BatchNorm, a classifier, and its loss."""
    return f"""\
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  data_param {{ source: "{source}" backend: LMDB batch_size: 10 }}
  transform_param {{ {transform} }}
}}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "val" backend: LMDB batch_size: 10 }}
  transform_param {{ {test_transform or transform} }}
}}
layer {{ name: "bn" type: "BatchNorm" bottom: "data" top: "bn"
  {norm}
}}
layer {{ name: "fc" type: "InnerProduct" bottom: "bn" top: "fc"
  inner_product_param {{ num_output: {classes} weight_filler {{ type: "xavier" }} }} }}
{head}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{"prob" if head else "fc"}" bottom: "label" top: "loss"
  include {{ phase: TRAIN }} }}
"""

"""The shape of a pruned network given to one that is to learn anew, or from the pruned one's weights."""

from pathlib import Path

from pyhisto.errors import InputError
from pyhisto.proto import Net, read_net

CONVOLUTION = "Convolution"


def take_widths(net: Net, pruned: Path) -> None:
    """Give each convolution of `net` as many channels as the one of its name has in the prototxt `pruned`.

    The classifier keeps its classes. Raises InputError if `pruned` lacks one of the convolutions.
    """
    widths = {
        layer.name: layer.convolution_param.num_output for layer in read_net(pruned).layer if layer.type == CONVOLUTION
    }
    for layer in net.layer:
        if layer.type == CONVOLUTION:
            if layer.name not in widths:
                raise InputError(f"{pruned}: has no convolution {layer.name}; give one that this network was pruned to")
            layer.convolution_param.num_output = widths[layer.name]

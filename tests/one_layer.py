"""Networks of one layer, as text, and their graphs."""

from pathlib import Path

from pyhisto.graph import Graph
from pyhisto.proto import TEST, NetParameter, parse_text


def net(body: str, **inputs: str) -> str:
    """A prototxt: one Input layer a blob, its shape as `2,3,8,9` (`.` for a scalar), then the layers."""
    text = ""
    for name, shape in inputs.items():
        dims = " ".join(f"dim: {size}" for size in shape.split(",") if size != ".")
        text += f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
    return text + body


def layer(kind: str, more: str = "", bottoms: str = "a", tops: str = "t") -> str:
    """One layer named `l`."""
    ends = "".join(f'bottom: "{name}" ' for name in bottoms.split()) + "".join(
        f'top: "{name}" ' for name in tops.split()
    )
    return f'layer {{ name: "l" type: "{kind}" {ends}{more} }}\n'


def build(text: str, phase: int = TEST, root: Path | None = None) -> Graph:
    return Graph.build(
        parse_text(text, NetParameter, Path("net.prototxt")), phase, data_root=root, source="net.prototxt"
    )

"""A pooling over a whole blob becomes two poolings over equal windows.

Before: Pooling, AVE or MAX, over all H x W positions, more than WINDOW of them.
After: Pooling h x w with stride h x w (AVE: the mean of equal windows), then Pooling over what is left.
Conditions: H = h x h', W = w x w' with h x w and h' x w' at most WINDOW; no padding.
Source: SigmaStar's IPU SDK, Caffe operators: Pooling takes at most 255 positions as an 8-bit average over a whole blob
(IPU100), and 19 x 19 as a window; older tables say 64, which is within all of them.
"""

from itertools import product

from pyhisto.deploy.form import Form, message_of
from pyhisto.graph import Node, pooling_window
from pyhisto.proto import LayerParameter, NetParameter, to_text
from pyhisto.prototext import Document

WINDOW = 64


def pool_in_steps(form: Form) -> tuple[Form, list[str]]:
    """See the module."""
    document, changed = form.document(), []
    for node in form.graph().nodes:
        if (first := first_window(node)) is None:
            continue
        method = node.layer.pooling_param.pool
        inner = f"{node.name}/steps"
        steps = (
            LayerParameter(
                name=inner, type="Pooling", bottom=[node.bottoms[0].name], top=[inner],
                pooling_param={
                    "pool": method, "kernel_h": first[0], "kernel_w": first[1], "stride_h": first[0],
                    "stride_w": first[1],
                },
            ),
            LayerParameter(
                name=node.name, type="Pooling", bottom=[inner], top=[node.tops[0].name],
                pooling_param={"pool": method, "global_pooling": True},
            ),
        )  # fmt: skip
        message = message_of(document, node)
        place = next(index for index, each in enumerate(document.fields) if each.value is message)
        new = Document("\n" + to_text(NetParameter(layer=steps))).fields
        document.fields[place : place + 1] = new
        changed.append(f"{node.name}: pools in two steps, {first[0]} x {first[1]} first")
        return _again(Form(document.text(), form.weights, form.source), changed)
    return form, changed


def _again(form: Form, changed: list[str]) -> tuple[Form, list[str]]:
    """Positions in the document have moved: go on with what was made of it."""
    further, more = pool_in_steps(form)
    return further, changed + more


def first_window(node: Node) -> tuple[int, int] | None:
    """The window of the first of two steps, as square as can be; None if there is nothing to do, or it cannot be."""
    if not is_wide(node):
        return None
    height, width = (node.bottoms[0].shape or ())[2:]
    windows = [
        (h, w)
        for h, w in product(_divisors(height), _divisors(width))
        if h * w <= WINDOW and (height // h) * (width // w) <= WINDOW
    ]
    return min(windows, key=lambda window: (abs(window[0] - window[1]), -window[0]), default=None)


def is_wide(node: Node) -> bool:
    """Whether a node pools over a whole blob of more than WINDOW positions."""
    shape = node.bottoms[0].shape if node.type == "Pooling" and len(node.tops) == 1 else None
    if shape is None or len(shape) != 4 or shape[2] * shape[3] <= WINDOW:
        return False
    window = pooling_window(node.layer, shape)
    method = node.layer.pooling_param.pool
    return tuple(window.kernel) == shape[2:] and not any(window.pad) and method != node.layer.pooling_param.STOCHASTIC


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]

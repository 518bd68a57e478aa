"""A Reshape says the whole shape, and not what becomes of some of the axes.

Before: `reshape_param { axis: 1 shape { dim: 2 dim: -1 dim: 0 } }`
After: `reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } }`; if `num_axes` is given, the top's shape in numbers.
Conditions: the shape of its bottom is known.
Source: reshape_layer.cpp: axes before `axis` are kept, and 0 copies the bottom's axis at the same place.
openvino-dev 2023.3.0, front/caffe/reshape.py, refuses both fields; RKNN-Toolkit2 2.3.2 takes no notice of them
(benchmarks/toolchains.py, retinaface).
"""

from pyhisto.deploy.form import Form, message_of


def reshape_from_axis_0(form: Form) -> tuple[Form, list[str]]:
    """See the module."""
    document, changed = form.document(), []
    for node in form.graph().nodes:
        parameter = node.layer.reshape_param
        bottom, top = (node.bottoms[0].shape, node.tops[0].shape) if node.type == "Reshape" else (None, None)
        if bottom is None or top is None or (parameter.axis == 0 and parameter.num_axes == -1):
            continue
        axis = parameter.axis if parameter.axis >= 0 else parameter.axis + len(bottom) + 1
        dims = [*[0] * axis, *parameter.shape.dim] if parameter.num_axes == -1 else list(top)
        message = message_of(document, node).message("reshape_param")
        shape = message.message("shape") if message is not None else None
        if message is None or shape is None:  # a Reshape to no axes at all
            continue
        shape.replace_values("dim", [str(dim) for dim in dims])
        message.remove("axis")
        message.remove("num_axes")
        changed.append(f"{node.name}: says its whole shape")
    return Form(document.text(), form.weights, form.source), changed

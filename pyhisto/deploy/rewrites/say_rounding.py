"""Poolings say how they round in the words of the reader, or nothing where they round as Caffe always did: up.

Before: `round_mode: CEIL` (BVLC since 2018) or `ceil_mode: true` (forks); `round_mode: FLOOR` or `ceil_mode: false`
After: for readers with `ceil_mode`, that one; for readers of Caffe 1.0, nothing instead of CEIL. FLOOR stays.
Conditions: none.
Source: BVLC/caffe pull request 6282 and OpenCV's opencv-caffe.proto, PoolingParameter, field 13; OpenVINO 2023.3's
mo_caffe.proto has `ceil_mode`, and refuses a text with another field.
"""

from pyhisto.deploy.form import Form
from pyhisto.dialects import with_rounding


def say_ceil_mode(form: Form) -> tuple[Form, list[str]]:
    """See the module: for readers with `ceil_mode`."""
    text = with_rounding(form.text, "ceil_mode")
    changed = ["poolings say ceil_mode in place of round_mode"] if text != form.text else []
    return Form(text, form.weights, form.source), changed


def leave_out_rounding_up(form: Form) -> tuple[Form, list[str]]:
    """See the module: for readers of Caffe 1.0, which knows neither word."""
    document, changed = form.document(), []
    for layer in document.messages("layer"):
        for parameter in layer.messages("pooling_param"):
            if parameter.get("round_mode") == "CEIL" or parameter.get("ceil_mode") == "true":
                parameter.remove("round_mode")
                parameter.remove("ceil_mode")
                changed.append(f"{layer.get('name')}: rounds up, as it would without saying so")
    return Form(document.text(), form.weights, form.source), changed

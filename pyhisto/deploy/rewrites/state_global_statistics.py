"""BatchNorm layers say that they use their running statistics.

Before: BatchNorm without `use_global_stats`, which Caffe takes as true in the TEST phase (batch_norm_layer.cpp).
After: `batch_norm_param { use_global_stats: true }`.
Conditions: none; a deploy network runs in the TEST phase.
Source: Ascend's AMCT (Caffe) asks for it on every BatchNorm layer; readers that do not know Caffe's phases take the
default of the field, false.
"""

from pyhisto.deploy.form import Form, add_message, message_of


def state_global_statistics(form: Form) -> tuple[Form, list[str]]:
    """See the module."""
    document, changed = form.document(), []
    for node in form.graph().nodes:
        if node.type == "BatchNorm" and not node.layer.batch_norm_param.use_global_stats:
            message = message_of(document, node)
            parameter = message.message("batch_norm_param")
            if parameter is None:
                add_message(message, "batch_norm_param { use_global_stats: true }")
            else:
                parameter.set_scalar("use_global_stats", "true")
            changed.append(f"{node.name}: use_global_stats is stated")
    return Form(document.text(), form.weights, form.source), changed

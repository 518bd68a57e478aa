"""Layers that pass their bottom on unchanged are left out.

Before: x -> Dropout, or a Split with one top (what a SEP layer is in a deploy network) -> y
After: whoever read y reads x.
Conditions: y is no output of the network, whose name has to stay.
Source: Caffe's dropout_layer.cpp (the TEST phase copies), split_layer.cpp; Caffe makes Split layers itself
(insert_splits.cpp), so that readers of prototxts need not know the type.
"""

from pyhisto.deploy.form import Form, message_of, remove_layers
from pyhisto.prototext import Message, quote


def drop_passing_layers(form: Form) -> tuple[Form, list[str]]:
    """See the module."""
    document, graph = form.document(), form.graph()
    outputs, changed, gone = set(graph.outputs), [], list[Message]()
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        message = message_of(document, node)
        if renamed:
            message.replace_values("bottom", [quote(renamed.get(blob.name, blob.name)) for blob in node.bottoms])
        for blob in node.tops:
            renamed.pop(blob.name, None)
        passes = node.type == "Dropout" or (node.type == "Split" and len(node.tops) == 1)
        if passes and node.tops[0] not in outputs:
            gone.append(message)
            changed.append(f"{node.name}: passes its input on, and is left out")
            if node.tops[0].name != node.bottoms[0].name:
                source = node.bottoms[0].name
                renamed[node.tops[0].name] = renamed.get(source, source)
    remove_layers(document, gone)
    return Form(document.text(), form.weights, form.source), changed

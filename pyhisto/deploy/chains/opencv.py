"""OpenCV's dnn module, 4.x."""

import json
from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from pyhisto.deploy.chain import Chain, ChainInputs, Subject
from pyhisto.deploy.rewrites.drop_passing_layers import drop_passing_layers
from pyhisto.deploy.rewrites.say_rounding import say_ceil_mode
from pyhisto.lenient import unknown_fields
from pyhisto.lint.rules import RuleBook, Trap
from pyhisto.proto import NetParameter

book: RuleBook[Subject] = RuleBook()


@book.rule("opencv-reader", "error", "cv2.dnn.readNetFromCaffe, asked here")
def refused(subject: Subject) -> Iterator[Trap]:
    """OpenCV's own reader refuses the network: it has no layer of that type, or lacks a field. Take ONNX instead."""
    text = np.frombuffer(subject.form.text.encode(), np.uint8)
    weights = np.frombuffer(subject.form.weights.SerializeToString(), np.uint8)
    try:
        cv2.dnn.readNetFromCaffe(text, weights)
    except AttributeError:
        yield 1, "this OpenCV has no reader of Caffe networks: the last with one is 4.x"
    except cv2.error as error:
        yield 1, " ".join(str(error).split())


@book.rule("opencv-unknown-field", "warning", "OpenCV 4.14 loses the message around a field that it does not know")
def unknown(subject: Subject) -> Iterator[Trap]:
    """OpenCV takes a text with a field that it does not know, and leaves out all that stands around it: remove it."""
    for field in unknown_fields(subject.document, NetParameter.DESCRIPTOR):
        yield field.line, f"{field.path}: a field that OpenCV may not know"


def settings(inputs: ChainInputs) -> Mapping[str, str]:
    """The arguments of cv2.dnn.blobFromImage; OpenCV quantises nothing."""
    _, _, height, width = inputs.shape
    arguments = {
        "scalefactor": 1.0, "size": [width, height], "mean": list(inputs.mean), "swapRB": False, "crop": False,
    }  # fmt: skip
    return {"blobFromImage.json": json.dumps(arguments, indent=2) + "\n"}


OPENCV = Chain("OpenCV 4.x (OpenCV 5 has no reader of Caffe networks)", "caffe",
               (drop_passing_layers, say_ceil_mode), book, settings)  # fmt: skip

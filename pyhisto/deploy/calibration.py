"""Images to calibrate a quantiser on: network inputs, as training saw them, before the mean is subtracted.

A tool chain can subtract a mean and scale. It cannot normalise a stain, nor cut patches, so that it is given what is
left of an image after that.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2

from pyhisto.errors import InputError
from pyhisto.manifest import Row, resolve
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.recipe import Preprocessing

FOLDER = "calibration"
LIST = "calibration.txt"


def choose_rows(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` images, of the training part where there is one; the classes in turn, each spread evenly."""
    candidates = [row for row in rows if row.split == "train"] or list(rows)
    classes = sorted({row.label for row in candidates})
    chosen = []
    for number, label in enumerate(classes):
        own = [row for row in candidates if row.label == label]
        wanted = min(len(own), count // len(classes) + (number < count % len(classes)))
        chosen += [own[index * len(own) // wanted] for index in range(wanted)]
    return chosen


def write_images(rows: Sequence[Row], root: Path, preprocessing: Preprocessing, folder: Path) -> list[str]:
    """Write one input of each image as PNG into folder/FOLDER; their paths, relative to `folder`.

    Of the patches of an image each takes the next one. Raises InputError if an image is missing or does not decode.
    """
    (folder / FOLDER).mkdir()
    names = []
    for number, row in enumerate(rows):
        inputs = preprocessing.inputs(read_image(resolve(root, row.path)))
        _, pixels = inputs[number % len(inputs)]
        name = f"{FOLDER}/{number:04d}.png"
        if not cv2.imwrite(str(folder / name), pixels):
            raise InputError(f"{folder / name}: cannot be written; is the disk full?")
        names.append(name)
    return names

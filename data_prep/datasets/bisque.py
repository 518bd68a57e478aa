"""The UCSB Bio-Segmentation (BISQUE) breast set: 58 TIFF of 896x768 whose names carry the class.

The images are cores of tissue microarrays; several cores of one array, benign and malignant, share the name up to the
class. That part is the slide here, and stands in for the patient, whom the data set does not name.
"""

import re
from pathlib import Path

from data_prep.datasets.dataset import DataSet, find_files
from pyhisto.manifest import Row

FILE_NAME = re.compile(r"(?P<slide>ytma\w+?)_(?P<class>benign|malignant)(?P<number>\d+)_ccd\.tif")
CLASSES = ("benign", "malignant")
IMAGES = 58


def load(root: Path) -> DataSet:
    """All images under `root`, no splits. Raises InputError if there is none."""
    files = find_files(root, FILE_NAME, "ytma*_ccd.tif")
    rows = []
    for path, match in files:
        label = CLASSES.index(match["class"])
        rows.append(Row(path.as_posix(), label, slide=match["slide"], subtype=match["class"]))
    notes = [f"{IMAGES - len(rows)} of the data set's {IMAGES} images are missing"] if len(rows) < IMAGES else []
    return DataSet(rows, notes, IMAGES, max(0, IMAGES - len(rows)))

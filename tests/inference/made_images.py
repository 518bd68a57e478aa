"""Images that look a little like tissue."""

import cv2
import numpy as np
from numpy.typing import NDArray


def spotted(seed: int, spots: int, size: tuple[int, int] = (60, 90)) -> NDArray[np.uint8]:
    """Pink with as many dark spots."""
    rng = np.random.default_rng(seed)
    image = np.clip(rng.normal((190, 140, 210), 8, (*size, 3)), 0, 255).astype(np.uint8)
    for _ in range(spots):
        centre = int(rng.integers(0, size[1])), int(rng.integers(0, size[0]))
        cv2.circle(image, centre, 4, (140, 60, 110), -1)
    return image

"""What can be wrong with a photo whatever it shows: too dark, blurred, tiny."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tagger.images.decode import Pixels

MEASURED_SIDE = 128  # pixels: the scale at which blur is judged, whatever the camera
# Chosen so that hardly any photo people took on purpose is called bad (bench/doctor.py).
MIN_SHARPNESS = 0.55
MIN_BRIGHTNESS = 55  # of 255
MIN_SHARE = 0.5  # of the network's side: smaller photos are enlarged more than twice

DARK, BLURRED, TINY = "dark", "blurred", "tiny"
ROUNDING = 20 / 12  # what rounding to whole grey levels adds to the Laplacian's energy


@dataclass(frozen=True)
class Quality:
    """Of one photo: its shorter side in pixels.

    `brightness` in [0, 255] is what all but the brightest twentieth of it stays below.
    `sharpness`, from 0 up, is how fast its edges end: see `measure`.
    """

    shorter_side: int
    brightness: float
    sharpness: float

    def faults(self, image_size: int) -> dict[str, str]:
        """What is wrong with it for a network of `image_size` pixels a side, each in words."""
        found = {}
        if self.brightness < MIN_BRIGHTNESS:
            found[DARK] = f"nearly all of it is darker than {self.brightness:.0f} of 255"
        if self.sharpness < MIN_SHARPNESS:
            found[BLURRED] = f"sharpness {self.sharpness:.2f}, photos have {MIN_SHARPNESS} or more"
        if self.shorter_side < MIN_SHARE * image_size:
            found[TINY] = f"{self.shorter_side} pixels where the network sees {image_size}"
        return found


def measure(rgb: Pixels, shorter_side: int | None = None) -> Quality:
    """The quality of `rgb (H, W, 3)`; the photo's own side in pixels, where it was decoded smaller.

    Sharpness is the energy of the Laplacian (Pech-Pacheco et al., "Diatom Autofocusing in
    Brightfield Microscopy", 2000) over the energy of the gradient, so that it tells how sharp the
    edges are and not how many there are or how strong.
    """
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    share = MEASURED_SIDE / min(height, width)
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    brightness = float(np.percentile(grey, 95))
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axis) / 8 for axis in ((1, 0), (0, 1)))
    gradient = float((across**2 + down**2).mean())
    curvature = float((cv2.Laplacian(grey, cv2.CV_32F) ** 2).mean())
    sharpness = max(0.0, curvature - ROUNDING) / (gradient + ROUNDING)
    return Quality(shorter_side or min(height, width), brightness, sharpness)

"""Image quality: photos that are too dark, blurred or tiny."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tagger.images.decode import Pixels

MEASURED_SIDE = 128  # pixels, of the shorter side: the scale at which sharpness is measured
# Chosen so that hardly any photo people took on purpose is called bad (bench/audit.py).
MIN_SHARPNESS = 0.55
MIN_BRIGHTNESS = 55  # of 255
MIN_SIDE_SHARE = 0.5  # of the network's side: smaller photos are enlarged more than twice

DARK, BLURRED, TINY = "dark", "blurred", "tiny"
ROUNDING_ENERGY = 20 / 12  # of the Laplacian, from rounding to whole grey levels


@dataclass(frozen=True)
class Quality:
    """Measurements of a photo.

    `shorter_side` is in pixels, `brightness` in [0, 255] the 95th percentile of its grey levels,
    and `sharpness` in [0, inf) the higher the sharper: see `measure`.
    """

    shorter_side: int
    brightness: float
    sharpness: float

    def faults(self, image_size: int) -> dict[str, str]:
        """A sentence for each fault of DARK, BLURRED and TINY, for networks of `image_size`."""
        faults = {}
        if self.brightness < MIN_BRIGHTNESS:
            faults[DARK] = f"nearly all of it is darker than {self.brightness:.0f} of 255"
        if self.sharpness < MIN_SHARPNESS:
            faults[BLURRED] = f"sharpness {self.sharpness:.2f}, photos have {MIN_SHARPNESS} or more"
        if self.shorter_side < MIN_SIDE_SHARE * image_size:
            faults[TINY] = f"{self.shorter_side} pixels where the network sees {image_size}"
        return faults


def measure(
    rgb: Pixels, shorter_side: int | None = None, measured_side: int = MEASURED_SIDE
) -> Quality:
    """The quality of `rgb (H, W, 3)`; pass the photo's `shorter_side` if it was decoded smaller.

    Sharpness is measured where the shorter side has `measured_side` pixels: it is comparable only
    with others of the same scale.

    Sharpness is the energy of the Laplacian (Pech-Pacheco et al., "Diatom Autofocusing in
    Brightfield Microscopy", 2000) over the energy of the gradient: it measures how sharp the edges
    are, not how many or how strong.
    """
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    share = measured_side / min(height, width)
    if share < 1:
        size = (max(1, round(width * share)), max(1, round(height * share)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    brightness = float(np.percentile(grey, 95))
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axis) / 8 for axis in ((1, 0), (0, 1)))
    gradient = float((across**2 + down**2).mean())
    curvature = float((cv2.Laplacian(grey, cv2.CV_32F) ** 2).mean())
    sharpness = max(0.0, curvature - ROUNDING_ENERGY) / (gradient + ROUNDING_ENERGY)
    return Quality(shorter_side or min(height, width), brightness, sharpness)

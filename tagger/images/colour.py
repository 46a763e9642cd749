"""Colour profiles: photos whose colours are far from sRGB, the colours that networks are taught.

Most profiles are near enough, sRGB's own and a phone's Display P3 among them: their pixels are left
alone. Without conversion, a photo in ProPhoto RGB looks faded, and one with linear values black.
"""

from __future__ import annotations

import io
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image, ImageCms

MAX_BYTES = 4 * 2**20  # of a profile; those of printers have 2 MB
_CACHED_BYTES = 2**16  # of a profile that is kept; larger ones are built again for each photo
# Of mid colours, in levels of 255 on average, from the same numbers taken as sRGB.
FAR_IN_COLOUR = 6  # Display P3: 4, Adobe RGB: 7, Rec. 2020: 12, ProPhoto RGB: 16
FAR_IN_BRIGHTNESS = 25  # a gamma of 1.8: 18, of 1: 59

_PATCHES = np.array([list(product((96, 128, 160), repeat=3))], np.uint8)  # (1, 27, 3)


def to_srgb(rgb: Image.Image, profile: bytes | None) -> Image.Image:
    """An RGB image in sRGB, if its profile is far from that; else the image itself."""
    if not profile or len(profile) > MAX_BYTES:
        return rgb
    build = _cached_transform if len(profile) <= _CACHED_BYTES else _transform
    transform = build(profile, "RGB")
    return rgb if transform is None else ImageCms.applyTransform(rgb, transform) or rgb


def lab_to_srgb(lab: Image.Image) -> Image.Image:
    """A CIELAB image in sRGB."""
    source = ImageCms.createProfile("LAB")
    target = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(lab, source, target, outputMode="RGB") or lab


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None for a profile that is near it, broken, or of other colours."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            mode,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.NOCACHE,  # threads share it
        )
        patches = ImageCms.applyTransform(Image.fromarray(_PATCHES), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    shift = np.asarray(patches).astype(float) - _PATCHES
    brightness = shift.mean(axis=2, keepdims=True)
    is_far = np.abs(shift - brightness).mean() > FAR_IN_COLOUR
    return transform if is_far or np.abs(brightness).mean() > FAR_IN_BRIGHTNESS else None


_cached_transform = lru_cache(maxsize=4)(_transform)

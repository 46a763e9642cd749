"""Decoded images of any mode as RGB: transparent pixels become white, where anybody meant them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagger.images import colour, depth

BACKGROUND = (255, 255, 255)  # behind transparent pixels
_MIN_ALPHA = 26  # a tenth: of less, nothing can be seen on a background
_FEW_VISIBLE = 0.005  # of the pixels
_PLAIN_MODES = ("RGB", "L", "CMYK", "YCbCr")
_ALPHA_MODES = ("RGBA", "LA")


def to_small_rgb(image: Image.Image, factor: int) -> Image.Image:
    """RGB, averaged over squares of `factor` pixels; in strips, to save memory on huge photos."""
    if image.mode in _PLAIN_MODES and "transparency" not in image.info:
        return _to_rgb(image.reduce(factor) if factor > 1 else image)
    if image.mode in _ALPHA_MODES and _has_empty_alpha(image):
        image.putalpha(255)
    elif _has_empty_palette(image):
        del image.info["transparency"]
    rows = max(1, depth.STRIP_PIXELS // (image.width * factor)) * factor
    if rows >= image.height:
        return _shrink_to_rgb(image, factor)
    boxes = ((0, y, image.width, min(y + rows, image.height)) for y in range(0, image.height, rows))
    strips = [np.asarray(_shrink_to_rgb(image.crop(box), factor)) for box in boxes]
    return Image.fromarray(np.concatenate(strips))


def _shrink_to_rgb(image: Image.Image, factor: int) -> Image.Image:
    if factor == 1:
        return _to_rgb(image)
    if image.mode in _ALPHA_MODES and "transparency" not in image.info:
        return _to_rgb(image.reduce(factor))
    return _to_rgb(image).reduce(factor)  # there is no average of indices or transparent colours


def _has_empty_alpha(image: Image.Image) -> bool:
    """Whether nobody filled the alpha channel: it hides all, or nearly all, of a picture."""
    *colours, alpha = np.reshape(image.histogram(), (-1, 256))
    return _hides_picture(int(alpha[_MIN_ALPHA:].sum()), colours)


def _has_empty_palette(image: Image.Image) -> bool:
    """Whether nearly all of a picture is in colours of a palette that are transparent."""
    transparency = image.info.get("transparency")
    if image.mode != "P" or not isinstance(transparency, bytes):
        return False
    counts = np.array(image.histogram())
    alpha = np.full(256, 255)
    listed = np.frombuffer(transparency[:256], np.uint8)
    alpha[: len(listed)] = listed
    return _hides_picture(int(counts[alpha >= _MIN_ALPHA].sum()), [counts])


def _hides_picture(visible: int, colours: list[NDArray[np.int64]]) -> bool:
    """Whether there is more of a picture than its `visible` pixels, by the counts of values."""
    size = int(colours[0].sum())
    varied = size - min(int(counts.max()) for counts in colours)
    return visible <= _FEW_VISIBLE * size and varied > (0.1 * size if visible else 0)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        return colour.lab_to_srgb(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGB", rgba.size, BACKGROUND)
        canvas.paste(rgba, mask=rgba.getchannel("A"))
        return canvas
    return image.convert("RGB")

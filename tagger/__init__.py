"""Teach a tagger with folders of photos, tag any photo, and hear "unknown" when it is."""

from tagger.errors import DatasetError, ImageError, ModelError, OptionError, TaggerError
from tagger.tagger import Prediction, Tagger

__all__ = [
    "DatasetError",
    "ImageError",
    "ModelError",
    "OptionError",
    "Prediction",
    "Tagger",
    "TaggerError",
]

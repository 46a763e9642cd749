"""Teach a tagger with folders of photos; tag photos, or get "unknown" for what it does not know."""

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

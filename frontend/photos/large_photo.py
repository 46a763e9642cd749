"""A large photo, upright, with an optional heatmap."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.ui.images import show_jpeg
from frontend.ui.library import open_library
from frontend.ui.messages import describe_error
from frontend.ui.models import load_tagger
from frontend.ui.text import escape_markdown
from tagger import ImageError, ModelError
from tagger.images import decode, transforms
from tagger.library.library import Library
from tagger.library.records import Photo, StoredPrediction
from tagger.tagger import Tagger
from tagger.text import escape_controls

LONGER_SIDE = 1600  # pixels
MAX_CACHED = 12  # photos in memory


def show_large_photo(photo: Photo) -> None:
    """Show a photo, or its thumbnail and the reason."""
    name = escape_controls(photo.name)
    try:
        show_jpeg(_read_photo(photo), name)
    except ImageError as error:
        show_jpeg(open_library().read_thumbnail(photo), name, width="content")
        reason = escape_markdown(describe_error(error))
        st.warning(f"Original missing: {reason}", icon=":material/broken_image:")


def show_heatmap(slot: DeltaGenerator, tagger: Tagger, label: str, image: bytes, name: str) -> None:
    """Show the photo with the heatmap of a label in `slot`. Raises ModelError, ImageError."""
    heatmap = decode.encode(tagger.heatmap(image, label), "JPEG")
    show_jpeg(heatmap, f"{name}: heatmap for {label}", slot)
    st.caption("Bright areas counted most. Dark edges are cropped off.")


def _read_photo(photo: Photo) -> bytes:
    """A photo as JPEG. Raises ImageError if the file is missing or has changed."""
    try:
        stat = photo.path.stat()
    except (OSError, ValueError):
        raise ImageError(str(photo.path), "no such file") from None
    return _decode(photo.sha256, stat.st_mtime_ns, stat.st_size, photo, open_library())


@st.cache_resource(show_spinner=False, max_entries=MAX_CACHED)
def _decode(sha256: str, modified: int, size: int, _photo: Photo, _library: Library) -> bytes:
    shorter, longer = sorted((_photo.width, _photo.height))
    side = max(1, round(LONGER_SIDE * shorter / longer))
    rgb = decode.read(_library.read_original(_photo), shorter_side=side)
    return decode.encode(transforms.thumbnail(rgb, LONGER_SIDE), "JPEG")


def find_explainer(library: Library, photo: Photo, tag: str) -> tuple[Tagger, str] | None:
    """The first model that thought of a photo's tag, and what it calls it.

    None if there is none, or its file is gone or has changed.
    """
    for prediction in library.predictions(photo.id):
        labels = [] if prediction.by_head else [label for label, _ in prediction.scores]
        names = library.tags.shown_names(labels)
        label = next((label for label in labels if names[label] == tag), None)
        tagger = None if label is None else load_tagger_of(prediction)
        if label is not None and tagger is not None:
            return tagger, label
    return None


def load_tagger_of(prediction: StoredPrediction) -> Tagger | None:
    """The model that made a prediction, None if its file is gone or has changed."""
    for model in (prediction.model, open_library().active_model()):
        try:
            tagger = load_tagger(model)
            if tagger.sha256 == prediction.model_sha256:
                return tagger
        except (ModelError, OSError):
            continue
    return None

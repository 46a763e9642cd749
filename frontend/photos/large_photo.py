"""A large photo, upright, with an optional heatmap."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.components.html_blocks import escape_text
from frontend.ui.images import show_jpeg
from frontend.ui.library import open_library
from frontend.ui.models import load_tagger
from frontend.ui.text import escape_markdown
from frontend.ui.tiles import base_path
from tagger import ImageError, ModelError
from tagger.errors import describe_error
from tagger.images import decode
from tagger.library.library import Library
from tagger.library.records import Photo, StoredPrediction
from tagger.tagger import Tagger

LONGER_SIDE = 1600  # pixels, one of `SIDES`
MAX_CHECKED = 1_000  # photos whose files are as they were imported


def show_large_photo(photo: Photo) -> None:
    """Show a photo, or its thumbnail and the reason."""
    problem = _find_problem(photo)
    if problem is None:
        _show_picture(photo, f"photos/{photo.sha256}.jpg?side={LONGER_SIDE}", "it-photo")
    else:
        show_thumbnail(photo)
        reason = escape_markdown(f"Original missing: {problem}")
        st.warning(reason, icon=":material/broken_image:")


def show_thumbnail(photo: Photo) -> None:
    """Show a photo's thumbnail, which the browser fetches and keeps."""
    _show_picture(photo, f"thumbnails/{photo.sha256}.jpg", "it-photo it-thumbnail")


def _show_picture(photo: Photo, name: str, kind: str) -> None:
    """A picture of the app's routes, of CSS classes `kind`; its place is kept free until then."""
    st.html(
        f'<img class="{kind}" src="{base_path()}/{name}" alt="{escape_text(photo.name)}"'
        f' width="{photo.width}" height="{photo.height}">'
    )


def show_heatmap(slot: DeltaGenerator, tagger: Tagger, label: str, image: bytes, name: str) -> None:
    """Show the photo with the heatmap of a label in `slot`. Raises ModelError, ImageError."""
    heatmap = decode.encode(tagger.heatmap(image, label), "JPEG")
    show_jpeg(heatmap, f"{name}: heatmap for {label}", slot)
    st.caption("Bright areas counted most. Dark edges are cropped off.")


def _find_problem(photo: Photo) -> str | None:
    """Why a photo's file cannot be shown, if it is missing or has changed."""
    try:
        stat = photo.path.stat()
        _check(photo.sha256, stat.st_mtime_ns, stat.st_size, photo, open_library())
    except ImageError as error:
        return describe_error(error)
    except (OSError, ValueError):
        return "no such file"
    return None


@st.cache_resource(show_spinner=False, max_entries=MAX_CHECKED)
def _check(sha256: str, modified: int, size: int, _photo: Photo, _library: Library) -> bool:
    _library.read_original(_photo)
    return True


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
    for model in (prediction.model, *open_library().models_in_use()):
        try:
            tagger = load_tagger(model)
            if tagger.sha256 == prediction.model_sha256:
                return tagger
        except (ModelError, OSError):
            continue
    return None

"""A photo of the library, large: from its file, upright, with what speaks for an answer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

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

LARGE_SIDE = 1600  # pixels, of a shown photo's longer side
KEPT = 12  # in memory


def show_picture(
    photo: Photo, prediction: StoredPrediction | None = None, *, key: str | None = None
) -> None:
    """The photo, or its thumbnail with the reason; with a `key`, its heatmap on a switch."""
    name = escape_controls(photo.name)
    place = st.empty()
    try:
        place.image(large_photo(photo), width="stretch", alt=name)
    except ImageError as error:
        place.image(open_library().read_thumbnail(photo), alt=name)
        reason = escape_markdown(describe_error(error))
        st.warning(f"Only its thumbnail is left. {reason}", icon=":material/broken_image:")
        return
    tagger = None if prediction is None or key is None else tagger_of(prediction)
    if prediction is None or tagger is None:
        return
    label = explained([name for name, _ in prediction.scores], tagger, key)
    if label is not None:
        heat = decode.encode(tagger.heatmap(open_library().read_original(photo), label), "JPEG")
        place.image(heat, width="stretch", alt=f"{name}: what speaks for {label}")
        st.caption("The brighter, the more it counted. The dark edges were not looked at.")


def explained(labels: Sequence[str], tagger: Tagger, key: str) -> str | None:
    """The label to show a heatmap of, if any; of a photo that may have several, one to choose.

    `labels` are the likeliest, best first.
    """
    if tagger.labels.kind == "single":
        told = escape_markdown(f"Show what speaks for “{labels[0]}”")
        return labels[0] if st.toggle(told, key=key) else None
    if not st.toggle("Show what speaks for a label", key=key):
        return None
    return st.selectbox("Which label?", labels, key=f"{key}-label")


def large_photo(photo: Photo) -> bytes:
    """A JPEG for the page. Raises ImageError where the file is gone or has changed."""
    try:
        info = photo.path.stat()
    except (OSError, ValueError):
        raise ImageError(str(photo.path), "no such file") from None
    return _large(photo.sha256, info.st_mtime_ns, info.st_size, photo, open_library())


@st.cache_resource(show_spinner=False, max_entries=KEPT)
def _large(sha256: str, changed: int, size: int, _photo: Photo, _library: Library) -> bytes:
    shorter, longer = sorted((_photo.width, _photo.height))
    side = max(1, round(LARGE_SIDE * shorter / longer))
    rgb = decode.read(_library.read_original(_photo), shorter_side=side)
    return decode.encode(transforms.thumbnail(rgb, LARGE_SIDE), "JPEG")


def tagger_of(prediction: StoredPrediction) -> Tagger | None:
    """The very model that said it, if it is still there."""
    for model in (prediction.model, open_library().active_model()):
        try:
            tagger = load_tagger(model)
            if tagger.sha256 == prediction.model_sha256:
                return tagger
        except (ModelError, OSError):
            continue
    return None

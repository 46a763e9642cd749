"""Tag: drop a photo or take one, see what it is, and keep it if it is worth keeping."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

import streamlit as st

from frontend.components import photo_grid
from frontend.components.html_blocks import show_bars
from frontend.photos.large_photo import explained
from frontend.ui.library import load_sample_photos, open_library
from frontend.ui.messages import show_errors
from frontend.ui.models import load_tagger
from frontend.ui.pages import GALLERY, link_photo
from frontend.ui.text import escape_markdown
from tagger import ImageError, Prediction, Tagger
from tagger.images import decode, transforms
from tagger.inference.embeddings import Embedding
from tagger.library.records import Photo
from tagger.text import confidence_percent, escape_controls

SHOWN_SIDE = 900  # pixels, about, of a shown photo's shorter side
CAMERA_WIDTH = 560  # pixels
NEAREST = 6
KEPT = 8  # photos that are kept in memory with their answers

FILE, CAMERA = "A file", "The camera"
SOURCE_KEY, UPLOAD_KEY, CAMERA_KEY = "tag-source", "tag-file", "tag-camera"
SAMPLE_KEY, ADDED_KEY = "tag-sample", "tag-added"


@dataclass(frozen=True)
class Chosen:
    """The photo in hand."""

    name: str
    data: bytes
    sha256: str


def show() -> None:
    """The whole page."""
    st.title("What is in this photo?", anchor=False)
    tagger = load_tagger()
    photo = _chosen(tagger)
    if photo is None:
        _offer_samples("No photo at hand? Try one of these.")
        return
    try:
        shown = _shown(photo.sha256, photo.data)
        prediction, embedding = _judged(photo.sha256, tagger.sha256, photo.data, tagger)
    except ImageError as error:
        message = f"{photo.name} cannot be opened: {error.reason}"
        st.error(escape_markdown(message), icon=":material/error:")
        return
    there = open_library().find_by_digest(photo.sha256)
    near = open_library().find_similar(
        embedding, tagger.sha256, NEAREST, without=None if there is None else there.id
    )
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _show_photo(photo, shown, prediction, tagger)
    with right:
        _show_answer(prediction, tagger)
        _offer_adding(photo, tagger, there)
    _show_nearest(near)
    if SAMPLE_KEY in st.session_state:
        _offer_samples("Try another one.")


def _chosen(tagger: Tagger) -> Chosen | None:
    """What was dropped, taken or tried; None where nothing was."""
    source = st.segmented_control(
        "Where is the photo?", [FILE, CAMERA], default=FILE, required=True, key=SOURCE_KEY
    )
    # The browser asks for the camera as soon as it is drawn, so not before it is wanted.
    if source == CAMERA:
        file = st.camera_input(
            "Take a photo", key=CAMERA_KEY, on_change=_forget_sample, width=CAMERA_WIDTH
        )
    else:
        file = st.file_uploader(
            escape_markdown(f"Drop a photo here: {tagger.name} will say {_knowledge(tagger)}."),
            type=sorted(decode.EXTENSIONS),
            key=UPLOAD_KEY,
            on_change=_forget_sample,
        )
    if file is not None:
        name = f"camera {datetime.now():%Y-%m-%d %H.%M.%S}.jpg" if source == CAMERA else file.name
        return _with_digest(name, file.getvalue())
    if sample := st.session_state.get(SAMPLE_KEY):
        return _with_digest(sample, load_sample_photos()[sample])
    return None


def _with_digest(name: str, data: bytes) -> Chosen:
    return Chosen(name, data, hashlib.sha256(data).hexdigest())


def _forget_sample() -> None:
    st.session_state.pop(SAMPLE_KEY, None)


def _take_sample(name: str) -> None:
    st.session_state[SAMPLE_KEY] = name


def _knowledge(tagger: Tagger) -> str:
    """What a model can say: "whether it is cat or dog, or unknown"."""
    names = tagger.labels.names
    if len(names) > 6:
        return f"which of {len(names)} labels fit, or that none does"
    *most, last = names
    known = f"{', '.join(most)} or {last}" if most else last
    return f"whether it is {known}, or unknown"


def _offer_samples(invitation: str) -> None:
    st.caption(invitation)
    with st.container(horizontal=True, key="tag-samples", gap="small"):
        for name, data in load_sample_photos().items():
            with st.container(width=132):
                st.image(_small(name, data), width=132, alt="")
                title = name.rsplit(".", 1)[0].capitalize()
                key = f"tag-try-{name}"
                st.button(title, key=key, width="stretch", on_click=_take_sample, args=(name,))


@st.cache_resource(show_spinner=False)
def _small(name: str, _data: bytes) -> bytes:
    return decode.encode(transforms.fit(decode.read(_data, shorter_side=264), 264), "JPEG")


@st.cache_resource(show_spinner=False, max_entries=KEPT)
def _shown(sha256: str, _data: bytes) -> bytes:
    """A JPEG for the page, upright, of any format the library reads and the browser may not."""
    return decode.encode(decode.read(_data, shorter_side=SHOWN_SIDE), "JPEG")


@st.cache_resource(show_spinner=False, max_entries=KEPT)
def _judged(
    sha256: str, model_sha256: str, _data: bytes, _tagger: Tagger
) -> tuple[Prediction, Embedding]:
    return _tagger.tag_with_embeddings([_data])[0]


def _show_photo(photo: Chosen, shown: bytes, prediction: Prediction, tagger: Tagger) -> None:
    with st.container(key="tag-photo"):
        place = st.empty()
        name = escape_controls(photo.name)
        label = explained([s.label for s in prediction.scores], tagger, "tag-heatmap")
        if label is not None:
            with show_errors():
                heatmap = decode.encode(tagger.heatmap(photo.data, label), "JPEG")
                place.image(heatmap, width="stretch", alt=f"{name}: what speaks for {label}")
                st.caption("The brighter, the more it counted. The dark edges were not looked at.")
                return
        place.image(shown, width="stretch", alt=name)


def _show_answer(prediction: Prediction, tagger: Tagger) -> None:
    label, said = answer(prediction, tagger)
    unknown = " it-unknown" if prediction.unknown else ""
    st.html(
        f'<div class="it-answer{unknown}" role="status">'
        f'<p class="it-label" dir="auto">{escape(escape_controls(label))}</p>'
        f'<p class="it-reason">{escape(escape_controls(said))}</p></div>'
    )
    st.space("small")
    show_bars((s.label, s.score, confidence_percent(s.score)) for s in prediction.scores[:5])


def answer(prediction: Prediction, tagger: Tagger) -> tuple[str, str]:
    """A prediction as a large word or two, and a sentence below."""
    if not prediction.unknown:
        names = ", ".join(tag.label for tag in prediction.tags)
        if len(prediction.tags) == 1:
            return names, f"{confidence_percent(prediction.confidence)} sure"
        each = [f"{tag.label} {confidence_percent(tag.score)}" for tag in prediction.tags]
        return names, f"How sure: {', '.join(each)}"
    likeliest = [f"{s.label} ({confidence_percent(s.score)})" for s in prediction.scores[:2]]
    if prediction.reason == "unfamiliar":
        known = f"Unlike every photo that {tagger.name} was taught with."
        return "Unknown", f"{known} Its best guess would be {likeliest[0]}."
    if tagger.labels.kind == "multi":
        return "Unknown", f"No label is likely enough; {likeliest[0]} comes nearest."
    return "Unknown", f"Between {' and '.join(likeliest)}: not sure enough of either."


def _offer_adding(photo: Chosen, tagger: Tagger, there: Photo | None) -> None:
    """Add the photo to the library, or say that it is there, with the way to it."""
    just_added = st.session_state.get(ADDED_KEY) == photo.sha256
    st.space("small")
    if there is None:
        if st.button(
            "Add to the library", key="tag-add", type="primary", icon=":material/library_add:"
        ):
            open_library().add_photo(photo.name, photo.data, tagger)
            st.session_state[ADDED_KEY] = photo.sha256
            st.rerun()
        return
    with st.container(horizontal=True, vertical_alignment="center", key="tag-there"):
        words = "Added to your library." if just_added else "It is in your library."
        st.markdown(f":material/check: {words}")
        link_photo(there.id)


def _show_nearest(near: Sequence[tuple[Photo, float]]) -> None:
    if not near:
        return
    st.subheader("Nearest in your library", anchor=False)
    captions = {photo.id: f"{max(0.0, alike):.0%} alike" for photo, alike in near}
    photos = [photo for photo, _ in near]
    said = photo_grid.show_grid(photos, key="tag-nearest", captions=captions, selectable=False)
    if said.opened is not None:
        st.switch_page(GALLERY, query_params={"photo": str(said.opened)})


show()

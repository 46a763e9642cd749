"""Tag a photo: upload it or take it, see its tags, add it to the library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import streamlit as st

from frontend.components import undo_line
from frontend.components.actions import Action
from frontend.components.html_blocks import escape_text
from frontend.components.tag_editor import Chips, show_tag_editor
from frontend.photos import gallery
from frontend.photos.answers import (
    Answer,
    SuggestedTag,
    describe_answers,
    make_chips,
    merge_answers,
)
from frontend.photos.large_photo import find_explainer, show_heatmap
from frontend.photos.photo_details import load_chips
from frontend.photos.similar import caption_similar
from frontend.ui.images import show_jpeg
from frontend.ui.library import load_sample_photos, open_library
from frontend.ui.messages import catch_errors, run_action, show_error
from frontend.ui.models import load_tagger
from frontend.ui.pages import link_photo
from tagger import ImageError, Prediction, Tagger
from tagger.images import decode, transforms
from tagger.inference.embeddings import Embedding
from tagger.library.records import Photo
from tagger.text import escape_controls

PAGE = "tag"
SHORTER_SIDE = 900  # pixels, roughly, of the displayed photo
CAMERA_WIDTH = 560  # pixels
SIMILAR_PHOTOS = 6
MAX_CACHED = 8  # photos in memory, with their predictions

UPLOAD, CAMERA = "Upload", "Camera"
SOURCE_KEY, UPLOAD_KEY, CAMERA_KEY = "tag-source", "tag-file", "tag-camera"
SAMPLE_KEY, ADDED_KEY, EXPLAINED_KEY = "tag-sample", "tag-added", "tag-explained"


@dataclass(frozen=True)
class InputPhoto:
    """The photo to tag, as an encoded file."""

    name: str
    data: bytes
    sha256: str


def show() -> None:
    st.title("What is in this photo?", anchor=False)
    taggers = [load_tagger(model) for model in open_library().models_in_use()]
    photo = _choose_photo()
    if photo is None:
        _offer_samples("No photo handy? Try one of these.")
        return
    try:
        jpeg = _encode_jpeg(photo.sha256, photo.data)
        tagged = [_tag_photo(photo.sha256, each.sha256, photo.data, each) for each in taggers]
    except ImageError as error:
        message = f"{photo.name} can’t be opened: {error.reason}"
        show_error(message)
        return
    library = open_library()
    stored = library.find_by_digest(photo.sha256)
    spaces = {
        tagger.space: embedding for tagger, (_, embedding) in zip(taggers, tagged, strict=True)
    }
    answers = [
        Answer(each, prediction) for each, (prediction, _) in zip(taggers, tagged, strict=True)
    ]
    tags = merge_answers(answers, library)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        _show_photo(photo, jpeg, tags, stored)
    with right:
        _show_answer(*describe_answers(answers, tags), is_unknown=not make_chips(tags)["tags"])
        _show_tags(photo, make_chips(tags), taggers, stored)
        _offer_adding(photo, taggers, stored)
    _show_similar(caption_similar(_find_similar(photo, spaces, stored)))
    if SAMPLE_KEY in st.session_state:
        _offer_samples("Try another one.")


def _choose_photo() -> InputPhoto | None:
    """The uploaded photo, the one from the camera, or the sample; None if there is none yet."""
    source = st.segmented_control(
        "Photo from", [UPLOAD, CAMERA], default=UPLOAD, required=True, key=SOURCE_KEY
    )
    # Drawing the camera input makes the browser ask for permission.
    if source == CAMERA:
        file = st.camera_input(
            "Take a photo", key=CAMERA_KEY, on_change=_forget_sample, width=CAMERA_WIDTH
        )
    else:
        file = st.file_uploader(
            "Drop a photo here",
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


def _with_digest(name: str, data: bytes) -> InputPhoto:
    return InputPhoto(name, data, hashlib.sha256(data).hexdigest())


def _forget_sample() -> None:
    st.session_state.pop(SAMPLE_KEY, None)


def _take_sample(name: str) -> None:
    st.session_state[SAMPLE_KEY] = name


def _offer_samples(invitation: str) -> None:
    """Sample photos; the whole of each is a button, see style.css."""
    st.caption(invitation)
    with st.container(horizontal=True, key="tag-samples", gap="small"):
        for name, data in load_sample_photos().items():
            with st.container(width=132, key=f"tag-sample-{name}", gap="xsmall"):
                show_jpeg(_encode_thumbnail(name, data), "", width=132)
                title = name.rsplit(".", 1)[0].capitalize()
                key = f"tag-try-{name}"
                st.button(title, key=key, width="stretch", on_click=_take_sample, args=(name,))


@st.cache_resource(show_spinner=False)
def _encode_thumbnail(name: str, _data: bytes) -> bytes:
    return decode.encode(transforms.fit(decode.read(_data, shorter_side=264), 264), "JPEG")


@st.cache_resource(show_spinner=False, max_entries=MAX_CACHED)
def _encode_jpeg(sha256: str, _data: bytes) -> bytes:
    """An upright JPEG, also of formats that browsers cannot show."""
    return decode.encode(decode.read(_data, shorter_side=SHORTER_SIDE), "JPEG")


@st.cache_resource(show_spinner=False, max_entries=MAX_CACHED)
def _tag_photo(
    sha256: str, model_sha256: str, _data: bytes, _tagger: Tagger
) -> tuple[Prediction, Embedding]:
    return _tagger.tag_with_embeddings([_data])[0]


def _find_similar(
    photo: InputPhoto, vectors: Mapping[str, Embedding], stored: Photo | None
) -> list[tuple[Photo, float]]:
    """Photos of the library like this one, in the library's space if there is one.

    `vectors` are the photo's in the spaces of the models in use.
    """
    library = open_library()
    space = library.space()
    digest = space.sha256 if space is not None else next(iter(vectors))
    if digest in vectors:
        vector: tuple[Embedding, str] | None = vectors[digest], digest
    else:
        vector = _embed_photo(photo.sha256, digest, photo.data)
    exclude = None if stored is None else stored.id
    return [] if vector is None else library.find_similar(*vector, SIMILAR_PHOTOS, exclude=exclude)


@st.cache_resource(show_spinner=False, max_entries=MAX_CACHED)
def _embed_photo(sha256: str, space: str, _data: bytes) -> tuple[Embedding, str] | None:
    return open_library().embed(_data)


def _show_photo(
    photo: InputPhoto, jpeg: bytes, tags: Mapping[str, SuggestedTag], stored: Photo | None
) -> None:
    """The photo, or while one of its tags is explained the heatmap of that tag."""
    with st.container(key="tag-photo"):
        slot = st.empty()
        name = escape_controls(photo.name)
        explained = _explained(photo)
        explainer = find_explainer(open_library(), stored, explained) if stored else None
        if explained in tags:
            explainer = tags[explained].tagger, tags[explained].label
        if explainer is not None:
            with catch_errors():
                show_heatmap(slot, *explainer, photo.data, name)
                return
        show_jpeg(jpeg, name, slot)


def _explained(photo: InputPhoto) -> str:
    """The tag whose heatmap is shown, or nothing."""
    digest, label = st.session_state.get(EXPLAINED_KEY, ("", ""))
    return str(label) if digest == photo.sha256 else ""


def _show_answer(heading: str, sentence: str, is_unknown: bool) -> None:
    unknown = " it-unknown" if is_unknown else ""
    reason = f'<p class="it-reason">{escape_text(sentence)}</p>' if sentence else ""
    st.html(
        f'<div class="it-answer{unknown}" role="status">'
        f'<p class="it-label" dir="auto">{escape_text(heading)}</p>{reason}</div>'
    )
    st.space("small")


def _show_tags(
    photo: InputPhoto, chips: Chips, taggers: Sequence[Tagger], stored: Photo | None
) -> None:
    """The photo's tags as chips. An answer about them keeps the photo in the library."""
    if stored is not None:
        chips = load_chips(open_library(), stored)
    if not chips["tags"]:
        chips["unknown"] = "What is it?"
    show_tag_editor(
        photo.sha256,
        chips,
        key="tag-chips",
        carry_out=partial(run_action, _carry_out, photo, taggers),
        explained=_explained(photo) or None,
    )


def _carry_out(photo: InputPhoto, taggers: Sequence[Tagger], action: Action) -> None:
    """Show a heatmap, or record an answer about a tag."""
    if action.kind == "explain":
        st.session_state[EXPLAINED_KEY] = photo.sha256, action.values.get("label") or ""
        return
    stored = open_library().find_by_digest(photo.sha256) or _add(photo, taggers)
    gallery.carry_out(PAGE, replace(action, ids=(stored.id,)))


def _offer_adding(photo: InputPhoto, taggers: Sequence[Tagger], stored: Photo | None) -> None:
    """A button that adds the photo to the library, or a link to the photo there."""
    undo_line.show(PAGE)
    is_new = st.session_state.get(ADDED_KEY) == photo.sha256
    st.space("small")
    if stored is None:
        st.button(
            "Add to library",
            key="tag-add",
            type="primary",
            icon=":material/library_add:",
            on_click=run_action,
            args=(_add, photo, taggers),
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", key="tag-there"):
        message = "Added to your library." if is_new else "Already in your library."
        st.markdown(f":material/check: {message}")
        link_photo(stored.id)


def _add(photo: InputPhoto, taggers: Sequence[Tagger]) -> Photo:
    """Add the photo to the library."""
    stored = open_library().add_photo(photo.name, photo.data, taggers).photo
    st.session_state[ADDED_KEY] = photo.sha256
    return stored


def _show_similar(similar: Sequence[tuple[Photo, str]]) -> None:
    if similar:
        st.subheader("Similar photos in your library", anchor=False)
        captions = {photo.id: caption for photo, caption in similar}
        photos = [photo for photo, _ in similar]
        gallery.show_photos(PAGE, photos, key="tag-nearest", captions=captions)


show()

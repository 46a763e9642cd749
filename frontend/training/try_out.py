"""Try-out: what a model says of photos of the library, before it tags any."""

from __future__ import annotations

import random

import streamlit as st

from frontend.components import photo_gallery
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors
from frontend.ui.models import load_tagger
from tagger.errors import ImageError
from tagger.library.records import Photo
from tagger.library.storage import read_original
from tagger.tagger import Prediction
from tagger.text import count_noun, whole_percent

PHOTOS = 24
MAX_TAGS = 4  # listed of a photo


def show(model: str, key: str) -> None:
    """A grid of random photos, each with what the model says; nothing is saved."""
    ids = open_library().find_ids()
    if not ids:
        return
    st.subheader("Try it out", anchor=False)
    round_key, answers_key = f"{key}-try-round", f"{key}-try-answers"
    number = st.session_state.setdefault(round_key, 0)
    cached = st.session_state.get(answers_key)
    if cached is None or cached[0] != (model, number):
        with catch_errors(), st.spinner("Tagging a few photos of your library …"):
            chosen = random.Random(f"{model} {number}").sample(ids, min(PHOTOS, len(ids)))
            cached = st.session_state[answers_key] = (model, number), _tag(model, chosen)
    if cached is None:
        return
    answers: list[tuple[Photo, str]] = cached[1]
    if not answers:
        st.caption("None of these photos can be read.")
        return
    st.markdown(
        f"What it says of {count_noun(len(answers), 'photo')} of your library. Nothing is saved."
    )
    photo_gallery.show_grid(
        [photo for photo, _ in answers],
        key=f"{key}-try-grid",
        captions={photo.id: says for photo, says in answers},
    )
    if len(ids) > PHOTOS:
        st.button(
            "Try other photos",
            key=f"{key}-try-others",
            icon=":material/shuffle:",
            on_click=st.session_state.__setitem__,
            args=(round_key, number + 1),
        )


def describe(prediction: Prediction) -> str:
    """What a model says of a photo: "cat 98%, sofa 61%", or "No tags"."""
    tags = [f"{tag.label} {whole_percent(tag.score)}" for tag in prediction.tags[:MAX_TAGS]]
    return ", ".join(tags) or "No tags"


def _tag(model: str, ids: list[int]) -> list[tuple[Photo, str]]:
    """The photos that can be read, each with what the model says."""
    library, tagger = open_library(), load_tagger(model)
    answers = []
    for photo_id in ids:
        photo = library.photo(photo_id)
        try:
            answers.append((photo, describe(tagger.tag(read_original(photo)))))
        except (ImageError, OSError):
            continue
    return answers

"""Try-out: what a model says of photos of the library, before it tags any."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from frontend.components import photo_gallery
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors
from frontend.ui.models import load_tagger
from frontend.ui.text import escape_markdown
from tagger.errors import ImageError
from tagger.files import walk_files
from tagger.images.decode import EXTENSIONS
from tagger.inference.embeddings import Embedding
from tagger.library.records import Photo
from tagger.library.storage import read_original
from tagger.tagger import Prediction
from tagger.text import count_noun, whole_percent

PHOTOS = 24
MAX_TAGS = 4  # listed of a photo
TRAINING_PHOTOS = 100  # that photos are compared with
# The cosine to the training photo most like it, below which a photo is unlike all of them, and the
# share of the tagged photos that are, to say so. Where all tags are right this warns in less than
# 1 % of try-outs, where half of them are wrong in more than 98 %: see bench/try_out.py.
UNLIKE = 0.25
OVERCLAIM = 0.25
MIN_DOUBTFUL = 2  # photos, unless it tags a single one


@dataclass(frozen=True)
class Trial:
    """What a model says of a photo; `is_unlike` if the photo is unlike all training photos."""

    photo: Photo
    prediction: Prediction
    is_unlike: bool

    @property
    def is_tagged(self) -> bool:
        return bool(self.prediction.tags)

    @property
    def caption(self) -> str:
        """Below the photo: "cat 98%, sofa 61% · doubtful"."""
        tags = self.prediction.tags[:MAX_TAGS]
        listed = ", ".join(f"{tag.label} {whole_percent(tag.score)}" for tag in tags)
        return f"{listed or 'no tag'}{' · doubtful' if self.is_unlike else ''}"


def show(model: str, key: str, trained_on: Path, remedy: Callable[[], None]) -> None:
    """A grid of random photos, each with what the model says; nothing is saved.

    If it tags photos that are unlike those of the folder that it was `trained_on`, the page says
    so and shows the `remedy`.
    """
    ids = open_library().find_ids()
    if not ids:
        return
    st.subheader("Try it out", anchor=False)
    round_key, trials_key = f"{key}-try-round", f"{key}-try-answers"
    number = st.session_state.setdefault(round_key, 0)
    cached = st.session_state.get(trials_key)
    if cached is None or cached[0] != (model, number):
        with catch_errors(), st.spinner("Tagging a few photos of your library …"):
            chosen = random.Random(f"{model} {number}").sample(ids, min(PHOTOS, len(ids)))
            cached = st.session_state[trials_key] = (model, number), _try(model, chosen, trained_on)
    if cached is None:
        return
    trials: list[Trial] = cached[1]
    if not trials:
        st.caption("None of these photos can be read.")
        return
    tagged = [trial for trial in trials if trial.is_tagged]
    photos = count_noun(len(trials), "photo")
    st.markdown(
        f"Of {photos} of your library it would tag {len(tagged):,}. Below each photo are the"
        " tags that it would give. Nothing is saved."
    )
    unlike = sum(trial.is_unlike for trial in tagged)
    if is_doubtful(unlike, len(tagged)):
        warning = escape_markdown(explain_unlike(unlike, len(tagged)))
        st.warning(warning, icon=":material/warning:")
        remedy()
    photo_gallery.show_grid(
        [trial.photo for trial in trials],
        key=f"{key}-try-grid",
        captions={trial.photo.id: trial.caption for trial in trials},
        only_captions=True,
    )
    if len(ids) > PHOTOS:
        st.button(
            "Try other photos",
            key=f"{key}-try-others",
            icon=":material/shuffle:",
            on_click=st.session_state.__setitem__,
            args=(round_key, number + 1),
        )


def is_doubtful(unlike: int, tagged: int) -> bool:
    """Whether so many photos unlike the training photos, of those tagged, are worth a warning."""
    return unlike > 0 and unlike >= max(OVERCLAIM * tagged, min(MIN_DOUBTFUL, tagged))


def explain_unlike(unlike: int, tagged: int) -> str:
    """What it means that so many of the tagged photos are unlike the training photos."""
    look = "looks" if unlike == 1 else "look"
    return (
        f"{unlike:,} of the {count_noun(tagged, 'photo')} that it would tag {look} unlike all its"
        " training photos: these tags, marked as doubtful, are probably wrong. A model takes"
        " everything for one of its labels until it has seen photos of other things."
    )


def _try(model: str, ids: Sequence[int], trained_on: Path) -> list[Trial]:
    """What the model says of the photos that can be read: first the doubtful, then other tags."""
    library, tagger = open_library(), load_tagger(model)
    training_photos = _embed_folder(trained_on)
    trials = []
    for photo_id in ids:
        photo = library.photo(photo_id)
        try:
            data = read_original(photo)
            prediction = tagger.tag(data)
            is_unlike = bool(prediction.tags) and _is_unlike(_embed(data), training_photos)
            trials.append(Trial(photo, prediction, is_unlike))
        except (ImageError, OSError):
            continue
    return sorted(trials, key=lambda trial: (not trial.is_unlike, not trial.is_tagged))


def _embed_folder(folder: Path) -> list[Embedding]:
    """The vectors of some photos below a folder; none if it is gone."""
    paths = sorted(path for path in walk_files(folder) if path.suffix.lower() in EXTENSIONS)
    chosen = random.Random(0).sample(paths, min(TRAINING_PHOTOS, len(paths)))
    vectors = []
    for path in chosen:
        try:
            vectors += [vector for vector in [_embed(path)] if vector is not None]
        except (ImageError, OSError):
            continue
    return vectors


def _embed(photo: Path | bytes) -> Embedding | None:
    """A photo's vector in the library's space, if there is one."""
    embedded = open_library().embed(photo)
    return None if embedded is None else embedded[0]


def _is_unlike(vector: Embedding | None, training_photos: Sequence[Embedding]) -> bool:
    if vector is None or not training_photos:
        return False
    return float(np.max(np.stack(training_photos) @ vector)) < UNLIKE

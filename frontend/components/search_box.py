"""Search box component: a combobox that suggests tags, words, fields and earlier searches.

The browser filters the suggestions while somebody types (see search_box.js), and reports the
query when it is submitted. The URL holds it. Recent searches are kept by the browser.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from frontend.components.registration import register
from frontend.ui import url_state
from frontend.ui.library import count_tags, open_library
from tagger.errors import VocabularyError
from tagger.inference import vocabulary
from tagger.library.search import completion
from tagger.library.search.completion import Completion

LABEL = "Search your photos"
PLACEHOLDER = "Search your photos: dogs on a beach, dog AND NOT cat"

_component = register("search_box")


def show_search_box(name: str, *, key: str, saved: Mapping[str, str]) -> str:
    """A search box for the query parameter `name` of the URL; the query that is there.

    `saved` are queries to offer, by name.
    """
    query = url_state.get(name) or ""

    def store() -> None:
        submitted = st.session_state[key].get("submitted")
        if isinstance(submitted, str):
            url_state.update(**{name: submitted or None, url_state.PAGE: None})

    tags, words, parts = _suggestions()
    _component(
        key=key,
        data={
            "label": LABEL,
            "placeholder": PLACEHOLDER,
            "query": query,
            "tags": tags,
            "words": words,
            "parts": parts,
            "saved": [[name, query] for name, query in saved.items()],
            "storage": storage_name(),
        },
        on_submitted_change=store,
    )
    return query


def storage_name() -> str:
    """Where the browser keeps the recent searches of this library."""
    return f"image-tagger-searches-{_digest(open_library().url)}"


def _suggestions() -> tuple[list[Any], list[Any], list[Any]]:
    """Rows for the browser: of tags, of words that find tags, and of states and fields."""
    try:
        words = open_library().vocabulary
    except VocabularyError:  # a search says so
        words = vocabulary.load()
    counts = count_tags()
    return _make_rows(_digest(repr(counts)), counts, id(words), words)


@st.cache_resource(show_spinner=False, max_entries=4)
def _make_rows(
    digest: str,
    _counts: Sequence[tuple[str, int]],
    vocabulary_id: int,
    _words: vocabulary.Vocabulary,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Cached by digest and id; `vocabulary.load` keeps a vocabulary while its file is the same."""
    return (
        _to_rows(completion.complete_tags(_counts)),
        _to_rows(completion.complete_words(_counts, _words)),
        _to_rows(completion.complete_grammar()),
    )


def _to_rows(completions: Sequence[Completion]) -> list[Any]:
    return [[each.text, each.words, each.hint, each.count] for each in completions]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]

"""A model's evaluation in words: tiles, the "unknown" sentence, mistakes, the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components.html_blocks import show_confusion_matrix, show_list
from frontend.training.model_card import get_number
from frontend.ui.messages import catch_errors
from tagger.text import data_uri, percent, score

REPORT_HEIGHT = 720  # pixels
MAX_MATRIX = 24  # labels, before a confusion matrix is too wide for the page
MAX_CONFUSED = 20
FEW_PHOTOS = 100  # with fewer, figures are counts instead of percentages

Json = Mapping[str, Any]


def evaluation_tiles(evaluation: Json, validation: bool = True) -> list[tuple[str, str]]:
    """The figures of an evaluation from a card or from metrics.json, for `show_tiles`."""
    decided = evaluation.get("decision") or evaluation  # a card keeps both on one level
    photos = get_number(evaluation, "photos")
    kind = "validation photos" if validation else "test photos"
    of = f"of {photos:,.0f} {kind}" if photos is not None else f"of the {kind}"
    answered, right = get_number(decided, "known"), get_number(decided, "accuracy_of_known")
    few = photos if photos is not None and 0 < photos < FEW_PHOTOS else None
    if "map" in evaluation:
        tiles = []
        words = f"of photos with a tag get one, on {of[3:]}", "of tags are correct"
    else:
        accuracy = get_number(evaluation, "accuracy")
        if few is not None and accuracy is not None:
            tiles = [(f"{_count(accuracy, few)} right", f"of the {kind}")]
        else:
            tiles = [(percent(accuracy), f"accuracy on {of[3:]}")]
        words = ("get a label; the others are unknown", "of these labels are correct")
        if few is not None and answered is not None:
            count = round(answered * few)
            if count == few:  # the second figure would repeat the first
                return tiles
            tiles.append((_count(answered, few), words[0]))
            if right is not None and count:
                tiles.append((_count(right, count), words[1]))
            return tiles
    shares = list(zip((answered, right), words, strict=True))
    if not tiles and answered is None and right is None:  # an older card
        tiles = [(score(get_number(evaluation, "map")), f"mAP (1 is best) on {of[3:]}")]
    return tiles + [(percent(share), phrase) for share, phrase in shares if share is not None]


def _count(share: float, photos: float) -> str:
    """A share of few photos as a count: "12 of 12". A percentage would promise too much."""
    return f"{round(share * photos):,} of {photos:,.0f}"


def unknown_sentence(unknown: Any) -> str:
    """How well "unknown" works, from the `unknown` part of a card or of metrics.json."""
    accepted, fpr95 = get_number(unknown, "accepted"), get_number(unknown, "fpr95")
    photos = get_number(unknown, "photos")
    if accepted is not None:
        of = "" if photos is None else f"{photos:,.0f} "
        return f"{percent(accepted)} of {of}unrelated photos get a false tag."
    if fpr95 is not None:
        return (
            f"In a test that left out each label in turn, {percent(1 - fpr95)} of the photos of"
            " that label were unknown to it. Not tested on other photos."
        )
    return "Not tested on other photos."


def show_confusion(counts: dict[str, dict[str, float]]) -> None:
    """Photos by true and predicted label: a matrix, or a list where it would be too wide."""
    names = list(counts)
    mistakes = sorted(
        (
            (count, name, other)
            for name, row in counts.items()
            for other, count in row.items()
            if other != name and count
        ),
        key=lambda mistake: -mistake[0],
    )
    if not mistakes:
        st.markdown("None: every photo got the right label.")
    if len(names) <= MAX_MATRIX:
        show_confusion_matrix(names, counts)
        return
    show_list(
        f"{name} tagged as {other}: {count:,.0f} of {sum(counts[name].values()):,.0f} photos"
        for count, name, other in mistakes[:MAX_CONFUSED]
    )
    if len(mistakes) > MAX_CONFUSED:
        st.caption(f"and {len(mistakes) - MAX_CONFUSED:,} more kinds of mistakes")


def show_report(path: Path, name: str, key: str) -> None:
    """A training report, on a switch, and its download."""
    with catch_errors():
        html = path.read_bytes()
        with st.container(horizontal=True, vertical_alignment="center"):
            is_shown = st.toggle("Show report", key=f"{key}-shown")
            st.download_button(
                "Download report",
                html,
                file_name=f"{name} report.html",
                mime="text/html",
                key=f"{key}-kept",
                icon=":material/download:",
                on_click="ignore",
            )
        if is_shown:
            # A data: URL has an origin of its own, so the report cannot reach into the app.
            url = data_uri(html, "text/html")
            st.iframe(url, height=REPORT_HEIGHT, alt="Training report")

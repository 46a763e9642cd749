"""Models: what there is, how good each is and at what it is weak, and which one tags."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components import charts
from frontend.components.html_blocks import show_list, show_table, show_tiles
from frontend.training import evaluation
from frontend.training.model_card import (
    Model,
    confusion_cells,
    dig,
    number,
    read,
    reliability_bins,
    text,
    training_of,
    validation_of,
)
from frontend.ui.library import open_library
from frontend.ui.messages import notify, show_errors
from frontend.ui.models import activate_model, list_models, load_tagger, needs_building
from frontend.ui.pages import TRAIN
from frontend.ui.text import escape_markdown
from tagger.datasets.dataset import too_few_to_check
from tagger.inference.registry import IMAGENET
from tagger.text import percent, score

LABELS_SHOWN = 40  # in a list of names
WEAKEST_SHOWN = 12  # tags


def show() -> None:
    """The whole page."""
    st.title("Models", anchor=False)
    active = open_library().active_model()
    names = [name for name in list_models() if not name.startswith(".")]
    models = [read(name) for name in names if not needs_building(name)]
    st.markdown("What each model was taught, and how it did on photos kept aside.")
    _compare(models, active)
    if any(map(needs_building, names)):
        _offer_imagenet()
    st.page_link(TRAIN, label="Teach one of your own", icon=":material/school:")
    if readable := [model for model in models if model.error is None]:
        st.divider()
        _show_one(readable, active)


# Side by side


def _compare(models: list[Model], active: str) -> None:
    head = ["model", "labels", "photos", "right", "right of test photos", "called unknown"]
    head += ["other things taken for known", "made"]
    rows = [_compared(model, active) for model in models if model.error is None]
    if rows:
        show_table(head, rows, "The models side by side")
        st.caption(
            "Right, and called unknown: of the photos kept aside to check with. Where a photo may"
            " have several tags, mAP tells how well each ranks the photos; 1 is best. – stands for"
            " what was not measured."
        )
    for model in models:
        if model.error is not None:
            st.error(
                escape_markdown(f"{model.name} cannot be used. {model.error}"),
                icon=":material/error:",
            )
    if not models:
        st.info("There is no model yet.")


def _offer_imagenet() -> None:
    st.markdown(
        "There is also imagenet: a thousand kinds of animals, plants and things, from weights that"
        " Keras has or downloads (14 MB)."
    )
    if st.button("Make the model imagenet", key="models-imagenet", icon=":material/download:"):
        with show_errors():
            load_tagger(IMAGENET)
            st.rerun()


def _compared(model: Model, active: str) -> list[str | None]:
    found = dig(model.card, "scores")
    return [
        f"{model.name} (tags now)" if model.id == active else model.name,
        f"{len(model.labels):,}",
        _whole(_photos(model.card, "train")),
        _right(dig(found, "validation")),
        _right(dig(found, "test")),
        _unknown(dig(found, "validation")),
        _share(found, "unknown", "accepted"),
        _made(model.card),
    ]


def _right(judged: Any) -> str:
    mean = number(judged, "map")
    return percent(number(judged, "accuracy")) if mean is None else f"mAP {score(mean)}"


def _photos(card: Mapping[str, Any], split: str) -> float | None:
    size = number(card, "trained_on", "sizes", split)
    if size is not None:
        return size
    counts = dig(card, "trained_on", "photos", split)
    if not isinstance(counts, Mapping):
        return None
    return sum(number(counts, name) or 0 for name in counts)


def _whole(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _share(found: Any, *keys: str) -> str:
    return percent(number(found, *keys))


def _unknown(judged: Any) -> str:
    parts = [number(judged, reason) for reason in ("unfamiliar", "uncertain")]
    return percent(None if None in parts else sum(part or 0 for part in parts))


def _made(card: Mapping[str, Any]) -> str | None:
    try:
        return f"{datetime.fromisoformat(str(card.get('created'))).astimezone():%-d %b %Y}"
    except ValueError:
        return None


# One of them


def _show_one(models: list[Model], active: str) -> None:
    ids = [model.id for model in models]
    chosen = st.selectbox(
        "Look closer at",
        ids,
        index=ids.index(active) if active in ids else 0,
        format_func=lambda model: Path(model).stem if model.endswith(".h5") else model,
        key="models-shown",
    )
    model = models[ids.index(chosen)]
    st.header(escape_markdown(model.name), anchor=False)
    _offer_switch(model, active)
    card = model.card
    if about := text(card, "about"):
        st.text(about)
    told = ", ".join(model.labels[:LABELS_SHOWN])
    more = len(model.labels) - LABELS_SHOWN
    st.text(f"Labels: {told}{f' and {more:,} more' if more > 0 else ''}")
    run = training_of(model)
    judged = validation_of(model, run)
    _show_scores(card)
    _show_weakness(card)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_labels(model)
        if "map" in judged:
            _show_weakest_tags(judged)
        else:
            _show_confusion(judged)
    with right:
        _show_reliability(judged, key=f"models-reliability-{model.name}")
    _show_making(model)
    if run is not None and (run / "report.html").is_file():
        evaluation.show_report(run / "report.html", model.name, key=f"models-report-{model.name}")


def _offer_switch(model: Model, active: str) -> None:
    if model.id == active:
        st.markdown(":material/check: It tags your photos now.")
    elif st.button("Let it tag from now on", key=f"models-use-{model.name}", type="primary"):
        with show_errors():
            activate_model(model.id)
            notify(f"{model.name} tags your photos from now on.")
            st.rerun()


def _show_scores(card: Mapping[str, Any]) -> None:
    found = dig(card, "scores")
    validation, test = dig(found, "validation"), dig(found, "test")
    if isinstance(validation, Mapping):
        show_tiles(evaluation.evaluation_tiles(validation))
    if isinstance(test, Mapping):
        st.markdown("On test photos, from elsewhere or kept for this alone:")
        show_tiles(evaluation.evaluation_tiles(test, validation=False))
    st.markdown(escape_markdown(evaluation.unknown_sentence(dig(found, "unknown"))))


def _show_weakness(card: Mapping[str, Any]) -> None:
    st.subheader("Where it is weak", anchor=False)
    weak = card.get("weakest")
    lines = (
        [f"It {line}." for line in weak if isinstance(line, str)] if isinstance(weak, list) else []
    )
    checked = dig(card, "trained_on", "photos", "val")
    if isinstance(checked, Mapping):
        counts = {str(name): round(number(checked, name) or 0) for name in checked}
        lines += [f"{few}." for few in [too_few_to_check(counts)] if few]
    if lines:
        show_list(lines)
    else:
        st.markdown("No label stands out among the photos it was checked with.")


def _show_labels(model: Model) -> None:
    """By label: how well, from which probability on it counts, from how many photos."""
    st.subheader("Labels", anchor=False)
    rows = [
        [
            name,
            _share(model.card, "scores", "validation", "f1", name),
            _share(model.card, "decision", "thresholds", name),
            _whole(number(model.card, "trained_on", "photos", "train", name)),
            _whole(number(model.card, "trained_on", "photos", "val", name)),
        ]
        for name in model.labels
    ]
    head = ["label", "F1", "said from", "learned from", "checked on"]
    show_table(head, rows, "The labels of the model")
    st.caption(
        "F1 joins how many of a label's photos it finds and how many it names rightly. A label is"
        " said from the probability shown on. A photo with none is unknown."
    )


def _show_weakest_tags(judged: Mapping[str, Any]) -> None:
    st.subheader("Which tags it is weakest at", anchor=False)
    told = dig(judged, "ap") or {n: number(judged, "by_label", n, "ap") for n in judged["by_label"]}
    ranked = sorted((ap, name) for name in told if (ap := number(told, name)) is not None)
    show_list(f"{name}: average precision {score(ap)}" for ap, name in ranked[:WEAKEST_SHOWN])


def _show_confusion(judged: Mapping[str, Any]) -> None:
    st.subheader("What it confuses", anchor=False)
    cells = confusion_cells(judged)
    if cells:
        evaluation.show_confusion(cells)
    else:
        st.markdown("Neither its card nor a training on this machine tells.")


def _show_reliability(judged: Mapping[str, Any], key: str) -> None:
    st.subheader("Is its confidence to be believed?", anchor=False)
    before, after = (
        reliability_bins(judged, f"reliability_{when}") for when in ("before", "after")
    )
    if after:
        charts.show_reliability(before, after, key)
        st.caption("On the dotted line it is as often right as it says it is sure.")
    gap = number(judged, "ece_after")
    if gap is None:
        gap = number(judged, "calibration", "ece_after")
    if gap is not None:
        st.markdown(
            f"On average, its confidence is off by {percent(gap)} from how often it is right."
        )
    elif not after:
        st.markdown("Neither its card nor a training on this machine tells.")


def _show_making(model: Model) -> None:
    card, versions = model.card, dig(model.card, "versions")
    with st.expander("How it was made"):
        rows: list[list[str | None]] = [
            ["made", _made(card)],
            ["taught with", text(card, "trained_on", "collection")],
            ["photos learned from", _whole(_photos(card, "train"))],
            ["photos checked on", _whole(_photos(card, "val"))],
            ["network", text(card, "backbone")],
            ["sees photos at", f"{card.get('image_size')} pixels a side"],
            ["started from", text(card, "started_from") or text(card, "settings", "weights")],
            ["epochs of fine-tuning", _whole(number(card, "fine_tuning", "epochs"))],
            ["precision", text(card, "precision", "precision")],
            ["file", f"{model.path.name}, {model.size / 1e6:.1f} MB"],
        ]
        if isinstance(versions, Mapping):
            rows += [[str(name), str(version)] for name, version in versions.items()]
        show_table(["", ""], rows, "How the model was made", numbers=False)
        if command := text(card, "command"):
            st.caption("The command")
            st.code(command, language=None, wrap_lines=True)


show()

"""Models: all models side by side, one in detail, and which one is active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.components import charts
from frontend.components.html_blocks import show_list, show_table, show_tiles
from frontend.training import evaluation
from frontend.training.model_card import (
    Model,
    confusion_counts,
    find_run_folder,
    get_number,
    get_text,
    get_value,
    read_model,
    read_validation,
    reliability_bins,
)
from frontend.training.models_in_use import show_models_in_use
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, show_error
from frontend.ui.models import list_models, load_tagger, needs_building
from frontend.ui.pages import TRAIN
from frontend.ui.text import escape_markdown
from tagger.datasets.dataset import too_few_to_check
from tagger.inference.registry import IMAGENET, display_name
from tagger.text import percent, score

MAX_LABELS = 40  # in a list of names
MAX_WEAKEST = 12  # tags


def show() -> None:
    st.title("Models", anchor=False)
    active = open_library().active_model()
    names = [name for name in list_models() if not name.startswith(".")]
    models = [read_model(name) for name in names if not needs_building(name)]
    show_models_in_use()
    st.divider()
    st.markdown("What each model was taught, and how it did on photos kept aside.")
    in_use = open_library().models_in_use()
    _show_comparison(models, in_use)
    if any(map(needs_building, names)):
        _offer_imagenet()
    st.page_link(TRAIN, label="Teach one of your own", icon=":material/school:")
    if readable := [model for model in models if model.error is None]:
        st.divider()
        _show_model(readable, active)


def _show_comparison(models: list[Model], in_use: Sequence[str]) -> None:
    head = ["model", "labels", "photos", "right", "right of test photos", "called unknown"]
    head += ["other things taken for known", "made"]
    rows = [_comparison_row(model, in_use) for model in models if model.error is None]
    if rows:
        show_table(head, rows, "The models side by side")
        st.caption(
            "Right, and called unknown: of the photos kept aside to check with. Where a photo may"
            " have several tags, mAP tells how well each ranks the photos; 1 is best. – stands for"
            " what was not measured."
        )
    for model in models:
        if model.error is not None:
            show_error(f"{display_name(model.id)} cannot be used. {model.error}")
    if not models:
        st.info("There is no model yet.")


def _offer_imagenet() -> None:
    st.markdown(
        "There is also ImageNet: a thousand kinds of animals, plants and things, from weights that"
        " Keras has or downloads (14 MB)."
    )
    if st.button("Make the model ImageNet", key="models-imagenet", icon=":material/download:"):
        with catch_errors():
            load_tagger(IMAGENET)
            st.rerun()


def _comparison_row(model: Model, in_use: Sequence[str]) -> list[str | None]:
    scores, name = get_value(model.card, "scores"), display_name(model.id)
    return [
        f"{name} (in use)" if model.id in in_use else name,
        f"{len(model.labels):,}",
        _count(_photo_count(model.card, "train")),
        _accuracy(get_value(scores, "validation")),
        _accuracy(get_value(scores, "test")),
        _unknown_share(get_value(scores, "validation")),
        _share(scores, "unknown", "accepted"),
        _creation_date(model.card),
    ]


def _accuracy(evaluation: Any) -> str:
    mean_ap = get_number(evaluation, "map")
    if mean_ap is not None:
        return f"mAP {score(mean_ap)}"
    return percent(get_number(evaluation, "accuracy"))


def _photo_count(card: Mapping[str, Any], split: str) -> float | None:
    size = get_number(card, "trained_on", "sizes", split)
    if size is not None:
        return size
    counts = get_value(card, "trained_on", "photos", split)
    if not isinstance(counts, Mapping):
        return None
    return sum(get_number(counts, name) or 0 for name in counts)


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _share(data: Any, *keys: str) -> str:
    return percent(get_number(data, *keys))


def _unknown_share(evaluation: Any) -> str:
    parts = [get_number(evaluation, reason) for reason in ("unfamiliar", "uncertain")]
    return percent(None if None in parts else sum(part or 0 for part in parts))


def _creation_date(card: Mapping[str, Any]) -> str | None:
    try:
        return f"{datetime.fromisoformat(str(card.get('created'))).astimezone():%-d %b %Y}"
    except ValueError:
        return None


def _show_model(models: list[Model], active: str) -> None:
    ids = [model.id for model in models]
    selected = st.selectbox(
        "Look closer at",
        ids,
        index=ids.index(active) if active in ids else 0,
        format_func=lambda model: Path(model).stem if model.endswith(".h5") else model,
        key="models-shown",
    )
    model = models[ids.index(selected)]
    st.header(escape_markdown(display_name(model.id)), anchor=False)
    card = model.card
    if about := get_text(card, "about"):
        st.text(about)
    labels = ", ".join(model.labels[:MAX_LABELS])
    more = len(model.labels) - MAX_LABELS
    st.text(f"Labels: {labels}{f' and {more:,} more' if more > 0 else ''}")
    if (tokens := get_number(card, "words", "tokens")) is not None:
        st.text(f"Finds photos by a description: it knows {tokens:,.0f} words and stems.")
    run = find_run_folder(model)
    validation = read_validation(model, run)
    _show_scores(card)
    _show_weaknesses(card)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_labels(model)
        if "map" in validation:
            _show_weakest_tags(validation)
        else:
            _show_confusion(validation)
    with right:
        _show_reliability(validation, key=f"models-reliability-{model.name}")
    _show_training(model)
    if run is not None and (run / "report.html").is_file():
        evaluation.show_report(run / "report.html", model.name, key=f"models-report-{model.name}")


def _show_scores(card: Mapping[str, Any]) -> None:
    scores = get_value(card, "scores")
    validation, test = get_value(scores, "validation"), get_value(scores, "test")
    if isinstance(validation, Mapping):
        show_tiles(evaluation.evaluation_tiles(validation))
    if isinstance(typical := get_value(scores, "typical"), Mapping):
        st.markdown(
            f"On the {_count(get_number(typical, 'photos'))} among these that are like the photos"
            f" it is made for: {get_number(typical, 'tags_a_photo') or 0:g} tags a photo (median),"
            f" {_unknown_share(typical)} without a tag, {_share(typical, 'accuracy_of_known')} of"
            " the tags right."
        )
    if isinstance(test, Mapping):
        st.markdown("On test photos, from elsewhere or kept for this alone:")
        show_tiles(evaluation.evaluation_tiles(test, validation=False))
    st.markdown(escape_markdown(evaluation.unknown_sentence(get_value(scores, "unknown"))))


def _show_weaknesses(card: Mapping[str, Any]) -> None:
    st.subheader("Where it is weak", anchor=False)
    weakest = card.get("weakest")
    lines = (
        [f"It {line}." for line in weakest if isinstance(line, str)]
        if isinstance(weakest, list)
        else []
    )
    validation_counts = get_value(card, "trained_on", "photos", "val")
    if isinstance(validation_counts, Mapping):
        counts = {
            str(name): round(get_number(validation_counts, name) or 0) for name in validation_counts
        }
        if too_few := too_few_to_check(counts):
            lines.append(f"{too_few}.")
    if lines:
        show_list(lines)
    else:
        st.markdown("No label stands out among the photos it was checked with.")


def _show_labels(model: Model) -> None:
    """A table of F1, threshold and photos by label."""
    st.subheader("Labels", anchor=False)
    rows = [
        [
            name,
            _share(model.card, "scores", "validation", "f1", name),
            _share(model.card, "decision", "thresholds", name),
            _count(get_number(model.card, "trained_on", "photos", "train", name)),
            _count(get_number(model.card, "trained_on", "photos", "val", name)),
        ]
        for name in model.labels
    ]
    head = ["label", "F1", "said from", "learned from", "checked on"]
    caption = (
        "F1 joins how many of a label's photos it finds and how many it names rightly. A label is"
        " said from the probability shown on. A photo with none is unknown."
    )
    if isinstance(model.card.get("tags"), Mapping):
        head += ["said of", "right"]
        for name, row in zip(model.labels, rows, strict=True):
            row += [
                _count(get_number(model.card, "tags", name, "predicted")),
                _share(model.card, "tags", name, "precision"),
            ]
        caption += (
            " Said of counts the photos kept aside that got the tag, where somebody looked for it,"
            " and right is the share of them that have it; no photo counts that fitted the tag."
        )
    show_table(head, rows, "The labels of the model")
    st.caption(caption)


def _show_weakest_tags(validation: Mapping[str, Any]) -> None:
    st.subheader("Which tags it is weakest at", anchor=False)
    by_label = get_value(validation, "ap")
    if not by_label:
        rows = get_value(validation, "by_label")
        names = rows if isinstance(rows, Mapping) else ()
        by_label = {name: get_number(rows, name, "ap") for name in names}
    names = by_label if isinstance(by_label, Mapping) else ()
    ranked = sorted((ap, name) for name in names if (ap := get_number(by_label, name)) is not None)
    show_list(f"{name}: average precision {score(ap)}" for ap, name in ranked[:MAX_WEAKEST])


def _show_confusion(validation: Mapping[str, Any]) -> None:
    st.subheader("What it confuses", anchor=False)
    counts = confusion_counts(validation)
    if counts:
        evaluation.show_confusion(counts)
    else:
        st.markdown("Neither its card nor a training on this machine tells.")


def _show_reliability(validation: Mapping[str, Any], key: str) -> None:
    st.subheader("Is its confidence to be believed?", anchor=False)
    before, after = (
        reliability_bins(validation, f"reliability_{when}") for when in ("before", "after")
    )
    if after:
        charts.show_reliability(before, after, key)
        st.caption("On the dotted line it is as often right as it says it is sure.")
    gap = get_number(validation, "ece_after")
    if gap is None:
        gap = get_number(validation, "calibration", "ece_after")
    if gap is not None:
        st.markdown(
            f"On average, its confidence is off by {percent(gap)} from how often it is right."
        )
    elif not after:
        st.markdown("Neither its card nor a training on this machine tells.")


def _show_training(model: Model) -> None:
    card, versions = model.card, get_value(model.card, "versions")
    with st.expander("How it was made"):
        rows: list[list[str | None]] = [
            ["made", _creation_date(card)],
            ["taught with", get_text(card, "trained_on", "collection")],
            ["photos learned from", _count(_photo_count(card, "train"))],
            ["photos checked on", _count(_photo_count(card, "val"))],
            ["network", get_text(card, "backbone")],
            ["sees photos at", f"{card.get('image_size')} pixels a side"],
            [
                "started from",
                get_text(card, "started_from") or get_text(card, "settings", "weights"),
            ],
            ["epochs of fine-tuning", _count(get_number(card, "fine_tuning", "epochs"))],
            ["precision", get_text(card, "precision", "precision")],
            ["file", f"{model.path.name}, {model.size / 1e6:.1f} MB"],
        ]
        if isinstance(versions, Mapping):
            rows += [[str(name), str(version)] for name, version in versions.items()]
        show_table(["", ""], rows, "How the model was made", numbers=False)
        if command := get_text(card, "command"):
            st.caption("The command")
            st.code(command, language=None, wrap_lines=True)


show()

"""Models: which are in use, all side by side, and one in detail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from frontend.components import charts
from frontend.components.html_blocks import show_list, show_tiles
from frontend.components.tables import show_table
from frontend.training import evaluation
from frontend.training.model_card import (
    Model,
    confusion_counts,
    find_run_folder,
    first_sentence,
    get_number,
    get_text,
    get_value,
    read_model,
    read_validation,
    reliability_bins,
)
from frontend.training.models_in_use import OPEN_KEY, show_models_in_use
from frontend.ui.library import open_library
from frontend.ui.messages import show_error
from frontend.ui.models import list_models, needs_building
from frontend.ui.pages import TRAIN
from frontend.ui.text import escape_markdown
from tagger.datasets.dataset import too_few_to_check
from tagger.inference.registry import display_name
from tagger.text import percent, score

MAX_LABELS = 40  # in a list of names
MAX_WEAKEST = 12  # tags


def show() -> None:
    st.title("Models", anchor=False)
    show_models_in_use()
    names = [name for name in list_models() if not name.startswith(".")]
    models = [read_model(name) for name in names if not needs_building(name)]
    st.divider()
    st.subheader("Compare", anchor=False)
    _show_comparison(models, open_library().models_in_use())
    st.page_link(TRAIN, label="Train a model of your own", icon=":material/school:")
    if readable := [model for model in models if model.error is None]:
        st.divider()
        _show_model(readable, open_library().active_model())


def _show_comparison(models: list[Model], in_use: Sequence[str]) -> None:
    readable = [model for model in models if model.error is None]
    rows = [_comparison_row(model, in_use) for model in readable]
    if rows:
        cells = [list(row.values()) for row in rows]
        show_table(list(rows[0]), cells, "Models side by side", key="models-compare")
        st.caption(
            "Correct tags: how many of the tags it gives are right. Both shares are of photos that"
            " it was not trained on; – is what was not measured. Details has more figures."
        )
    for model in models:
        if model.error is not None:
            show_error(f"{display_name(model.id)} cannot be used. {model.error}")
    if not models:
        st.info("There is no model yet.")


def _comparison_row(model: Model, in_use: Sequence[str]) -> dict[str, Any]:
    validation, name = get_value(model.card, "scores", "validation"), display_name(model.id)
    return {
        "model": f"{name} (in use)" if model.id in in_use else name,
        "tags": len(model.labels),
        "training photos": _whole(_photo_count(model.card, "train")),
        "correct tags": _share_correct(validation),
        "photos without a tag": _unknown_share(validation),
        "made": _creation_date(model.card),
    }


def _share_correct(evaluation: Any) -> str | None:
    """The share of the tags that it gives that are correct."""
    share = get_number(evaluation, "accuracy_of_known")
    if share is None and get_number(evaluation, "map") is None:
        share = get_number(evaluation, "accuracy")
    return None if share is None else percent(share)


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


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


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
        "Details",
        ids,
        index=ids.index(active) if active in ids else 0,
        format_func=display_name,
        key=OPEN_KEY,
    )
    model = models[ids.index(selected)]
    st.header(escape_markdown(display_name(model.id)), anchor=False)
    card = model.card
    if about := get_text(card, "about"):
        st.text(first_sentence(about))
    labels = ", ".join(model.labels[:MAX_LABELS])
    more = len(model.labels) - MAX_LABELS
    st.text(f"Labels: {labels}{f' and {more:,} more' if more > 0 else ''}")
    if (tokens := get_number(card, "words", "tokens")) is not None:
        st.text(f"Finds photos by description, with {tokens:,.0f} words.")
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
            f"On the {_count(get_number(typical, 'photos'))} ordinary photos among these:"
            f" {get_number(typical, 'tags_a_photo') or 0:g} tags a photo (median),"
            f" {_unknown_share(typical)} without a tag, {_share(typical, 'accuracy_of_known')} of"
            " the tags correct."
        )
    if isinstance(test, Mapping):
        st.markdown("On separate test photos:")
        show_tiles(evaluation.evaluation_tiles(test, validation=False))
    st.markdown(escape_markdown(evaluation.unknown_sentence(get_value(scores, "unknown"))))


def _show_weaknesses(card: Mapping[str, Any]) -> None:
    st.subheader("Weaknesses", anchor=False)
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
        st.markdown("No label stands out among the validation photos.")


def _show_labels(model: Model) -> None:
    """A table of quality, threshold and photos by label."""
    st.subheader("Labels", anchor=False)
    rows: list[list[Any]] = [
        [
            name,
            _share(model.card, "scores", "validation", "f1", name),
            _share(model.card, "decision", "thresholds", name),
            _whole(get_number(model.card, "trained_on", "photos", "train", name)),
            _whole(get_number(model.card, "trained_on", "photos", "val", name)),
        ]
        for name in model.labels
    ]
    head = ["label", "quality", "threshold", "training", "validation"]
    caption = (
        "Quality: 100% if all photos of a label get it, and no others do (F1). A photo gets a label"
        " from the threshold on; with none it is unknown."
    )
    if isinstance(model.card.get("tags"), Mapping):
        head += ["tagged", "correct"]
        for name, row in zip(model.labels, rows, strict=True):
            row += [
                _whole(get_number(model.card, "tags", name, "predicted")),
                _share(model.card, "tags", name, "precision"),
            ]
        caption += (
            " Tagged counts the validation photos that got the tag, and correct is the share of"
            " them that have it; photos that set its threshold are left out."
        )
    show_table(head, rows, f"Labels of {display_name(model.id)}", key="models-labels")
    st.caption(caption)


def _show_weakest_tags(validation: Mapping[str, Any]) -> None:
    st.subheader("Weakest tags", anchor=False)
    by_label = get_value(validation, "ap")
    if not by_label:
        rows = get_value(validation, "by_label")
        names = rows if isinstance(rows, Mapping) else ()
        by_label = {name: get_number(rows, name, "ap") for name in names}
    names = by_label if isinstance(by_label, Mapping) else ()
    ranked = sorted((ap, name) for name in names if (ap := get_number(by_label, name)) is not None)
    show_list(f"{name}: {score(ap)}" for ap, name in ranked[:MAX_WEAKEST])
    st.caption(
        "How well photos with the tag are ranked before the others; 1 is best (average precision)."
    )


def _show_confusion(validation: Mapping[str, Any]) -> None:
    st.subheader("Mistakes", anchor=False)
    counts = confusion_counts(validation)
    if counts:
        evaluation.show_confusion(counts)
    else:
        st.markdown("Not measured.")


def _show_reliability(validation: Mapping[str, Any], key: str) -> None:
    st.subheader("Calibration", anchor=False)
    before, after = (
        reliability_bins(validation, f"reliability_{when}") for when in ("before", "after")
    )
    if after:
        charts.show_reliability(before, after, key)
        st.caption("Dotted line = perfect.")
    gap = get_number(validation, "ece_after")
    if gap is None:
        gap = get_number(validation, "calibration", "ece_after")
    if gap is not None:
        st.markdown(f"On average, confidence and accuracy differ by {percent(gap)}.")
    elif not after:
        st.markdown("Not measured.")


def _show_training(model: Model) -> None:
    card, versions = model.card, get_value(model.card, "versions")
    with st.expander("Training and technical details", key="models-details"):
        rows: list[list[str | None]] = [
            ["made", _creation_date(card)],
            ["description", get_text(card, "about")],
            ["trained on", get_text(card, "trained_on", "collection")],
            ["training photos", _count(_photo_count(card, "train"))],
            ["validation photos", _count(_photo_count(card, "val"))],
            ["network", get_text(card, "backbone")],
            ["image size", f"{card.get('image_size')} pixels"],
            [
                "started from",
                get_text(card, "started_from") or get_text(card, "settings", "weights"),
            ],
            ["epochs of fine-tuning", _count(get_number(card, "fine_tuning", "epochs"))],
            ["precision", get_text(card, "precision", "precision")],
            ["file", f"{model.path.name}, {model.size / 1e6:.1f} MB"],
        ]
        rows += [
            [f"{title}, {kind} photos", score(value)]
            for kind in ("validation", "test")
            for title, figure in (("mAP", "map"), ("F1 over all tags", "micro_f1"))
            if (value := get_number(card, "scores", kind, figure)) is not None
        ]
        if isinstance(versions, Mapping):
            rows += [[str(name), str(version)] for name, version in versions.items()]
        name = "How the model was trained"
        show_table(["", "value"], rows, name, key="models-training", numbers=False)
        if command := get_text(card, "command"):
            st.caption("Command")
            st.code(command, language=None, wrap_lines=True)


show()

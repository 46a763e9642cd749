"""Interactive charts of training and calibration, drawn by Vega-Lite in the page's theme.

`tagger.training.report.charts` draws the same figures as pictures for the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

ACCENT, MUTED = "#c4532d", "#8a8178"  # visible on light and dark
HEIGHT = 220  # pixels

Bin = Mapping[str, float]


def show_reliability(before: Sequence[Bin], after: Sequence[Bin], key: str) -> None:
    """Reliability diagram: accuracy by confidence, before and after calibration."""
    values = [
        {"when": when, **{name: bin[name] for name in ("confidence", "accuracy", "photos")}}
        for when, bins in (("before calibration", before), ("after", after))
        for bin in bins
    ]
    axis = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}
    share = {"type": "quantitative", "scale": {"domain": [0, 1]}}
    tooltip = [
        {"field": name, "type": "quantitative"} for name in ("photos", "confidence", "accuracy")
    ]
    spec = {
        "height": HEIGHT + 60,
        "layer": [
            {
                "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": MUTED, "opacity": 0.7},
                "encoding": {"x": {"field": "x", **share}, "y": {"field": "y", **share}},
            },
            {
                "data": {"values": values},
                "mark": {"type": "line", "point": {"size": 50}},
                "encoding": {
                    "x": {"field": "confidence", "title": "confidence", "axis": axis, **share},
                    "y": {"field": "accuracy", "title": "accuracy", "axis": axis, **share},
                    "color": _series("when", ["before calibration", "after"], [MUTED, ACCENT]),
                    "tooltip": tooltip,
                },
            },
        ],
    }
    st.vega_lite_chart(spec, key=key, alt="Accuracy by confidence")


def show_curves(history: Sequence[Mapping[str, float]], epochs: int, key: str) -> None:
    """Loss and accuracy (or mAP) by epoch; `history` as `run_folder.read_history` gives it."""
    losses: list[dict[str, Any]] = [
        {"epoch": row["epoch"], "photos": photos, "loss": row[name]}
        for row in history
        for name, photos in (("loss", "training"), ("val_loss", "validation"))
        if math.isfinite(row[name])  # there is no training loss before the first epoch
    ]
    is_map = is_multi_label(history[0])
    metric = "val_map" if is_map else "val_accuracy"
    scores = [{"epoch": row["epoch"], "right": row[metric]} for row in history]
    lowest = min(row[metric] for row in history)
    step = max(1, -(-epochs // 10))
    epoch = {
        "field": "epoch",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, epochs]},
        "axis": {"values": list(range(0, epochs + 1, step)), "format": "d", "grid": False},
    }
    highest = max((point["loss"] for point in losses), default=1.0)
    # Domains that new epochs hardly ever change, so that the lines do not jump.
    loss = {
        "field": "loss",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, math.ceil(highest * 10) / 10]},
    }
    right = {
        "field": "right",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [max(0.0, math.floor(lowest * 20 - 1) / 20), 1]},
        "axis": {"format": ".2f" if is_map else ".0%", "tickCount": 4},
    }
    photos = _series("photos", ["training", "validation"], [MUTED, ACCENT])
    left_column, right_column = st.columns(2, gap="medium")
    with left_column:
        st.markdown("**Loss** by epoch: lower is better")
        _show_lines(losses, {"x": epoch, "y": loss, "color": photos}, f"{key}-loss")
    with right_column:
        title = "mAP" if is_map else "Accuracy"
        st.markdown(f"**{title}** on validation photos: higher is better")
        _show_lines(scores, {"x": epoch, "y": right}, f"{key}-right")


def is_multi_label(row: Mapping[str, float]) -> bool:
    """Whether a row of the history is of a multi-label model, which has an mAP."""
    return not math.isnan(row.get("val_map", math.nan))


def _series(field: str, names: list[str], colors: list[str]) -> dict[str, Any]:
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": names, "range": colors},
        "legend": {"title": None, "orient": "top"},
    }


def _show_lines(values: list[dict[str, Any]], encoding: Mapping[str, Any], key: str) -> None:
    mark = {"type": "line", "color": ACCENT, "point": {"size": 45, "color": ACCENT}}
    if "color" in encoding:
        mark = {"type": "line", "point": {"size": 45}}
    spec = {"height": HEIGHT, "data": {"values": values}, "mark": mark, "encoding": encoding}
    st.vega_lite_chart(spec, key=key)

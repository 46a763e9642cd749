"""What a model scores, shown: numbers, tables, the confusion matrix, reliability, curves, reports.

Every name is put on the page as text: tables are HTML with each cell escaped, since Streamlit's own
would read them as Markdown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from frontend.training.model_card import number
from frontend.ui.messages import show_errors
from tagger.text import data_uri, escape_controls, percent, score

CSS = Path(__file__).with_name("evaluation.css")

ACCENT, SECOND = "#c4532d", "#8a8178"  # seen on light and on dark
CHART_HEIGHT = 220  # pixels
REPORT_HEIGHT = 720
MAX_CONFUSION = 24  # labels, before a matrix is too fine to read on a page
MAX_CONFUSED = 20

Json = Mapping[str, Any]
Bin = Mapping[str, float]


def tiles(numbers: Iterable[tuple[str, str]]) -> None:
    """Large numbers, each with the words below it that say of what."""
    st.html(
        '<div class="it-tiles">'
        + "".join(f"<p><b>{_cell(value)}</b> {_cell(words)}</p>" for value, words in numbers)
        + "</div>"
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[str | None]], name: str, numbers: bool = True
) -> None:
    """A table whose first column names the rows; `numbers` stand at the right of theirs."""
    st.html(
        f'<div class="it-scroll"><table class="it-table{" it-numbers" if numbers else ""}"'
        f' aria-label="{_cell(name)}"><thead><tr>'
        + "".join(f'<th scope="col">{_cell(title)}</th>' for title in head)
        + "</tr></thead><tbody>"
        + "".join(_row(row) for row in rows)
        + "</tbody></table></div>"
    )


def _row(cells: Sequence[str | None]) -> str:
    first, *rest = cells
    named = f'<th scope="row" dir="auto">{_cell(first)}</th>'
    return f"<tr>{named}{''.join(f'<td>{_cell(cell)}</td>' for cell in rest)}</tr>"


def _cell(text: str | None) -> str:
    return "–" if text is None else escape(escape_controls(text))


def sentences(lines: Iterable[str]) -> None:
    """A list of sentences."""
    st.html('<ul class="it-list">' + "".join(f"<li>{_cell(line)}</li>" for line in lines) + "</ul>")


def judgement(judged: Json, validation: bool = True) -> list[tuple[str, str]]:
    """The numbers of a judgement, of a card or of metrics, for `tiles`."""
    decided = judged.get("decision") or judged  # a card keeps both on one level
    photos = number(judged, "photos")
    kind = "photos kept aside to check with" if validation else "test photos"
    of = f"of {photos:,.0f} {kind}" if photos is not None else f"of the {kind}"
    known, right = number(decided, "known"), number(decided, "accuracy_of_known")
    if "map" in judged:
        return _judgement_of_tags(judged, decided, of)
    found = [(percent(number(judged, "accuracy")), f"{of} get the right label")]
    if known is not None:
        found.append((percent(known), "of them get an answer; the others are called unknown"))
    if right is not None:
        found.append((percent(right), "of the answers are right"))
    return found


def _judgement_of_tags(judged: Json, decided: Json, of: str) -> list[tuple[str, str]]:
    found = [
        (
            score(number(judged, "map")),
            f"is how well tags are ranked on {of[3:]} (mAP; 1 is best)",
        ),
        (score(number(judged, "micro_f1")), "is F1, over all tags said and all there are"),
    ]
    known, right = number(decided, "known"), number(decided, "accuracy_of_known")
    if known is not None:
        found.append((percent(known), "of the photos that have a tag get one"))
    if right is not None:
        found.append((percent(right), "of the tags said are right"))
    return found


def unknown_sentence(unknown: Any) -> str:
    """How well "unknown" works, in a sentence."""
    accepted, fpr95 = number(unknown, "accepted"), number(unknown, "fpr95")
    photos = number(unknown, "photos")
    if accepted is not None:
        of = "" if photos is None else f"{photos:,.0f} "
        return (
            f"Of {of}photos of other things, {percent(accepted)} are taken for one of its labels."
        )
    if fpr95 is not None:
        return (
            f"Leaving out each label in turn, {percent(fpr95)} of its photos still look familiar"
            " when 95% of the others do. Photos of other things may fare differently."
        )
    return (
        "How well it tells photos of other things was not measured. In a terminal, train.py does"
        " so with a folder of such photos (see python train.py --help)."
    )


def confusion(cells: Mapping[str, Mapping[str, float]]) -> None:
    """Photos by true label and by the label they were given."""
    names = list(cells)
    wrong = sorted(
        (
            (count, name, other)
            for name, row in cells.items()
            for other, count in row.items()
            if other != name and count
        ),
        key=lambda pair: -pair[0],
    )
    if not wrong:
        st.markdown("None: the likeliest label of every photo was the right one.")
    if len(names) <= MAX_CONFUSION:
        _matrix(names, cells)
        return
    sentences(
        f"{count:,.0f} of {sum(cells[name].values()):,.0f} photos of {name} taken for {other}"
        for count, name, other in wrong[:MAX_CONFUSED]
    )
    if len(wrong) > MAX_CONFUSED:
        st.caption(f"and {len(wrong) - MAX_CONFUSED:,} more kinds of mistakes")


def _matrix(names: Sequence[str], cells: Mapping[str, Mapping[str, float]]) -> None:
    head = "".join(f'<th scope="col" dir="auto">{_cell(name)}</th>' for name in names)
    body = ""
    for name in names:
        row = cells[name]
        total = max(1.0, sum(row.values()))
        body += f'<tr><th scope="row" dir="auto">{_cell(name)}</th>'
        for other in names:
            count = row.get(other, 0)
            kind = "it-right" if other == name else "it-wrong"
            # The square root, so that a few mistakes are seen beside many hits.
            shade = round(100 * (count / total) ** 0.5)
            body += f'<td class="{kind}" style="--it-shade:{shade}%">{count:,.0f}</td>'
        body += "</tr>"
    st.html(
        '<div class="it-scroll"><table class="it-table it-numbers it-matrix"'
        ' aria-label="Photos by their label, and by the label given">'
        f'<thead><tr><th scope="col">is ↓ &nbsp;called →</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def reliability(before: Sequence[Bin], after: Sequence[Bin], key: str) -> None:
    """Share right by confidence, before and after calibration."""
    values = [
        {"when": when, **{name: bin[name] for name in ("confidence", "accuracy", "photos")}}
        for when, bins in (("before calibration", before), ("after", after))
        for bin in bins
    ]
    axis = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}
    share = {"type": "quantitative", "scale": {"domain": [0, 1]}}
    tips = [{"field": name, "type": "quantitative"} for name in ("photos", "confidence")]
    spec = {
        "height": CHART_HEIGHT + 60,
        "layer": [
            {
                "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": SECOND, "opacity": 0.7},
                "encoding": {"x": {"field": "x", **share}, "y": {"field": "y", **share}},
            },
            {
                "data": {"values": values},
                "mark": {"type": "line", "point": {"size": 50}},
                "encoding": {
                    "x": {"field": "confidence", "title": "how sure", "axis": axis, **share},
                    "y": {"field": "accuracy", "title": "how often right", "axis": axis, **share},
                    "color": _series("when", ["before calibration", "after"], [SECOND, ACCENT]),
                    "tooltip": [*tips, {"field": "accuracy", "type": "quantitative"}],
                },
            },
        ],
    }
    st.vega_lite_chart(spec, key=key, alt="How often it is right, by how sure it says it is")


def curves(history: Sequence[Mapping[str, float]], epochs: int, key: str) -> None:
    """Loss and accuracy by epoch, of so many; see `tagger.report.read_history`."""
    losses = [
        {"epoch": row["epoch"], "photos": photos, "loss": row[name]}
        for row in history
        for name, photos in (("loss", "learned from"), ("val_loss", "kept aside"))
        if row[name] == row[name]  # not a number: the loss before the first epoch
    ]
    ranked = is_of_tags(history[0])
    rights = [row["val_map" if ranked else "val_accuracy"] for row in history]
    accuracy = [{"epoch": r["epoch"], "right": v} for r, v in zip(history, rights, strict=True)]
    lowest = min(rights)
    step = max(1, -(-epochs // 10))
    epoch = {
        "field": "epoch",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, epochs]},
        "axis": {"values": list(range(0, epochs + 1, step)), "format": "d", "grid": False},
    }
    loss = {"field": "loss", "type": "quantitative", "title": None}
    right = {
        "field": "right",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [max(0.0, math.floor(lowest * 20 - 1) / 20), 1]},
        "axis": {"format": ".2f" if ranked else ".0%", "tickCount": 4},
    }
    photos = _series("photos", ["learned from", "kept aside"], [SECOND, ACCENT])
    left, other = st.columns(2, gap="medium")
    with left:
        st.markdown("**How wrong**, by epoch (the loss): lower is better")
        _chart(losses, {"x": epoch, "y": loss, "color": photos}, f"{key}-loss")
    with other:
        told = "How well tags are ranked (mAP)" if ranked else "How often right"
        st.markdown(f"**{told}** on photos kept aside: higher is better")
        _chart(accuracy, {"x": epoch, "y": right}, f"{key}-right")


def is_of_tags(row: Mapping[str, float]) -> bool:
    """Whether a row of the history is of a model whose photos may have several labels."""
    return not math.isnan(row.get("val_map", math.nan))


def _series(field: str, names: list[str], colours: list[str]) -> dict[str, Any]:
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": names, "range": colours},
        "legend": {"title": None, "orient": "top"},
    }


def _chart(values: list[dict[str, Any]], encoding: Json, key: str) -> None:
    mark = {"type": "line", "color": ACCENT, "point": {"size": 45, "color": ACCENT}}
    if "color" in encoding:
        mark = {"type": "line", "point": {"size": 45}}
    spec = {"height": CHART_HEIGHT, "data": {"values": values}, "mark": mark, "encoding": encoding}
    st.vega_lite_chart(spec, key=key)


def report(page: Path, name: str, key: str) -> None:
    """A training report, to be shown here or kept."""
    with show_errors():
        html = page.read_bytes()
        with st.container(horizontal=True, vertical_alignment="center"):
            shown = st.toggle("Show the report", key=f"{key}-shown")
            st.download_button(
                "Download the report",
                html,
                file_name=f"{name} report.html",
                mime="text/html",
                key=f"{key}-kept",
                icon=":material/download:",
                on_click="ignore",
            )
        if shown:
            # As a data: URL the page has an origin of its own, and cannot reach into the app.
            url = data_uri(html, "text/html")
            st.iframe(url, height=REPORT_HEIGHT, alt="Training report")

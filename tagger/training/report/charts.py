"""Charts of the report: confusion, reliability, accepted unknown photos, training curves.

Figures are created without pyplot and its global state; matplotlib is imported when the first is
drawn.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tagger.files import write_atomically
from tagger.text import data_uri, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MAX_ANNOTATED = 20  # labels of a confusion matrix with room to print the counts
MAX_BARS = 40  # in a bar chart
NAME_LENGTH = 24  # letters of a label
DOTS_PER_INCH, CSS_PIXELS_PER_INCH = 150, 90  # sharp on dense screens too
# The app's colours, visible on light and dark: see frontend/.streamlit/config.toml.
ACCENT, MUTED, FAINT, INK = "#c4532d", "#8a8178", "#b3a99b", "#1a1713"

# Fallbacks, where installed, for letters that matplotlib's own font lacks.
_FONTS = (
    "Noto Sans CJK SC",
    "PingFang SC",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Emoji",
)

Json = dict[str, Any]  # parts of metrics.json, perhaps of an older version


@dataclass(frozen=True)
class Picture:
    """A chart for the page: a data URI, and its width in CSS pixels."""

    uri: str
    width: int


def save(figure: Figure, path: Path) -> Picture:
    """Write the figure to `path` as PNG."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # a letter that no font here has is drawn as a box
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, transparent=True)
    write_atomically(path, buffer.getvalue())
    width = round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
    return Picture(data_uri(buffer.getvalue(), "image/png"), width)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, alpha=0.35, linewidth=0.8)
    axes.set_axisbelow(True)


def _percent_axis(axes: Axes, which: str) -> None:
    from matplotlib.ticker import PercentFormatter

    getattr(axes, f"{which}axis").set_major_formatter(PercentFormatter(1.0))


def _name_style(size: float) -> Json:
    """Text style of label names, without mathtext: a `$` is a dollar."""
    from matplotlib.font_manager import fontManager

    installed = set(fontManager.get_font_names())
    families = ["DejaVu Sans", *(font for font in _FONTS if font in installed)]
    return {"parse_math": False, "fontfamily": families, "fontsize": size}


def _shorten(name: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return printable if len(printable) <= NAME_LENGTH else printable[: NAME_LENGTH - 1] + "…"


def draw_confusion(labels: list[str], confusion: list[list[int]]) -> Figure:
    """Confusion matrix, true label by predicted label, coloured by share of the true label."""
    from matplotlib.colors import PowerNorm

    counts = np.array(confusion)  # (C, C), true label by predicted label
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = len(labels) <= MAX_ANNOTATED
    side = max(4.2, 2.2 + (0.42 if few else 0.15) * len(labels))
    figure = _figure(side + 0.9, side)
    axes = figure.add_subplot()
    norm = PowerNorm(0.5, 0, 1)  # makes few mistakes visible beside many hits
    image = axes.imshow(shares, cmap=_shades(), norm=norm)
    style = _name_style(9 if few else 7)
    names, ticks = [_shorten(label) for label in labels], range(len(labels))
    tilt = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if few else {"rotation": 90}
    axes.set_xticks(ticks, names, **style, **tilt)
    axes.set_yticks(ticks, names, **style)
    axes.set(xlabel="predicted", ylabel="true label")
    axes.spines[:].set_visible(False)
    if few:
        _print_counts(axes, counts, norm(shares))
    bar = figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true label's photos")
    bar.outline.set_visible(False)
    _percent_axis(bar.ax, "y")
    return figure


def _shades() -> Colormap:
    """From the page's paper to the accent colour."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shades", ["#f3ece2", ACCENT])


def _print_counts(axes: Axes, counts: Any, darkness: Any) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if darkness[row, column] > 0.6 else INK
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, size=9)


def draw_reliability(calibration: Json) -> Figure:
    """Reliability diagram before and after calibration, and photos by confidence."""
    figure = _figure(5, 4.8)
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], color=FAINT, linestyle=":", label="perfect")
    for when, colour in (("before", MUTED), ("after", ACCENT)):
        bins = calibration[f"reliability_{when}"]
        confidence, accuracy = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        upper.plot(confidence, accuracy, "o-", color=colour, label=f"{when} calibration")
    bins = calibration["reliability_after"]
    lower.bar([b["confidence"] for b in bins], [b["photos"] for b in bins], 0.03, color=ACCENT)
    lower.set(xlabel="confidence", ylabel="photos", xlim=(0, 1.02))
    upper.set(ylabel="accuracy", ylim=(-0.02, 1.04))
    upper.legend(frameon=False, loc="upper left")
    for axes in (upper, lower):
        _style(axes)
    _percent_axis(upper, "y")
    _percent_axis(lower, "x")
    return figure


def draw_unknown(unknown: Json) -> Figure:
    """Share of unknown photos accepted, by kind in falling order, then over all photos."""
    measure = "fpr95" if unknown["accepted"] is None else "accepted"
    kinds = sorted(unknown["by_kind"].items(), key=lambda item: -item[1][measure])[:MAX_BARS]
    names = [name for name, _ in kinds] + ["all"]
    shares = [row[measure] for _, row in kinds] + [unknown[measure]]
    colours = [ACCENT] * len(kinds) + [MUTED]
    figure, axes = _draw_bars(names, shares, [percent(share) for share in shares], colours, 0.28)
    axes.set_xlim(0, min(1.12, max(0.05, 1.2 * max(shares))))
    axes.set_xlabel("false tags" + (" (FPR95)" if measure == "fpr95" else ""))
    _percent_axis(axes, "x")
    return figure


def draw_precision(by_label: Json) -> Figure:
    """Average precision by tag, the lowest first."""
    ranked = [(row["ap"], name) for name, row in by_label.items() if row["ap"] is not None]
    ranked = sorted(ranked)[:MAX_BARS]
    precisions, names = [ap for ap, _ in ranked], [name for _, name in ranked]
    colours = [ACCENT] * len(names)
    figure, axes = _draw_bars(names, precisions, [f"{ap:.2f}" for ap in precisions], colours, 0.24)
    axes.set_xlim(0, 1.12)
    axes.set_xlabel("average precision")
    return figure


def _draw_bars(
    names: list[str], values: list[float], texts: list[str], colours: list[str], height: float
) -> tuple[Figure, Axes]:
    """Horizontal bars, each with its text, `height` inches apart."""
    figure = _figure(5.4, 1.2 + height * max(1, len(names)))
    axes = figure.add_subplot()
    bars = axes.barh(range(len(names)), values, color=colours)
    axes.bar_label(bars, texts, padding=4, size=9)
    axes.set_yticks(range(len(names)), [_shorten(name) for name in names], **_name_style(9))
    axes.set_ylim(len(names) - 0.4, -0.6)
    _style(axes)
    axes.grid(visible=False, axis="y")
    return figure, axes


def draw_curves(history: list[dict[str, float]]) -> Figure:
    """Loss, and accuracy or mAP, by epoch."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(5, 5.4)
    upper, lower = figure.subplots(2, sharex=True)
    epochs = [row["epoch"] for row in history]
    for name, label, colour in (("loss", "training", MUTED), ("val_loss", "validation", ACCENT)):
        upper.plot(epochs, [row[name] for row in history], "o-", ms=4, color=colour, label=label)
    upper.legend(frameon=False)
    tags = not math.isnan(history[0].get("val_map", math.nan))
    column, quality = ("val_map", "mAP") if tags else ("val_accuracy", "accuracy")
    lower.plot(epochs, [row[column] for row in history], "o-", ms=4, color=ACCENT)
    upper.set(ylabel="loss")
    lower.set(xlabel="epoch (0: the head alone)", ylabel=f"{quality} on validation")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (upper, lower):
        _style(axes)
    _percent_axis(lower, "y")
    return figure

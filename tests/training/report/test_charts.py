"""Charts, one at a time; test_html.py checks them on the page."""

from __future__ import annotations

import base64
import math
from pathlib import Path

from tagger.images import decode
from tagger.training.report import charts


def test_a_chart_is_saved_and_returned_as_a_data_uri(tmp_path: Path) -> None:
    figure = charts.draw_confusion(["cat", "dog"], [[9, 1], [0, 10]])
    picture = charts.save(figure, tmp_path / "confusion.png")
    media_type, data = picture.uri.split(",")
    assert media_type == "data:image/png;base64"
    assert base64.b64decode(data) == (tmp_path / "confusion.png").read_bytes()
    width = decode.read(tmp_path / "confusion.png").shape[1]
    assert picture.width < width  # sharp on dense screens
    assert [path.name for path in tmp_path.iterdir()] == ["confusion.png"]


def test_the_confusion_matrix_is_dark_where_photos_are(tmp_path: Path) -> None:
    for name, table in (("right", [[50, 0], [0, 50]]), ("wrong", [[0, 50], [50, 0]])):
        charts.save(charts.draw_confusion(["cat", "dog"], table), tmp_path / f"{name}.png")
    right, wrong = (decode.read(tmp_path / f"{name}.png") for name in ("right", "wrong"))
    assert right.shape == wrong.shape
    assert (right != wrong).any(axis=2).mean() > 0.2


def test_of_many_kinds_the_most_accepted_are_drawn(tmp_path: Path) -> None:
    kinds = {f"kind {n}": {"photos": 5, "accepted": n / 100} for n in range(60)}
    unknown = {"accepted": 0.3, "fpr95": 0.2, "by_kind": kinds}
    axes = charts.draw_unknown(unknown).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "kind 59" and names[-1] == "all"
    assert len(names) == charts.MAX_BARS + 1


def test_a_long_label_is_shortened() -> None:
    axes = charts.draw_confusion(["a" * 200, "dog"], [[1, 0], [0, 1]]).axes[0]
    name = axes.get_yticklabels()[0].get_text()
    assert len(name) == charts.NAME_LENGTH and name.endswith("…")


def test_curves_have_a_gap_where_a_number_is_missing(tmp_path: Path) -> None:
    history = [
        {"epoch": 0.0, "loss": math.nan, "val_loss": 0.5, "val_accuracy": 0.9},
        {"epoch": 1.0, "loss": 0.4, "val_loss": 0.3, "val_accuracy": 0.95},
    ]
    figure = charts.draw_curves(history)
    charts.save(figure, tmp_path / "curves.png")
    assert [list(line.get_ydata()) for line in figure.axes[1].lines] == [[0.9, 0.95]]

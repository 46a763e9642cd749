"""HTML report of a training run: one self-contained page, and its pictures as PNG files."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import jinja2

from tagger import text
from tagger.audit.findings import MAX_PICTURES, Findings
from tagger.errors import ImageError, OptionError
from tagger.files import write_atomically
from tagger.images import decode, transforms
from tagger.training.report import charts
from tagger.training.run_folder import CONFIG, HISTORY, METRICS, read_findings, read_history

THUMBNAIL_SIDE = 200  # pixels
MAX_CONFUSED = 10
_REQUIRED = ("model", "labels", "photos", "validation")

Json = dict[str, Any]  # of files, perhaps of an older version


def write(run: Path, root: Path | None = None) -> Path:
    """Write `report.html` and its pictures into the run folder; the page's path.

    Relative paths of photos are resolved against `root`, by default the current directory. Raises
    OptionError where the folder holds no finished run.
    """
    metrics, settings = _read_json(run / METRICS), _read_json(run / CONFIG)
    missing = [key for key in _REQUIRED if not metrics.get(key)]
    if missing:
        raise OptionError(f"{run / METRICS}: has no {', '.join(missing)}; train again")
    scores = metrics.get("test") or metrics["validation"]
    template = _environment().get_template("report.html.j2")
    html = template.render(
        run=run.resolve().name,
        metrics=metrics,
        scores=scores,
        settings=settings,
        pictures=_draw_pictures(run, metrics, scores),
        confused=_most_confused(metrics["labels"], scores.get("confusion", [])),
        photos_learned=metrics.get("sizes", {}).get("train")
        or sum(metrics["photos"]["train"].values()),
        **_describe_findings(read_findings(run)),
        mistakes=[_add_thumbnail(mistake, root or Path()) for mistake in scores["mistakes"]],
    )
    # A file name that is no valid text would otherwise stop the page from being written.
    write_atomically(run / "report.html", html.encode("utf-8", "replace").decode())
    return run / "report.html"


def _read_json(path: Path) -> Json:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptionError(f"{path}: no such file; give a run folder that training wrote") from None
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(content, dict):
        raise OptionError(f"{path}: holds a {type(content).__name__}, not a JSON object")
    return content


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tagger.training.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": text.percent,
        "number": _format_number,
        "duration": text.duration,
        "plural": text.plural,
    }
    return environment


def _format_number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def _most_confused(labels: list[str], table: list[list[int]]) -> list[Json]:
    """The pairs of labels most often confused, the most frequent first."""
    pairs: list[Json] = [
        {"label": labels[row], "predicted": labels[column], "photos": count, "of": sum(counts)}
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(pairs, key=lambda pair: -pair["photos"])[:MAX_CONFUSED]


def _add_thumbnail(entry: Json, root: Path) -> Json:
    """The entry with a `thumbnail` of its `path`, or with the `reason` why there is none."""
    try:
        rgb = decode.read(root / entry["path"], shorter_side=THUMBNAIL_SIDE)
    except ImageError as error:
        return {**entry, "reason": str(error)}
    thumbnail = decode.encode(transforms.fit(rgb, THUMBNAIL_SIDE), "JPEG")
    return {**entry, "thumbnail": text.data_uri(thumbnail, "image/jpeg")}


def _describe_findings(audit: Findings | None) -> Json:
    """The audit's findings for the template, the first photos of each kind as pictures."""
    if audit is None:
        return {"findings": None}
    kinds = [
        {
            "line": line,
            "photos": [
                _add_thumbnail({"path": finding.photo, "details": finding.details}, audit.root)
                for finding in audit.of_kind(kind)[:MAX_PICTURES]
            ],
            "more": len(audit.of_kind(kind)) - MAX_PICTURES,
        }
        for kind, line in audit.summaries().items()
    ]
    return {"findings": kinds, "notes": audit.notes()}


def _draw_pictures(run: Path, metrics: Json, scores: Json) -> dict[str, charts.Picture]:
    """Draw the charts and save each in the run folder."""
    figures = {"reliability": charts.draw_reliability(scores["calibration"])}
    if "map" in scores:
        figures["precision"] = charts.draw_precision(scores["by_label"])
    else:
        figures["confusion"] = charts.draw_confusion(metrics["labels"], scores["confusion"])
    if metrics.get("unknown"):
        figures["unknown"] = charts.draw_unknown(metrics["unknown"])
    history = read_history(run / HISTORY)
    if history:
        figures["curves"] = charts.draw_curves(history)
    return {name: charts.save(figure, run / f"{name}.png") for name, figure in figures.items()}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "usage: python -m tagger.training.report.html RUN_FOLDER (writes its report.html again)"
        )
    print(write(Path(sys.argv[1])))

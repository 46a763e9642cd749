"""What a training run measured, as pictures and one HTML page that needs nothing but itself."""

from __future__ import annotations

import csv
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
from tagger.training.run_folder import CONFIG, HISTORY, METRICS, read_findings

THUMBNAIL_SIDE = 200  # pixels
MAX_CONFUSED = 10
_NEEDED = ("model", "labels", "photos", "validation")

Json = dict[str, Any]


def write(run: Path, root: Path | None = None) -> Path:
    """Draw the run's pictures beside its `metrics.json`, and write `report.html`; its path.

    Photos of mistakes that are given by a relative path are looked for from `root`, by default
    the current directory. Raises OptionError where the folder holds no readable run.
    """
    metrics, settings = _read_json(run / METRICS), _read_json(run / CONFIG)
    missing = [key for key in _NEEDED if not metrics.get(key)]
    if missing:
        raise OptionError(f"{run / METRICS}: has no {', '.join(missing)}; train again")
    judged = metrics.get("test") or metrics["validation"]
    page = _environment().get_template("report.html.j2")
    html = page.render(
        run=run.resolve().name,
        metrics=metrics,
        judged=judged,
        settings=settings,
        pictures=_pictures(run, metrics, judged),
        confused=_confused(metrics["labels"], judged.get("confusion", [])),
        photos_learned=metrics.get("sizes", {}).get("train")
        or sum(metrics["photos"]["train"].values()),
        **_findings(read_findings(run)),
        mistakes=[_shown(mistake, root or Path()) for mistake in judged["mistakes"]],
    )
    # A file name that is no valid text would otherwise stop the page from being written.
    write_atomically(run / "report.html", html.encode("utf-8", "replace").decode())
    return run / "report.html"


def _read_json(path: Path) -> Json:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OptionError(f"{path}: no such file; give a run folder that training wrote") from None
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(found, dict):
        raise OptionError(f"{path}: holds a {type(found).__name__}, not a JSON object")
    return found


def read_history(path: Path) -> list[dict[str, float]]:
    """A row an epoch, NaN where a cell is empty; no rows where there was no fine-tuning."""
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [
                {name: float(cell or "nan") for name, cell in row.items()}
                for row in csv.DictReader(file)
            ]
    except (OSError, TypeError, ValueError) as error:
        raise OptionError(f"{path}: cannot be read as a training history ({error})") from None


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tagger.training.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": text.percent,
        "number": _number,
        "duration": text.duration,
        "plural": text.plural,
    }
    return environment


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def _confused(labels: list[str], table: list[list[int]]) -> list[Json]:
    """The pairs of labels most often confused, the most frequent first."""
    pairs: list[Json] = [
        {"label": labels[row], "predicted": labels[column], "photos": count, "of": sum(counts)}
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    return sorted(pairs, key=lambda pair: -pair["photos"])[:MAX_CONFUSED]


def _shown(mistake: Json, root: Path) -> Json:
    """The mistake with a `thumbnail`, or with the `reason` why there is none."""
    try:
        rgb = decode.read(root / mistake["path"], shorter_side=THUMBNAIL_SIDE)
    except ImageError as error:
        return {**mistake, "reason": str(error)}
    thumbnail = decode.encode(transforms.fit(rgb, THUMBNAIL_SIDE), "JPEG")
    return {**mistake, "thumbnail": text.data_uri(thumbnail, "image/jpeg")}


def _findings(told: Json | None) -> Json:
    """What is wrong with the photos, kind by kind, the first of each as pictures; None unknown."""
    if told is None:
        return {"doubts": None}
    found = Findings.from_dict(told)
    doubts = [
        {
            "line": line,
            "shown": [
                _shown({"path": finding.photo, "told": finding.details}, found.root)
                for finding in found.of_kind(kind)[:MAX_PICTURES]
            ],
            "more": len(found.of_kind(kind)) - MAX_PICTURES,
        }
        for kind, line in found.summaries().items()
    ]
    return {"doubts": doubts, "notes": found.notes()}


def _pictures(run: Path, metrics: Json, judged: Json) -> dict[str, Json]:
    """By name, the data URI and the width in CSS pixels of each picture; also saved in `run`."""
    figures = {"reliability": charts.draw_reliability(judged["calibration"])}
    if "map" in judged:
        figures["precision"] = charts.draw_precision(judged["by_label"])
    else:
        figures["confusion"] = charts.draw_confusion(metrics["labels"], judged["confusion"])
    if metrics.get("unknown"):
        figures["unknown"] = charts.draw_unknown(metrics["unknown"])
    history = read_history(run / HISTORY)
    if history:
        figures["curves"] = charts.draw_curves(history)
    return {name: charts.save(figure, run / f"{name}.png") for name, figure in figures.items()}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tagger.report RUN_FOLDER (writes its report.html again)")
    print(write(Path(sys.argv[1])))

"""The HTML report of a training: sections, pictures, escaping, missing values."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagger.datasets.readers.listing import Remark
from tagger.errors import OptionError
from tagger.images import decode
from tagger.training.report import html as report
from tagger.training.trainer import TrainingResult

SECTIONS = ["glance", "labels", "confusion", "calibration", "unknown", "curves"]
SECTIONS += ["mistakes", "left-out", "settings"]
HOSTILE = '<script>alert("hi")</script>\'"><img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Ids, tags, sources and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "section":
            self.sections.append(dict(attrs)["id"] or "")
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def bins(gap: float) -> list[dict[str, float]]:
    return [
        {"confidence": c, "accuracy": max(0.0, c - gap), "photos": int(400 * c**4) + 2}
        for c in (0.55, 0.68, 0.82, 0.95, 0.995)
    ]


def scores(labels: list[str], mistakes: list[dict[str, Any]]) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    confusion = rng.poisson(0.3, (len(labels), len(labels))) + 60 * np.eye(len(labels), dtype=int)
    row = {"precision": 0.974, "recall": 0.96, "f1": 0.967, "photos": 300}
    return {
        "photos": 600,
        "accuracy": 0.9876,
        "top_3": 0.998 if len(labels) > 3 else None,
        "by_label": dict.fromkeys(labels, row),
        "confusion": confusion.tolist(),
        "calibration": {
            "temperature": 1.31,
            "ece_before": 0.0213,
            "ece_after": 0.0092,
            "reliability_before": bins(0.08),
            "reliability_after": bins(0.01),
        },
        "decision": {
            "known": 0.985,
            "unfamiliar": 0.01,
            "uncertain": 0.005,
            "accuracy_of_known": 0.9951,
        },
        "mistakes": mistakes,
    }


def mistake(path: Path | str, label: str = "cat", predicted: str = "dog") -> dict[str, Any]:
    return {
        "path": str(path),
        "label": label,
        "predicted": predicted,
        "probability": 0.973,
        "unknown": False,
    }


def unrelated(kinds: dict[str, float]) -> dict[str, Any]:
    return {
        "measured_on": "unrelated photos",
        "photos": 404,
        "auroc": 0.9991,
        "fpr95": 0.0012,
        "accepted": 0.0025,
        "by_kind": {kind: {"photos": 60, "accepted": share} for kind, share in kinds.items()},
    }


def make_metrics(labels: list[str], mistakes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "model": "pets",
        "labels": labels,
        "photos": {
            "train": dict.fromkeys(labels, 1600),
            "val": dict.fromkeys(labels, 300),
        },
        "seconds": {"reading photos": 3.1, "head": 20.2, "fine-tuning": 601.0},
        "peak_memory_mb": 2700.0,
        "conversion": {
            "precision": "int8",
            "agreement": 0.995,
            "float_accuracy": 0.99,
            "int8_accuracy": 0.9876,
        },
        "validation": scores(labels, mistakes),
        "test": None,
        "unknown": unrelated({"faces": 0.0, "rooms": 0.0125}),
        "problems": {
            "unreadable": [],
            "conflicting": [],
            "copies": [],
            "leaked": [],
            "unknown_labels": [],
        },
    }


def save(run: Path, metrics: dict[str, Any], epochs: int = 0, **settings: Any) -> Path:
    run.mkdir(parents=True, exist_ok=True)
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "config.json").write_text(json.dumps({"backbone": "mobilenet_v2"} | settings))
    if epochs:
        names = ["epoch", "loss", "val_loss", "val_accuracy", "learning_rate", "seconds"]
        with open(run / "history.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            for epoch in range(epochs):
                loss = "" if epoch == 0 else 0.5 / epoch
                writer.writerow([epoch, loss, 0.6 / (epoch + 1), 0.95 + epoch / 200, 1e-4, 60])
    return run


def photo(path: Path, height: int = 300, width: int = 400) -> Path:
    ramp = np.linspace(0, 255, height * width * 3).reshape(height, width, 3)
    path.write_bytes(decode.encode(ramp.astype(np.uint8), "JPEG"))
    return path


def read(path: Path) -> tuple[str, Page]:
    html = path.read_text(encoding="utf-8")
    return html, Page(html)


def test_the_page_has_every_section_and_picture(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [mistake(photo(tmp_path / "tom.jpg"))])
    run = save(tmp_path / "run", metrics, epochs=5)
    path = report.write(run)
    assert path == run / "report.html"
    _, page = read(path)
    assert page.sections == SECTIONS
    assert {"98.8%", "98.5%", "0.25%", "mobilenet_v2", "int8."} <= set(page.words)
    assert "10 min 24 s" in page.text
    assert "tom.jpg" in page.text
    assert len(page.sources) == 5  # four pictures, one thumbnail
    saved = sorted(file.name for file in run.glob("*.png"))
    assert saved == ["confusion.png", "curves.png", "reliability.png", "unknown.png"]
    for name in saved:
        height, width, _ = decode.read(run / name).shape
        assert 300 < height < 2500 and 600 < width < 2500
    assert not list(run.glob(".*"))  # no temporary file is left


def test_the_page_loads_no_other_file(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [mistake(photo(tmp_path / "tom.jpg"))])
    html, page = read(report.write(save(tmp_path / "run", metrics, epochs=2)))
    assert "http://" not in html and "https://" not in html
    assert all(source.startswith("data:image/") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import", html)


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    labels = [HOSTILE, "$\\frac{", "猫\udcff\n"]
    path = f"{HOSTILE}/\udcff.jpg"
    metrics = make_metrics(labels, [mistake(path, HOSTILE, labels[1])])
    metrics |= {"model": HOSTILE, "unknown": unrelated({HOSTILE: 0.1, "$x_{": 0.2})}
    metrics["seconds"][HOSTILE] = 1.0
    metrics["problems"] = {
        "unreadable": [[path, HOSTILE]],
        "conflicting": [[path, HOSTILE]],
        "copies": [[path, path]],
        "leaked": [[path, path]],
        "unknown_labels": [path],
    }
    run = save(tmp_path / "<b>run", metrics, about=HOSTILE, versions={HOSTILE: HOSTILE})
    html, page = read(report.write(run))
    assert "<script" not in html and "<b>run" not in html
    assert "script" not in page.tags and page.tags.count("img") == 3  # the pictures
    assert page.text.count('<script>alert("hi")</script>') > 15


def test_a_photo_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    mistakes = [mistake(tmp_path / "gone.jpg"), mistake(broken), mistake("a\0b.jpg")]
    _, page = read(report.write(save(tmp_path / "run", make_metrics(["cat", "dog"], mistakes))))
    assert "gone.jpg: no such file" in page.text
    assert "broken.jpg: not a JPEG" in page.text
    assert page.tags.count("figure") == 3


def test_relative_paths_are_resolved_against_the_root(tmp_path: Path) -> None:
    photo(tmp_path / "tom.jpg", 40, 900)
    run = save(tmp_path / "run", make_metrics(["cat", "dog"], [mistake("tom.jpg")]))
    _, page = read(report.write(run, root=tmp_path))
    assert sum(source.startswith("data:image/jpeg") for source in page.sources) == 1
    _, page = read(report.write(run))
    assert "tom.jpg: no such file" in page.text


def test_without_fine_tuning_there_are_no_curves(tmp_path: Path) -> None:
    run = save(tmp_path / "run", make_metrics(["cat", "dog"], []))
    _, page = read(report.write(run))
    assert page.sections == [name for name in SECTIONS if name != "curves"]
    assert not (run / "curves.png").exists()
    (run / "history.csv").write_text("epoch,loss,val_loss,val_accuracy\n")
    report.write(run)
    assert not (run / "curves.png").exists()


def test_unknown_that_was_not_measured(tmp_path: Path) -> None:
    run = save(tmp_path / "run", make_metrics(["cat", "dog"], []) | {"unknown": None})
    _, page = read(report.write(run))
    assert "Not tested" in page.text and "train with --unrelated" in page.text
    assert not (run / "unknown.png").exists()


def test_unknown_measured_on_labels_left_out(tmp_path: Path) -> None:
    labels = ["cat", "dog", "hen"]
    left_out = {
        "measured_on": "labels left out in turn",
        "photos": 600,
        "auroc": 0.941,
        "fpr95": 0.212,
        "accepted": None,
        "by_kind": {name: {"photos": 200, "auroc": 0.94, "fpr95": 0.2} for name in labels},
    }
    run = save(tmp_path / "run", make_metrics(labels, []) | {"unknown": left_out})
    _, page = read(report.write(run))
    assert "leaving out each label in turn" in page.text
    assert "train with --unrelated" in page.text
    assert "21.2%" in page.text and "0.941" in page.text
    assert (run / "unknown.png").exists()


@pytest.mark.parametrize("count", [2, 20, 60, 100])
def test_any_number_of_labels_has_a_confusion_matrix(tmp_path: Path, count: int) -> None:
    labels = [f"label number {index}" for index in range(count)]
    run = save(tmp_path / "run", make_metrics(labels, []))
    _, page = read(report.write(run))
    assert f"label number {count - 1}" in page.text
    height, width, _ = decode.read(run / "confusion.png").shape
    assert 500 < height < 2600 and height < width < 2800


def test_scores_on_test_photos_come_first(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [])
    metrics["test"] = scores(["cat", "dog"], []) | {"accuracy": 0.912, "photos": 1234}
    _, page = read(report.write(save(tmp_path / "run", metrics)))
    assert "1,234 test photos" in page.text
    assert "91.2%" in page.text and "98.8%" in page.text


def test_missing_numbers_are_dashes(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [])
    decision = {"known": 0.0, "unfamiliar": 1.0, "uncertain": 0.0, "accuracy_of_known": None}
    metrics["validation"] |= {"decision": decision, "confusion": [[5, 0], [0, 0]]}
    metrics["validation"]["calibration"]["ece_before"] = float("nan")
    _, page = read(report.write(save(tmp_path / "run", metrics)))
    assert "–" in page.text and "nan" not in page.text.lower()


def test_skipped_photos_are_listed_with_the_reason(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [])
    _, page = read(report.write(save(tmp_path / "run", metrics)))
    assert "every photo was used" in page.text
    metrics["problems"] |= {
        "unreadable": [["cat/a.jpg", "an empty file"]],
        "conflicting": [["cat/x.jpg", "dog/y.jpg"]],
    }
    _, page = read(report.write(save(tmp_path / "run", metrics)))
    assert "cat/a.jpg: an empty file" in page.text
    assert "cat/x.jpg = dog/y.jpg" in page.text
    assert "1 photo could not be read" in page.text
    assert "1 set of exact copies has different labels" in page.text
    assert "--unrelated" not in page.text  # unknown was measured on photos of other things
    assert "every photo was used" not in page.text


def test_a_remark_is_listed_with_its_outcome(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [])
    remarks = [
        Remark("row", "repeats another", "repeat others", ("t.csv:2",), "counted once"),
        Remark("entry", "lacks an id", "lack an id", ("images[3]", "images[4]")),
    ]
    metrics["problems"]["remarks"] = [remark.to_dict() for remark in remarks]
    _, page = read(report.write(save(tmp_path / "run", metrics)))
    text = page.text
    assert "1 row repeats another: counted once" in text
    assert "2 entries lack an id: left out" in text and "t.csv:2" in text


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff", '{"model": "pets"}'])
def test_invalid_metrics_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(OptionError, match=r"metrics\.json"):
        report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_missing_metrics_and_an_unreadable_history_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"metrics\.json: no such file"):
        report.write(tmp_path)
    run = save(tmp_path / "run", make_metrics(["cat", "dog"], []))
    (run / "history.csv").write_text("epoch,loss\nfirst,low\n")
    with pytest.raises(OptionError, match=r"history\.csv"):
        report.write(run)


def test_findings_of_the_audit_are_shown(tmp_path: Path) -> None:
    metrics = make_metrics(["cat", "dog"], [])
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    photo = tmp_path / "photos" / "cat" / "a.png"
    photo.write_bytes(decode.encode(np.full((300, 300, 3), 90, np.uint8)))
    rows = [
        {"kind": "label", "photo": "cat/a.png", "told": f"labelled {HOSTILE}", "score": 0.02},
        {"kind": "dark", "photo": "cat/gone.png", "told": "too dark", "score": None},
        {"kind": "unreadable", "photo": "cat/b.png", "told": "", "score": None},
    ]
    audit = {"root": str(tmp_path / "photos"), "photos": 9, "judged": 7, "found": rows}
    audit |= {"ranked": [], "rare": [[HOSTILE, 3]]}
    run = save(tmp_path / "run", metrics)
    (run / "findings.json").write_text(json.dumps(audit))
    _, page = read(report.write(run))
    assert page.sections.count("doubts") == 1 and "script" not in page.tags
    assert "1 label is probably wrong" in page.text and "1 photo is very dark" in page.text
    assert "gone.png: no such file" in page.text
    assert f"Few training photos: 3 of {HOSTILE}." in page.text
    assert "Labels of 7 of 9 photos were checked." in page.text
    assert len([source for source in page.sources if source.startswith("data:image/jpeg")]) == 1
    nothing = audit | {"found": [], "rare": [], "judged": 0}
    (run / "findings.json").write_text(json.dumps(nothing))
    _, page = read(report.write(run))
    assert "Labels were not checked." in page.text
    (run / "findings.json").write_text(json.dumps(nothing | {"judged": 9}))
    _, page = read(report.write(run))
    assert "Nothing found." in page.text
    (run / "findings.json").write_text("{")
    with pytest.raises(OptionError, match=r"findings\.json"):
        report.write(run)


def test_the_report_of_a_model_of_tags_shows_precision(tagged: TrainingResult) -> None:
    page = report.write(tagged.run_folder).read_text(encoding="utf-8")
    assert "mean average precision" in page and 'id="precision"' in page
    assert 'id="confusion"' not in page and (tagged.run_folder / "precision.png").is_file()

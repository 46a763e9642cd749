"""Predictions as text, JSON and CSV; `test_predict.py` reads them from a terminal."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tagger import ImageError, Tagger
from tagger.cli import output
from tagger.datasets.readers import detect, table_file
from tagger.datasets.readers.photo_index import PhotoIndex
from tagger.tagger import Prediction, Score
from tagger.training.trainer import TrainingResult
from tests.conftest import draw


@pytest.fixture(scope="module")
def tagger(trained: TrainingResult) -> Tagger:
    return Tagger.load(trained.model)


def test_unknown_names_the_labels_it_is_not(tagger: Tagger) -> None:
    prediction = tagger.tag(draw("disc", 5), threshold=1.0)
    first = output.as_text(prediction, tagger).splitlines()[0]
    assert first == "⚠️ Unknown object (not disc, square or stripes)"


def test_an_error_takes_the_place_of_an_answer(tagger: Tagger) -> None:
    error = ImageError("x.jpg", "no such file")
    assert output.as_text(error, tagger) == output.as_line(Path("x.jpg"), error, tagger)
    row = json.loads(output.as_json(Path("x.jpg"), error, tagger))
    assert row["error"] == "x.jpg: no such file" and row["label"] is None and row["model"]


def test_a_strange_file_name_is_still_json(tagger: Tagger) -> None:
    path = Path("\udcff\x85 ‮.jpg")
    line = output.as_json(path, tagger.tag(draw("disc", 5)), tagger)
    assert line.isascii() and json.loads(line)["path"] == str(path)


def test_an_interrupted_table_keeps_what_was_done(tagger: Tagger, tmp_path: Path) -> None:
    target = tmp_path / "tags.csv"
    target.write_text("older")
    with pytest.raises(KeyboardInterrupt), output.write_csv(target, tagger, 2) as add:
        add(Path("a.jpg"), tagger.tag(draw("disc", 5)))
        assert target.read_text() == "older"
        raise KeyboardInterrupt
    with open(target, newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == "a.jpg" and row["label 2"] and "label 3" not in row
    assert list(tmp_path.iterdir()) == [target]


def test_a_table_may_begin_with_a_byte_order_mark(tagger: Tagger, tmp_path: Path) -> None:
    target = tmp_path / "tags.csv"
    for bom, begin in ((True, b"\xef\xbb\xbfpath,label"), (False, b"path,label")):
        with output.write_csv(target, tagger, 1, bom) as add:
            add(Path("é.jpg"), tagger.tag(draw("disc", 5)))
        assert target.read_bytes().startswith(begin)
        assert table_file.read(PhotoIndex(tmp_path), "tags.csv").header[0] == "path"


def tagged(tagger: Tagger, labels: tuple[str, ...]) -> Prediction:
    return replace(
        tagger.tag(draw("disc", 5)), label=labels[0], tags=tuple(Score(n, 0.9) for n in labels)
    )


def test_a_table_beside_photos_is_read_as_labels_only_where_it_is_called_so(
    tagger: Tagger, tmp_path: Path
) -> None:
    photos = {"a/'=1.jpg": ("=x", "y|z"), "a/2.jpg": ("'=x",), "b/3.jpg": ("\\", "y")}
    for name in photos:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with output.write_csv(tmp_path / "tags.csv", tagger, 1) as add:
        for name, labels in photos.items():
            add(Path(name), tagged(tagger, labels))
    assert detect.read(tmp_path, 2).names == ("a", "b")
    (tmp_path / "tags.csv").rename(tmp_path / "labels.csv")
    listing = detect.read(tmp_path, 2)
    labels_by_name = {
        sample.path.relative_to(tmp_path).as_posix(): {listing.names[n] for n in sample.present}
        for sample in listing.samples
    }
    assert labels_by_name == {name: set(labels) for name, labels in photos.items()}

"""What is wrong with a collection, found in real files."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw, draw_collection, scene

from tagger import audit, dataset, images
from tagger.audit import Findings
from tagger.errors import DatasetError
from tagger.pixels import PixelStore


def read(root: Path, leave_out: frozenset[str] = frozenset()) -> dataset.Collection:
    store = PixelStore(root.parent / "pixels.u8", 192)
    try:
        return dataset.survey(root, store, leave_out=leave_out)
    finally:
        store.close()


def save(path: Path, rgb: images.Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(rgb))


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A collection with one of everything, and a photo that a spreadsheet would run."""
    root = draw_collection(tmp_path / "photos", 30)
    for shape in ("disc", "square"):
        for path in (root / shape).iterdir():
            save(path.with_suffix(".png"), draw(shape, int(path.stem), 240))
            path.unlink()
    for path in (root / "stripes").iterdir():
        save(path.with_suffix(".png"), draw("stripes", int(path.stem) + 100, 240))
        path.unlink()
    (root / "disc" / "broken.jpg").write_bytes(b"no photo")
    shutil.copy(root / "disc" / "000.png", root / "disc" / "copy.png")
    shutil.copy(root / "square" / "001.png", root / "stripes" / "both.png")
    near = draw("disc", 2, 240)
    near[:3, :3] = 0
    save(root / "disc" / "near.png", near)
    near = draw("square", 3, 240)
    near[:3, :3] = 0
    save(root / "disc" / "near-square.png", near)
    save(root / "disc" / "=dark().png", (scene(50, 240) * 0.15).astype(np.uint8))
    save(root / "disc" / "blur.png", cv2.GaussianBlur(scene(51, 240), (0, 0), 7))
    save(root / "disc" / "tiny.png", scene(52, 60))
    for seed in range(5):
        save(root / "rare" / f"{seed}.png", draw("stripes", 300 + seed, 240))
    return root


def test_everything_is_found_once_and_told(sick: Path) -> None:
    found = audit.examine(read(sick), 192)
    kinds = {kind: [f.photo for f in found.of(kind)] for kind in audit.KINDS}
    assert kinds["unreadable"] == ["disc/broken.jpg"]
    assert kinds["copy"] in (["disc/copy.png"], ["disc/000.png"])
    assert sorted(kinds["conflict"]) == ["square/001.png", "stripes/both.png"]
    assert sorted(kinds["near_conflict"]) == ["disc/near-square.png", "square/003.png"]
    assert kinds["near_copy"] == ["disc/near.png"]
    assert kinds["dark"] == ["disc/=dark().png"]
    assert kinds["blurred"] == ["disc/blur.png"]
    assert kinds["tiny"] == ["disc/tiny.png"]
    assert found.rare == (("rare", 4),)
    text = found.text()
    assert "1 photo cannot be read" in text and "not a JPEG" in text
    assert "2 photos are near copies of one with another label" in text
    assert "labelled square; like disc/near-square.png" in text
    assert "only 4 of rare to learn from" in text
    assert "whether labels are right was not judged" in text
    assert json.loads(json.dumps(found.as_dict()))["root"] == str(sick)
    assert Findings.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_the_list_of_what_to_leave_out_is_read_back_and_photos_stay(sick: Path) -> None:
    before = {path: path.read_bytes() for path in sick.rglob("*.*")}
    found = audit.examine(read(sick), 192)
    table = sick.parent / "leave-out.csv"
    count = found.write_list(table)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert count == len(rows) == 7  # near copies are only told
    assert all(row["photo"].startswith("./") for row in rows)
    assert {path: path.read_bytes() for path in sick.rglob("*.*")} == before
    unwanted = audit.read_list(table)
    assert "disc/=dark().png" in unwanted
    again = read(sick, unwanted)
    assert set(again.problems.unwanted) == unwanted
    assert "7 photos are on your list: left out" in again.problems.lines()
    left = audit.examine(again, 192)
    assert {finding.kind for finding in left.found} == {"near_copy", "near_conflict"}


@pytest.mark.parametrize("text", ["name\na.jpg\n", "photo,problem\n,x\n", "photo\n\x00\xff\n"])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"list\.csv"):
        audit.read_list(tmp_path / "list.csv")
    with pytest.raises(DatasetError, match=r"no\.csv"):
        audit.read_list(tmp_path / "no.csv")


def test_a_sound_collection_has_nothing_wrong(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for shape in ("disc", "square"):
        for seed in range(30):
            save(root / shape / f"{seed}.png", draw(shape, seed, 240))
    found = audit.examine(read(root), 192)
    assert [f for f in found.found if f.kind not in audit.ONLY_TOLD] == []
    assert found.rare == ()

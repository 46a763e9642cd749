"""Findings about a collection of real files, and the leave-out list."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tagger.audit import findings
from tagger.audit.findings import Finding, Findings
from tagger.datasets import dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.errors import DatasetError
from tagger.images import decode, quality
from tagger.labels import Kind, LabelSet
from tests.conftest import draw, draw_collection, draw_scene


def read(root: Path, leave_out: frozenset[str] = frozenset()) -> dataset.Dataset:
    store = PixelStore(root.parent / "pixels.u8", 192)
    try:
        return dataset.load(root, store, leave_out=leave_out, require_enough=False)
    finally:
        store.close()


def save(path: Path, rgb: decode.Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(decode.encode(rgb))


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A collection with a finding of every kind; a file name is a spreadsheet formula."""
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
    save(root / "disc" / "=dark().png", (draw_scene(50, 240) * 0.15).astype(np.uint8))
    save(root / "disc" / "blur.png", cv2.GaussianBlur(draw_scene(51, 240), (0, 0), 7))
    save(root / "disc" / "tiny.png", draw_scene(52, 60))
    for seed in range(5):
        save(root / "rare" / f"{seed}.png", draw("stripes", 300 + seed, 240))
    return root


def test_every_problem_is_found_once_and_reported(faulty: Path) -> None:
    report = findings.collect_findings(read(faulty), 192)
    kinds = {kind: [f.photo for f in report.of_kind(kind)] for kind in findings.KINDS}
    assert kinds["unreadable"] == ["disc/broken.jpg"]
    assert kinds["copy"] == ["disc/copy.png"]
    assert report.of_kind("copy")[0].details.startswith("the same as disc/000.png (")
    assert report.of_kind("copy")[0].details.endswith(", labelled disc)")
    assert sorted(kinds["conflict"]) == ["square/001.png", "stripes/both.png"]
    assert sorted(kinds["near_conflict"]) == ["disc/near-square.png", "square/003.png"]
    assert kinds["near_copy"] == ["disc/near.png"]
    assert kinds["dark"] == ["disc/=dark().png"]
    assert kinds["blurred"] == ["disc/blur.png"]
    assert kinds["tiny"] == ["disc/tiny.png"]
    assert report.rare == (("rare", 4),)
    text = report.text()
    assert "1 photo cannot be read" in text and "not a JPEG" in text
    assert "2 photos are near copies of one with another label" in text
    assert "labelled square; like disc/near-square.png" in text
    assert "few training photos: 4 of rare" in text
    assert "labels were not checked" in text
    assert json.loads(json.dumps(report.to_dict()))["root"] == str(faulty)
    assert Findings.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_the_leave_out_list_can_be_read_back_and_changes_no_photo(faulty: Path) -> None:
    before = {path: path.read_bytes() for path in faulty.rglob("*.*")}
    report = findings.collect_findings(read(faulty), 192)
    table = faulty.parent / "leave-out.csv"
    count = report.write_list(table)
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert count == len(rows) == 7  # near copies are not listed
    assert all(row["photo"].startswith("./") for row in rows)
    assert {path: path.read_bytes() for path in faulty.rglob("*.*")} == before
    leave_out = findings.read_list(table)
    assert "disc/=dark().png" in leave_out
    again = read(faulty, leave_out)
    assert set(again.problems.unwanted) == leave_out
    assert "7 photos are on your list: left out" in again.problems.lines()
    remaining = findings.collect_findings(again, 192)
    assert {finding.kind for finding in remaining.items} == {"near_copy", "near_conflict"}


@pytest.mark.parametrize(
    "text", ["", "\n", "name\na.jpg\n", "photo,problem\n,x\n", "photo\n\x00\xff\n", "\xff\xd8\xff"]
)
def test_other_files_are_refused_as_a_leave_out_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"list\.csv"):
        findings.read_list(tmp_path / "list.csv")
    with pytest.raises(DatasetError, match=r"no\.csv"):
        findings.read_list(tmp_path / "no.csv")


def test_an_empty_leave_out_list_can_be_read(tmp_path: Path) -> None:
    nothing = Findings(tmp_path, 9, 9, (), (), ())
    assert nothing.write_list(tmp_path / "list.csv") == 0
    assert findings.read_list(tmp_path / "list.csv") == frozenset()


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems have no such names")
def test_any_file_name_survives_the_list_and_forges_no_line_of_text(tmp_path: Path) -> None:
    names = [b"b\xe9.jpg", b"new\nline.jpg", b" lead.jpg", b'quote".jpg', "caf\u00e9.jpg".encode()]
    root = draw_collection(tmp_path / "photos", 6, shapes=("disc", "stripes"))
    for name in names:
        (root / "disc" / os.fsdecode(name)).write_bytes(b"no photo")
    report = findings.collect_findings(read(root), 192)
    assert report.write_list(tmp_path / "list.csv") == len(names)
    assert b"./disc/b\xe9.jpg" in (tmp_path / "list.csv").read_bytes()
    again = read(root, findings.read_list(tmp_path / "list.csv"))
    assert len(again.problems.unwanted) == len(names) and not again.problems.unreadable
    assert again.problems.not_there == ()
    text = report.text()
    assert "disc/new\\nline.jpg" in text and "disc/b\\udce9.jpg" in text
    assert not [line for line in text.splitlines() if line.startswith("line.jpg")]


def test_a_photos_problems_share_one_row(tmp_path: Path) -> None:
    wrong = (
        Finding("label", "a.jpg", "tagged sun, 2% likely to show it", 0.02),
        Finding("label", "a.jpg", "tagged sea, 3% likely to show it", 0.03),
        Finding("near_copy", "a.jpg", "like b.jpg"),
        Finding(quality.DARK, "a.jpg", "nearly all of it is dark"),
    )
    assert Findings(tmp_path, 9, 9, wrong, (), ()).write_list(tmp_path / "list.csv") == 1
    with open(tmp_path / "list.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "photo": "./a.jpg",
        "problem": "label is probably wrong; photo is very dark",
        "details": "tagged sun, 2% likely to show it; tagged sea, 3% likely to show it;"
        " nearly all of it is dark",
    }


def collection(kind: Kind, samples: Sequence[Sample], tags: int) -> dataset.Dataset:
    """A dataset of photos that need not exist."""
    labels = LabelSet(tuple(f"tag {number:02}" for number in range(tags)), kind)
    return dataset.Dataset(Path("/photos"), labels, tuple(samples))


def test_near_copies_conflict_only_where_both_are_certain() -> None:
    """The third is likely to have the tag that only the first surely has."""
    certain, without, likely = (
        Sample(Path(f"/photos/{n}.jpg"), present, "train", n, str(n), 5)
        for n, present in enumerate([(0,), (), (0,)])
    )
    likely = replace(likely, doubtful=((0, 0.6),))
    for pair, count in (((certain, without), 2), ((certain, likely), 0), ((without, likely), 0)):
        report = findings.collect_findings(collection("multi", pair, 1), 192)
        assert len(report.of_kind("near_conflict")) == count


def test_ten_thousand_near_copies_take_seconds() -> None:
    """Comparing all pairs would take most of an hour."""
    samples = [Sample(Path(f"/photos/{n}.jpg"), (n % 2,), "train", n, str(n), 5) for n in range(9)]
    few = findings.collect_findings(collection("single", samples, 2), 192).of_kind("near_conflict")
    assert [finding.details for finding in few][:2] == [
        "labelled tag 00; like 1.jpg, 2.jpg, 3.jpg, ...",
        "labelled tag 01; like 0.jpg, 2.jpg, 3.jpg, ...",
    ]
    for labels in (1, 2):
        many = [
            Sample(Path(f"/photos/{n}.jpg"), (n % labels,), "train", n, str(n), 5)
            for n in range(10_000)
        ]
        began = time.process_time()
        items = findings.collect_findings(collection("single", many, 2), 192).items
        assert time.process_time() - began < 10 and len(items) == 10_000 - (labels == 1)


def test_the_ranking_has_a_maximum_length() -> None:
    rng = np.random.default_rng(4)
    has = rng.random((600, 40)) < 0.2
    features = (has @ rng.normal(size=(40, 64)) + rng.normal(size=(600, 64))).astype(np.float32)
    samples = [
        Sample(Path(f"/photos/{n}.jpg"), tuple(np.flatnonzero(row).tolist()), "train", n, str(n), h)
        for n, (row, h) in enumerate(zip(has, rng.integers(0, 2**63, 600).tolist(), strict=True))
    ]
    report = findings.collect_findings(collection("multi", samples, 40), 192, (samples, features))
    assert len(report.ranked) == findings.MAX_RANKED < 600 * 40 * findings.RANKED_SHARE
    scores = [finding.score or 0.0 for finding in report.ranked]
    assert scores == sorted(scores) and report.judged == 600


def test_tags_are_audited_with_the_splits_of_the_table(tmp_path: Path) -> None:
    """Unseen cells, a rare tag, a near copy across the splits, and two wrong cells."""
    root = tmp_path / "photos"
    rows = ["image,split,disc,stripes,rare"]
    for n in range(80):
        disc, split = n % 2, "val" if n % 5 == 4 else "train"
        save(root / f"{n:02}.png", draw("disc" if disc else "square", n, 240))
        label = {10: 1 - disc, 21: 1 - disc}.get(n, disc)
        stripes = "" if n < 30 else str(int(n % 3 == 0))
        rows.append(f"{n:02}.png,{split},{label},{stripes},{int(n < 4)}")
    near = decode.read(root / "04.png").copy()
    near[:3, :3] = 0
    save(root / "leak.png", near)
    again = decode.read(root / "08.png").copy()
    again[:3, :3] = 0
    save(root / "other.png", again)
    unseen = decode.read(root / "06.png").copy()  # has stripes; in 06.png they are unseen
    unseen[:3, :3] = 0
    save(root / "unseen.png", unseen)
    rows += ["leak.png,train,0,,0", "other.png,train,1,,0", "unseen.png,train,0,1,0"]
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    photos = read(root)
    samples = photos.samples
    numbers = [int(s.path.stem) if s.path.stem.isdigit() else 6 for s in samples]
    rng = np.random.default_rng(1)
    features = rng.normal(size=(len(samples), 8)).astype(np.float32)
    features[:, 0] += 8 * (np.array(numbers) % 2 == 1)
    features[:, 1] += 8 * (np.array(numbers) % 3 == 0)
    report = findings.collect_findings(photos, 192, (samples, features))
    leaks = {finding.photo: finding.details for finding in report.of_kind("leak")}
    assert leaks["leak.png"] == "like 04.png (val, labelled nothing)"
    conflicts = {f.photo for f in report.of_kind("near_conflict")}
    assert conflicts >= {"08.png", "other.png"} and not conflicts & {"06.png", "unseen.png"}
    assert "unseen.png" in {f.photo for f in report.of_kind("near_copy")}
    first = {finding.photo: finding.details for finding in report.ranked[:3]}
    assert set(first) == {"10.png", "21.png", "other.png"}
    assert first["10.png"].startswith("tagged disc, ")
    assert first["21.png"].startswith("not tagged disc, ")
    assert first["21.png"].endswith("% likely to show it")
    reported = {finding.photo for finding in report.of_kind("label")}
    assert reported <= set(first) and reported and report.judged == len(samples)
    assert not [f for f in report.ranked if "rare" in f.details]


def test_a_good_collection_has_no_findings(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for shape in ("disc", "square"):
        for seed in range(30):
            save(root / shape / f"{seed}.png", draw(shape, seed, 240))
    report = findings.collect_findings(read(root), 192)
    assert [f for f in report.items if f.kind not in findings.NEVER_LEFT_OUT] == []
    assert report.rare == ()

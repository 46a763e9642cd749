"""A collection examined through a network: planted errors found, in real photos."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tagger.audit import audit
from tagger.audit.audit import AuditConfig
from tagger.errors import ModelError
from tagger.images import decode
from tagger.paths import ROOT
from tests.conftest import draw_collection, run_program

SHARE = 0.05  # of labels planted wrong


def plant(pets: Path, folder: Path, each: int) -> set[str]:
    """Links to so many photos of each label, a twentieth under the other; which ones."""
    rng, wrong = np.random.default_rng(11), set()
    labels = sorted(path.name for path in pets.iterdir())
    for label, other in zip(labels, reversed(labels), strict=True):
        photos = list(decode.find_photos(pets / label))
        for place, row in enumerate(rng.choice(len(photos), each, replace=False)):
            given = other if place < SHARE * each else label
            target = folder / given / photos[row].name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(photos[row])
            wrong |= {f"{given}/{target.name}"} if given == other else set()
    return wrong


def test_planted_errors_are_ranked_first(data: Path, tmp_path: Path) -> None:
    """Through the bundled model, which knows validation photos from choosing alone."""
    wrong = plant(data / "pets" / "val", tmp_path / "photos", 200)
    found = audit.run_audit(AuditConfig(tmp_path / "photos", weights="pets")).findings
    assert len(found.ranked) == 40
    assert len(wrong & {finding.photo for finding in found.ranked}) >= 0.8 * len(wrong)
    called = {finding.photo for finding in found.of_kind("label")}
    assert len(called & wrong) >= 0.8 * len(called) > 0
    scores = [finding.score for finding in found.ranked]
    assert scores == sorted(scores) and "looks like" in found.ranked[0].details


def test_check_tells_writes_a_list_and_leaves_photos_alone(tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 30, shapes=("disc", "stripes"))
    shutil.move(folder / "disc" / "007.jpg", folder / "stripes" / "moved.jpg")
    (folder / "disc" / "broken.jpg").write_bytes(b"no photo")
    asked = ["--check", "--data", folder, "--weights", "pets", "--image-size", "96"]
    files = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    done = run_program("train.py", *asked, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == ""
    assert done.stdout.startswith("Labels: folders, 2 labels\n1 photo could not be read: left out")
    assert "1 photo cannot be read" in done.stdout and "disc/broken.jpg" in done.stdout
    assert "stripes/moved.jpg" in done.stdout and "looks like disc" in done.stdout
    done = run_program("train.py", *asked, "--json", "--fix", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["photos"] == 60 and told["ranked"][0]["photo"] == "stripes/moved.jpg"
    assert told["labels"] == "folders, 2 labels" and told["lacking"] is None
    assert told["problems"] == ["1 photo could not be read: left out"]
    assert told["left_out"]["unreadable"][0][0] == "disc/broken.jpg" and told["judged"] == 60
    assert "leave-out.csv: " in done.stderr and "--leave-out" in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == files
    done = run_program("train.py", *asked, "--leave-out", "leave-out.csv", cwd=tmp_path)
    assert done.returncode == 0 and "moved.jpg" not in done.stdout
    assert "on your list: left out" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leave-out.csv", "photos"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--json"], "go with --check"),
        (["--check", "--leave-out", "none.csv"], "none.csv"),
        (["--check", "--image-size", "0"], "image size 0: give 1 pixel or more"),
        (["--check", "--workers", "0"], "workers 0"),
        (["--check", "--seed", "-1"], "seed -1"),
        (["--check", "--validation-share", "1.5"], "validation share 1.5"),
        (["--check", "--fine-tune", "3", "--about", "x"], "leave out --fine-tune, --about"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, more: list[str], told: str) -> None:
    done = run_program("train.py", "--data", draw_collection(tmp_path / "p", 5), *more)
    assert done.returncode == 2 and told in done.stderr


def test_without_weights_labels_are_not_judged(tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 12)
    examined = audit.run_audit(AuditConfig(folder, weights="none"))
    found = examined.findings
    assert len(examined.collection.samples) == found.photos == 36 and found.ranked == ()
    assert found.judged == 0 and examined.training_obstacle is None
    with pytest.raises(ModelError, match="nonsense"):
        audit.run_audit(AuditConfig(folder, weights="nonsense"))


def test_what_reading_the_labels_found_is_told(tmp_path: Path) -> None:
    """Rows that lead nowhere, and why nothing could be trained on the rest."""
    folder = draw_collection(tmp_path / "photos", 3, shapes=("disc", "stripes"))
    rows = ["image,label", "gone.jpg,disc", *(f"disc/{n:03}.jpg,disc" for n in range(3))]
    rows += [f"stripes/{n:03}.jpg,stripes" for n in range(2)]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    listed = tmp_path / "list.csv"
    listed.write_text("photo\ndisc/000.jpg\nnowhere.jpg\n")
    asked = ["--check", "--data", folder, "--weights", "none", "--leave-out", listed]
    done = run_program("train.py", *asked, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("Labels: CSV, 2 labels\n")
    for line in (
        "1 row names a photo that is not there: left out",
        "1 photo has no label: left out",
        "1 photo is on your list: left out",
        "1 photo on your list is not in the collection",
        "whether labels are right was not judged",
    ):
        assert line in done.stdout.splitlines(), line
    assert f"Not enough to train on: {folder}: too few readable photos of disc" in done.stdout
    told = json.loads(run_program("train.py", *asked, "--json", cwd=tmp_path).stdout)
    assert "too few readable photos of disc" in told["lacking"]
    assert "1 photo has no label: left out" in told["problems"]
    assert told["left_out"]["not_there"] == ["nowhere.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_a_check_that_is_interrupted_has_nothing_to_go_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    os.mkfifo(tmp_path / "list.csv")
    program = [sys.executable, str(ROOT / "train.py"), "--check", "--data", str(folder)]
    program += ["--leave-out", str(tmp_path / "list.csv")]  # nobody writes it: it waits
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    writer = os.open(tmp_path / "list.csv", os.O_WRONLY)  # returns once the other end is open
    os.kill(process.pid, signal.SIGINT)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(writer)
    assert process.returncode == 130 and said == "Interrupted.\n"

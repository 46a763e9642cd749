"""Audits with a network: planted label errors in real photos, and `train.py --check`."""

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
from tagger.cli.train import main
from tagger.errors import ModelError
from tagger.images import decode
from tagger.paths import ROOT
from tests.conftest import RunMain, draw_collection

pytestmark = pytest.mark.training

SHARE = 0.05  # of labels are planted errors


def plant(pets: Path, folder: Path, each: int) -> set[str]:
    """Links to `each` photos of each label, SHARE of them under the other; returns those."""
    rng, wrong = np.random.default_rng(11), set()
    labels = sorted(path.name for path in pets.iterdir())
    for label, other in zip(labels, reversed(labels), strict=True):
        photos = list(decode.find_photos(pets / label))
        for number, row in enumerate(rng.choice(len(photos), each, replace=False)):
            folder_name = other if number < SHARE * each else label
            link = folder / folder_name / photos[row].name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(photos[row])
            wrong |= {f"{folder_name}/{link.name}"} if folder_name == other else set()
    return wrong


def test_planted_errors_are_ranked_first(data: Path, tmp_path: Path) -> None:
    wrong = plant(data / "pets" / "val", tmp_path / "photos", 200)
    findings = audit.run_audit(AuditConfig(tmp_path / "photos", weights="pets")).findings
    assert len(findings.ranked) == 40
    assert len(wrong & {finding.photo for finding in findings.ranked}) >= 0.8 * len(wrong)
    reported = {finding.photo for finding in findings.of_kind("label")}
    assert len(reported & wrong) >= 0.8 * len(reported) > 0
    scores = [finding.score for finding in findings.ranked]
    assert scores == sorted(scores) and "looks like" in findings.ranked[0].details


def test_check_reports_writes_a_list_and_leaves_photos_alone(
    run_main: RunMain, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 30, shapes=("disc", "stripes"))
    shutil.move(folder / "disc" / "007.jpg", folder / "stripes" / "moved.jpg")
    (folder / "disc" / "broken.jpg").write_bytes(b"no photo")
    options = ["--check", "--data", folder, "--weights", "pets", "--image-size", "96"]
    files = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    process = run_main(main, *options, cwd=tmp_path)
    assert process.returncode == 1 and process.stderr == ""
    assert process.stdout.startswith(
        "Labels: folders, 2 labels\n1 photo could not be read: left out"
    )
    assert "1 photo cannot be read" in process.stdout and "disc/broken.jpg" in process.stdout
    assert "stripes/moved.jpg" in process.stdout and "looks like disc" in process.stdout
    process = run_main(main, *options, "--json", "--fix", cwd=tmp_path)
    report = json.loads(process.stdout)
    assert report["photos"] == 60 and report["ranked"][0]["photo"] == "stripes/moved.jpg"
    assert report["labels"] == "folders, 2 labels" and report["lacking"] is None
    assert report["problems"] == ["1 photo could not be read: left out"]
    assert report["left_out"]["unreadable"][0][0] == "disc/broken.jpg" and report["judged"] == 60
    assert "leave-out.csv: " in process.stderr and "--leave-out" in process.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == files
    process = run_main(main, *options, "--leave-out", "leave-out.csv", cwd=tmp_path)
    assert process.returncode == 0 and "moved.jpg" not in process.stdout
    assert "on your list: left out" in process.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leave-out.csv", "photos"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json"], "go with --check"),
        (["--check", "--leave-out", "none.csv"], "none.csv"),
        (["--check", "--image-size", "0"], "image size 0: give 1 pixel or more"),
        (["--check", "--workers", "0"], "workers 0"),
        (["--check", "--seed", "-1"], "seed -1"),
        (["--check", "--validation-share", "1.5"], "validation share 1.5"),
        (["--check", "--fine-tune", "3", "--about", "x"], "leave out --about, --fine-tune"),
    ],
)
def test_options_that_do_not_apply_are_refused(
    run_main: RunMain, tmp_path: Path, options: list[str], message: str
) -> None:
    process = run_main(main, "--data", draw_collection(tmp_path / "p", 5), *options)
    assert process.returncode == 2 and message in process.stderr


def test_without_weights_labels_are_not_judged(tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 12)
    report = audit.run_audit(AuditConfig(folder, weights="none"))
    findings = report.findings
    assert len(report.collection.samples) == findings.photos == 36 and findings.ranked == ()
    assert findings.judged == 0 and report.training_obstacle is None
    with pytest.raises(ModelError, match="nonsense"):
        audit.run_audit(AuditConfig(folder, weights="nonsense"))


def test_check_reports_problems_of_reading_the_labels(run_main: RunMain, tmp_path: Path) -> None:
    """Missing photos, unlabelled photos, and too few photos to train on."""
    folder = draw_collection(tmp_path / "photos", 3, shapes=("disc", "stripes"))
    rows = ["image,label", "gone.jpg,disc", *(f"disc/{n:03}.jpg,disc" for n in range(3))]
    rows += [f"stripes/{n:03}.jpg,stripes" for n in range(2)]
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    leave_out = tmp_path / "list.csv"
    leave_out.write_text("photo\ndisc/000.jpg\nnowhere.jpg\n")
    options = ["--check", "--data", folder, "--weights", "none", "--leave-out", leave_out]
    process = run_main(main, *options, cwd=tmp_path)
    assert process.returncode == 1 and process.stdout.startswith("Labels: CSV, 2 labels\n")
    for line in (
        "1 row names a photo that is not there: left out",
        "1 photo has no label: left out",
        "1 photo is on your list: left out",
        "1 photo on your list is not in the collection",
        "labels were not checked",
    ):
        assert line in process.stdout.splitlines(), line
    assert f"Not enough to train on: {folder}: too few readable photos of disc" in process.stdout
    report = json.loads(run_main(main, *options, "--json", cwd=tmp_path).stdout)
    assert "too few readable photos of disc" in report["lacking"]
    assert "1 photo has no label: left out" in report["problems"]
    assert report["left_out"]["not_there"] == ["nowhere.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_an_interrupted_check_does_not_offer_to_resume(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    os.mkfifo(tmp_path / "list.csv")
    program = [sys.executable, str(ROOT / "train.py"), "--check", "--data", str(folder)]
    program += ["--leave-out", str(tmp_path / "list.csv")]  # blocks: nobody writes to it
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    writer = os.open(tmp_path / "list.csv", os.O_WRONLY)  # returns once the other end is open
    os.kill(process.pid, signal.SIGINT)
    try:
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(writer)
    assert process.returncode == 130 and stderr == "Interrupted.\n"

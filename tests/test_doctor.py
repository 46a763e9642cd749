"""A collection examined through a network: planted errors found, in real photos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_collection, run_program

from tagger import doctor, images
from tagger.doctor import Examination
from tagger.errors import ModelError

SHARE = 0.05  # of labels planted wrong


def plant(pets: Path, folder: Path, each: int) -> set[str]:
    """Links to so many photos of each label, a twentieth under the other; which ones."""
    rng, wrong = np.random.default_rng(11), set()
    labels = sorted(path.name for path in pets.iterdir())
    for label, other in zip(labels, reversed(labels), strict=True):
        photos = list(images.walk(pets / label))
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
    _, found = doctor.examine(Examination(tmp_path / "photos", weights="pets"))
    assert len(found.ranked) == 40
    assert len(wrong & {finding.photo for finding in found.ranked}) >= 0.8 * len(wrong)
    called = {finding.photo for finding in found.of("label")}
    assert len(called & wrong) >= 0.8 * len(called) > 0
    scores = [finding.score for finding in found.ranked]
    assert scores == sorted(scores) and "looks like" in found.ranked[0].told


def test_check_tells_writes_a_list_and_leaves_photos_alone(tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 30, shapes=("disc", "stripes"))
    shutil.move(folder / "disc" / "007.jpg", folder / "stripes" / "moved.jpg")
    (folder / "disc" / "broken.jpg").write_bytes(b"no photo")
    asked = ["--check", "--data", folder, "--weights", "pets", "--image-size", "96"]
    files = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    done = run_program("train.py", *asked, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == ""
    assert "1 photo cannot be read" in done.stdout and "disc/broken.jpg" in done.stdout
    assert "stripes/moved.jpg" in done.stdout and "looks like disc" in done.stdout
    done = run_program("train.py", *asked, "--json", "--fix", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["photos"] == 60 and told["ranked"][0]["photo"] == "stripes/moved.jpg"
    assert "leave-out.csv: " in done.stderr and "--leave-out" in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == files
    done = run_program("train.py", *asked, "--leave-out", "leave-out.csv", cwd=tmp_path)
    assert done.returncode == 0 and "moved.jpg" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leave-out.csv", "photos"]


@pytest.mark.parametrize(
    ("more", "told"),
    [(["--json"], "go with --check"), (["--check", "--leave-out", "none.csv"], "none.csv")],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, more: list[str], told: str) -> None:
    done = run_program("train.py", "--data", draw_collection(tmp_path / "p", 5), *more)
    assert done.returncode == 2 and told in done.stderr


def test_without_weights_labels_are_not_judged(tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 12)
    collection, found = doctor.examine(Examination(folder, weights="none"))
    assert len(collection.samples) == found.photos == 36 and found.ranked == ()
    with pytest.raises(ModelError, match="nonsense"):
        doctor.examine(Examination(folder, weights="nonsense"))

"""`train.py --check` without a network: what is in a collection, in figures and sentences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tagger.cli import check
from tagger.cli.train import main
from tests.conftest import RunMain, draw_collection

OPTIONS = ("--check", "--weights", "none", "--data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw_collection(tmp_path / "photos", 6, shapes=("disc", "stripes"))


def test_counts_and_splits_are_told(run_main: RunMain, folder: Path) -> None:
    for label in ("disc", "stripes"):
        for split, numbers in (("training_set", "0123"), ("test_set", "45")):
            (folder / split / label).mkdir(parents=True)
            for n in numbers:
                shutil.move(folder / label / f"00{n}.jpg", folder / split / label)
    done = run_main(main, *OPTIONS, folder, "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["counts"] == {"disc": 6, "stripes": 6}
    assert report["splits"] == {"train": 6, "val": 2, "test": 4}
    lines = run_main(main, *OPTIONS, folder).stdout.splitlines()
    assert "train: 6 photos (3 disc, 3 stripes)" in lines
    assert "val: 2 photos (1 disc, 1 stripes)" in lines
    assert "test: 4 photos (2 disc, 2 stripes)" in lines


def test_the_whole_collection_is_counted(run_main: RunMain, folder: Path) -> None:
    for label, numbers in (("stripes", "01"), ("rare", "2")):  # copies, and too few to train on
        (folder / label).mkdir(exist_ok=True)
        for n in numbers:
            source = folder / ("stripes" if label == "rare" else "disc") / f"00{n}.jpg"
            target = folder / label / f"copy {n}.jpg"
            (shutil.move if label == "rare" else shutil.copy)(source, target)
    shutil.copy(folder / "disc" / "002.jpg", folder / "disc" / "again.jpg")
    (folder / "disc" / "broken.jpg").write_bytes(b"")
    report = json.loads(run_main(main, *OPTIONS, folder, "--json").stdout)
    assert report["counts"] == {"disc": 8, "rare": 1, "stripes": 7}


def test_a_split_without_photos_counts_none(run_main: RunMain, folder: Path) -> None:
    done = run_main(check.main, "--weights", "none", "--data", folder, "--json")
    assert json.loads(done.stdout)["splits"] == {"train": 10, "val": 2, "test": 0}


def test_labels_that_differ_in_case_are_asked_about_or_merged(
    run_main: RunMain, folder: Path
) -> None:
    (folder / "Disc").mkdir()
    for n in range(2):
        shutil.move(folder / "disc" / f"00{n}.jpg", folder / "Disc")
    done = run_main(main, *OPTIONS, folder)
    assert "disc and Disc: one label? --merge-case makes them one" in done.stdout.splitlines()
    report = json.loads(run_main(main, *OPTIONS, folder, "--json").stdout)
    assert report["left_out"]["case_variants"] == [["disc", "Disc"]]
    report = json.loads(run_main(main, *OPTIONS, folder, "--json", "--merge-case").stdout)
    assert report["counts"] == {"disc": 6, "stripes": 6}
    assert report["problems"] == ["1 label differs from another in case alone: merged"]


def test_names_never_make_a_line_of_their_own(run_main: RunMain, folder: Path) -> None:
    (folder / "disc").rename(folder / "disc\ntest: 900 photos (900 disc)")
    (folder / "stripes" / "x\nexit: all is well.jpg").write_bytes(b"no photo")
    done = run_main(main, *OPTIONS, folder)
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith(("test: ", "exit: "))]
    assert [line for line in lines if "disc test: 900 photos" in line]


def test_ambiguous_folders_are_refused(run_main: RunMain, folder: Path) -> None:
    for outer in ("first", "second"):
        shutil.copytree(folder / "disc", folder / outer / "disc")
        shutil.copytree(folder / "stripes", folder / outer / "stripes")
    for label in ("disc", "stripes"):
        shutil.rmtree(folder / label)
    done = run_main(main, *OPTIONS, folder)
    assert done.returncode == 2 and done.stdout == ""
    assert "first/, second/ hold folders of the same names: disc/, stripes/" in done.stderr

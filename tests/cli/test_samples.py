"""The programs that write sample photos and CIFAR-10."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tagger.datasets.sample_photos import PHOTOS
from tagger.paths import ROOT

pytestmark = pytest.mark.training


def test_sample_photos_are_written_and_their_paths_printed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tagger.samples", str(tmp_path / "samples")],
        capture_output=True,
        text=True,
        check=True,
    )
    printed = [Path(line) for line in done.stdout.splitlines()]
    assert len(printed) == len(PHOTOS)
    assert sorted(printed) == sorted((tmp_path / "samples").iterdir())


def test_cifar10_without_a_network_is_an_error_in_one_line(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"  # a proxy that is not running
    done = subprocess.run(
        [sys.executable, "-m", "tagger.cifar10", str(tmp_path / "cifar10")],
        capture_output=True,
        text=True,
        env={
            "KERAS_HOME": str(tmp_path / "keras"),
            "https_proxy": nowhere,
            "PATH": "",
            "PYTHONPATH": str(ROOT),
        },
    )
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("CIFAR-10 is not in Keras's cache and could not be downloaded (")
    assert not (tmp_path / "cifar10").exists()

"""Crash probe: files that kill the process which opens them are found, one by one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.images import decode
from tagger.jobs import crash_probe
from tests.conftest import draw

FATAL = b"this one is fatal"
# A decoder with a bug, which every child process of the test imports.
DECODER = f"""
import os, signal
from PIL.ImageFile import ImageFile
def start(self, file=None, filename=None, _start=ImageFile.__init__):
    if {FATAL!r} in file.getvalue():
        os.kill(os.getpid(), signal.SIGSEGV)
    _start(self, file, filename)
ImageFile.__init__ = start
"""


@pytest.fixture
def bad_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes started from now on die when they open a file that contains FATAL."""
    (tmp_path / "decoder").mkdir()
    (tmp_path / "decoder" / "sitecustomize.py").write_text(DECODER)
    path = [str(tmp_path / "decoder"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))


def write_photos(folder: Path, count: int, crashing: set[int]) -> list[str]:
    folder.mkdir()
    for number in range(count):
        photo = decode.encode(draw("disc", number, 64), "JPEG")
        (folder / f"{number}.jpg").write_bytes(photo + (FATAL if number in crashing else b""))
    return [str(folder / f"{number}.jpg") for number in range(count)]


@pytest.mark.parametrize("crashing", [set(), {1}, {0, 1, 3}])
def test_only_crashing_files_are_found(
    bad_decoder: None, tmp_path: Path, crashing: set[int]
) -> None:
    paths = write_photos(tmp_path / "photos", 4, crashing)
    Path(paths[2]).write_bytes(b"no photo")
    assert crash_probe.find_crashing([*paths, str(tmp_path / "gone.jpg")], 96) == sorted(crashing)


def test_without_files_nothing_is_found(tmp_path: Path) -> None:
    assert crash_probe.find_crashing([], 96) == []

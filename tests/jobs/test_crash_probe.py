"""Files that end the process which opens them: found one by one, the others left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.images import decode
from tagger.jobs import crash_probe
from tests.conftest import draw

FATAL = b"this one is fatal"
# A decoder with a mistake in it, as every process of the test finds it.
DECODER = f"""
import os, signal
from PIL import Image
def open(file, *more, _open=Image.open, **named):
    if {FATAL!r} in file.getvalue():
        os.kill(os.getpid(), signal.SIGSEGV)
    return _open(file, *more, **named)
Image.open = open
"""


@pytest.fixture
def bad_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes begun from now on end where a file has the mark in it."""
    (tmp_path / "decoder").mkdir()
    (tmp_path / "decoder" / "sitecustomize.py").write_text(DECODER)
    path = [str(tmp_path / "decoder"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))


def write_photos(folder: Path, count: int, fatal: set[int]) -> list[str]:
    folder.mkdir()
    for number in range(count):
        photo = decode.encode(draw("disc", number, 64), "JPEG")
        (folder / f"{number}.jpg").write_bytes(photo + (FATAL if number in fatal else b""))
    return [str(folder / f"{number}.jpg") for number in range(count)]


@pytest.mark.parametrize("fatal", [set(), {1}, {0, 1, 3}])
def test_only_those_that_end_it_are_named(
    bad_decoder: None, tmp_path: Path, fatal: set[int]
) -> None:
    paths = write_photos(tmp_path / "photos", 4, fatal)
    Path(paths[2]).write_bytes(b"no photo")
    assert crash_probe.fatal([*paths, str(tmp_path / "gone.jpg")], 96) == sorted(fatal)


def test_of_no_files_none(tmp_path: Path) -> None:
    assert crash_probe.fatal([], 96) == []

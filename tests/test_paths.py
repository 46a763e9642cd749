"""Paths as model cards record them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger import paths


def test_a_card_records_project_paths_and_hides_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGGER_DATA", str(tmp_path / "data"))
    assert paths.public_path(tmp_path / "data" / "pets" / "a.jpg") == "$TAGGER_DATA/pets/a.jpg"
    assert paths.public_path(paths.ROOT / "dataset" / "cat") == "dataset/cat"
    assert paths.public_path(tmp_path / "private" / "me.jpg") == "me.jpg"
    assert paths.public_path(Path("somewhere") / "cat") == "somewhere/cat"
    monkeypatch.delenv("TAGGER_DATA")
    assert paths.public_path(tmp_path / "data" / "pets") == "pets"

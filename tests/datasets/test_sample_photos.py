"""The sample photos: copied to a folder, and readable."""

from __future__ import annotations

from pathlib import Path

from tagger.datasets.sample_photos import write_samples
from tagger.images import decode


def test_the_samples_are_readable_photos(tmp_path: Path) -> None:
    paths = write_samples(tmp_path / "new" / "folder")
    assert {path.name for path in paths} == {"cat.png", "astronaut.png", "coffee.png", "rocket.jpg"}
    for path in paths:
        assert path.parent == tmp_path / "new" / "folder"
        assert min(decode.read(path).shape[:2]) >= 200
    assert write_samples(tmp_path / "new" / "folder") == paths  # may be repeated

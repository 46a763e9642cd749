"""Provenance: package versions, and the command of this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tagger.provenance import command, version_of, versions


def test_versions_and_command_of_this_process() -> None:
    assert {"tensorflow", "keras", "numpy", "pillow"} < set(versions())
    assert command().split()[1:2] == [Path(sys.argv[0]).name]


def test_the_version_of_a_cpu_only_package_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up_cpu-1.2.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: made-up-cpu\nVersion: 1.2\n"
    (tmp_path / "made_up_cpu-1.2.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    assert version_of("made-up") == "1.2"

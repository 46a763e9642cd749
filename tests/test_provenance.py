"""Provenance: package versions, and the command of this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tagger.provenance import command, version_of, versions


def test_versions_of_the_installed_packages() -> None:
    assert {"tensorflow", "keras", "numpy", "pillow"} < set(versions())


def test_a_command_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/tagger/train.py", "--about", "drawn shapes"])
    assert command() == 'python train.py --about "drawn shapes"'
    monkeypatch.setattr(sys, "argv", ["/opt/bin/image-tagger", "train"])
    assert command() == "image-tagger train"


def test_the_version_of_a_cpu_only_package_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up_cpu-1.2.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: made-up-cpu\nVersion: 1.2\n"
    (tmp_path / "made_up_cpu-1.2.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(tmp_path)
    assert version_of("made-up") == "1.2"

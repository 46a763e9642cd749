"""A run's folder: new each time, found again when unfinished, never mixed up."""

from __future__ import annotations

import csv
import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.provenance import command, version_of, versions
from tagger.training.run_folder import (
    CONFIG,
    HISTORY,
    METRICS,
    discard_unused,
    open_run,
    peak_memory_mb,
    write_history,
)

SETTINGS: dict[str, Any] = {"seed": 42, "about": "naïve 猫", "sizes": (192, 224), "test": None}


def begin(runs: Path, name: str = "shop", **changed: Any) -> Path:
    return open_run(runs, name, {**SETTINGS, **changed}, resume=False)


def resume(runs: Path, name: str = "shop", **changed: Any) -> Path:
    return open_run(runs, name, {**SETTINGS, **changed}, resume=True)


def test_a_run_keeps_its_settings(tmp_path: Path) -> None:
    run = begin(tmp_path / "runs")
    assert re.fullmatch(r"\d{8}-\d{6}-shop", run.name) and run.parent == tmp_path / "runs"
    config = json.loads((run / CONFIG).read_text(encoding="utf-8"))
    assert config["about"] == "naïve 猫" and config["sizes"] == [192, 224]
    assert config["versions"]["python"] == platform.python_version()
    assert config["command"].startswith("python ")
    assert [path.name for path in run.iterdir()] == [CONFIG]


def test_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [begin(tmp_path) for _ in range(12)]
    assert len(set(folders)) == 12
    assert all((folder / CONFIG).is_file() for folder in folders)


def test_resume_finds_the_unfinished_run(tmp_path: Path) -> None:
    finished, unfinished = begin(tmp_path), begin(tmp_path)
    (finished / METRICS).write_text("{}")
    assert resume(tmp_path) == unfinished


def test_resume_takes_the_latest_of_several(tmp_path: Path) -> None:
    older, newer = tmp_path / "20240101-120000-shop", tmp_path / "20240102-080000-shop"
    for folder in (newer, older):
        begin(tmp_path).rename(folder)
    assert resume(tmp_path) == newer


def test_resume_leaves_other_names_alone(tmp_path: Path) -> None:
    mine = begin(tmp_path, "shop")
    begin(tmp_path, "pets")
    assert resume(tmp_path, "shop") == mine


def test_resume_with_other_settings_is_refused_and_names_them(tmp_path: Path) -> None:
    run = begin(tmp_path)
    with pytest.raises(OptionError) as caught:
        resume(tmp_path, seed=7, sizes=[192])
    message = str(caught.value)
    assert run.name in message
    assert "seed was 42, is 7" in message and "sizes was [192, 224], is [192]" in message
    assert "about" not in message
    with pytest.raises(OptionError, match="patience was None, is 5"):
        resume(tmp_path, patience=5)


def test_there_may_be_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing to resume"):
        resume(tmp_path / "nowhere")
    (begin(tmp_path) / METRICS).write_text("{}")
    (tmp_path / "20240101-120000-shop").mkdir()  # killed before it had settings
    with pytest.raises(OptionError, match="no unfinished run for shop"):
        resume(tmp_path)


def test_a_run_with_nothing_in_it_can_be_discarded(tmp_path: Path) -> None:
    empty, begun = begin(tmp_path), begin(tmp_path)
    (begun / HISTORY).touch()
    for run in (empty, begun):
        discard_unused(run)
    assert list(tmp_path.iterdir()) == [begun]


def test_a_history_has_a_line_an_epoch(tmp_path: Path) -> None:
    write_history(tmp_path, [])
    assert not (tmp_path / HISTORY).exists()
    write_history(tmp_path, [{"epoch": 0, "loss": None}, {"epoch": 1, "loss": 0.25}])
    with open(tmp_path / HISTORY, newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"epoch": "0", "loss": ""}, {"epoch": "1", "loss": "0.25"}]
    assert [path.name for path in tmp_path.iterdir()] == [HISTORY]


def test_versions_and_command_of_this_process() -> None:
    assert {"tensorflow", "keras", "numpy", "pillow"} < set(versions())
    assert command().split()[1:2] == [Path(sys.argv[0]).name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell")
def test_a_package_may_be_installed_as_built_for_processors_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up_cpu-1.2.dist-info").mkdir()
    told = "Metadata-Version: 2.1\nName: made-up-cpu\nVersion: 1.2\n"
    (tmp_path / "made_up_cpu-1.2.dist-info" / "METADATA").write_text(told)
    monkeypatch.syspath_prepend(tmp_path)
    assert version_of("made-up") == "1.2"


def test_peak_memory_is_that_of_a_python_process() -> None:
    before = peak_memory_mb()
    assert before is not None and 20 < before < 2**20
    held = bytearray(b"x") * (int(before) * 2**20)
    after = peak_memory_mb()
    assert after is not None and after > len(held) / 2**20


def test_resume_leaves_longer_names_alone(tmp_path):
    mine = begin(tmp_path, "shop", output="shop.h5")
    begin(tmp_path, "shop-big", output="shop-big.h5").rename(tmp_path / "29990101-000000-shop-big")
    assert resume(tmp_path, "shop", output="shop.h5") == mine


def test_resume_finds_a_name_with_brackets(tmp_path):
    assert begin(tmp_path, "shop[1]") == resume(tmp_path, "shop[1]")

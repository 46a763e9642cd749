"""Run folders: new for each run, and resumed when unfinished."""

from __future__ import annotations

import csv
import json
import math
import platform
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.training.run_folder import (
    CONFIG,
    HISTORY,
    METRICS,
    Epoch,
    discard_unused,
    open_run,
    peak_memory_mb,
    read_history,
    write_history,
)

SETTINGS: dict[str, Any] = {"seed": 42, "about": "naïve 猫", "sizes": (192, 224), "test": None}


def begin(runs: Path, name: str = "shop", **changed: Any) -> Path:
    return open_run(runs, name, {**SETTINGS, **changed}, resume=False)


def resume(runs: Path, name: str = "shop", **changed: Any) -> Path:
    return open_run(runs, name, {**SETTINGS, **changed}, resume=True)


def test_a_run_folder_holds_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--seed", "42"])
    run = begin(tmp_path / "runs")
    assert re.fullmatch(r"\d{8}-\d{6}-shop", run.name) and run.parent == tmp_path / "runs"
    config = json.loads((run / CONFIG).read_text(encoding="utf-8"))
    assert config["about"] == "naïve 猫" and config["sizes"] == [192, 224]
    assert config["versions"]["python"] == platform.python_version()
    assert config["command"] == "python train.py --seed 42"
    assert [path.name for path in run.iterdir()] == [CONFIG]


def test_every_run_has_its_own_folder(tmp_path: Path) -> None:
    folders = [begin(tmp_path) for _ in range(12)]
    assert len(set(folders)) == 12
    assert all((folder / CONFIG).is_file() for folder in folders)


def test_resume_opens_the_unfinished_run(tmp_path: Path) -> None:
    finished, unfinished = begin(tmp_path), begin(tmp_path)
    (finished / METRICS).write_text("{}")
    assert resume(tmp_path) == unfinished


def test_resume_opens_the_latest_of_several(tmp_path: Path) -> None:
    older, newer = tmp_path / "20240101-120000-shop", tmp_path / "20240102-080000-shop"
    for folder in (newer, older):
        begin(tmp_path).rename(folder)
    assert resume(tmp_path) == newer


def test_resume_ignores_runs_of_other_models(tmp_path: Path) -> None:
    mine = begin(tmp_path, "shop")
    begin(tmp_path, "pets")
    assert resume(tmp_path, "shop") == mine


def test_resume_with_other_settings_is_refused_naming_them(tmp_path: Path) -> None:
    run = begin(tmp_path)
    with pytest.raises(OptionError) as caught:
        resume(tmp_path, seed=7, sizes=[192])
    message = str(caught.value)
    assert run.name in message
    assert "seed was 42, is 7" in message and "sizes was [192, 224], is [192]" in message
    assert "about" not in message
    with pytest.raises(OptionError, match="patience was None, is 5"):
        resume(tmp_path, patience=5)


def test_resume_may_change_what_is_computed_after_fine_tuning(tmp_path: Path) -> None:
    run = begin(tmp_path, least_precision=0.9)
    assert resume(tmp_path, least_precision=0.7, test="other") == run
    config = json.loads((run / CONFIG).read_text(encoding="utf-8"))
    assert (config["least_precision"], config["test"], config["seed"]) == (0.7, "other", 42)
    assert "versions" in config


def test_resume_without_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing to resume"):
        resume(tmp_path / "nowhere")
    (begin(tmp_path) / METRICS).write_text("{}")
    (tmp_path / "20240101-120000-shop").mkdir()  # killed before it had settings
    with pytest.raises(OptionError, match="no unfinished run for shop"):
        resume(tmp_path)


def test_a_run_folder_without_training_is_discarded(tmp_path: Path) -> None:
    empty, used = begin(tmp_path), begin(tmp_path)
    (used / HISTORY).touch()
    for run in (empty, used):
        discard_unused(run)
    assert list(tmp_path.iterdir()) == [used]


def test_a_history_has_a_row_an_epoch(tmp_path: Path) -> None:
    write_history(tmp_path, [])
    assert not (tmp_path / HISTORY).exists()
    write_history(tmp_path, [Epoch(0), Epoch(1, loss=0.25, val_map=0.5)])
    with open(tmp_path / HISTORY, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [row["loss"] for row in rows] == ["", "0.25"]
    first, second = read_history(tmp_path / HISTORY)
    assert math.isnan(first["loss"]) and (second["loss"], second["val_map"]) == (0.25, 0.5)
    assert [path.name for path in tmp_path.iterdir()] == [HISTORY]


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is not available")
def test_peak_memory_is_that_of_a_python_process() -> None:
    before = peak_memory_mb()
    assert before is not None and 20 < before < 2**20
    held = bytearray(b"x") * (int(before) * 2**20)
    after = peak_memory_mb()
    assert after is not None and after > len(held) / 2**20


def test_resume_ignores_longer_names(tmp_path: Path) -> None:
    mine = begin(tmp_path, "shop", output="shop.h5")
    begin(tmp_path, "shop-big", output="shop-big.h5").rename(tmp_path / "29990101-000000-shop-big")
    assert resume(tmp_path, "shop", output="shop.h5") == mine


def test_resume_opens_a_name_with_brackets(tmp_path: Path) -> None:
    assert begin(tmp_path, "shop[1]") == resume(tmp_path, "shop[1]")

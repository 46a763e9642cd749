"""Checkpoints that cannot be resumed are refused before photos are read, and stay."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tagger.errors import OptionError
from tagger.training import run_folder, trainer
from tests.conftest import draw_collection, tiny_config


def test_a_checkpoint_of_another_version_is_refused_and_kept(tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 1)
    config = tiny_config(data, tmp_path)
    run = run_folder.open_run(config.runs, "shapes", config.settings(), resume=False)
    state = {"history": [{"epoch": 3, "val_loss": 0.5}], "best_epoch": 3, "stopped": None}
    for name, content in (("state.json", json.dumps(state)), ("checkpoint-3.npz", "arrays")):
        (run / name).write_text(content)
    before = {path: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(OptionError, match=r"another version.*start anew without --resume"):
        trainer.train(replace(config, resume=True))
    assert {path: path.read_bytes() for path in run.iterdir()} == before

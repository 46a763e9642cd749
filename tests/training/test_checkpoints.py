"""Checkpoints that cannot be resumed are refused before photos are read, and stay."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from tagger.errors import OptionError
from tagger.training import checkpoints, run_folder, trainer
from tagger.training.checkpoints import FineTuningState
from tagger.training.run_folder import Epoch
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


@pytest.mark.training
def test_a_checkpoint_is_written_without_a_copy_of_it_in_memory(tmp_path: Path) -> None:
    import keras

    layers = [keras.Input((800,)), *(keras.layers.Dense(800) for _ in range(4))]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.AdamW(use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)
    state = FineTuningState([Epoch(0)])
    weights = [array.copy() for array in model.get_weights()]
    tracemalloc.start()
    checkpoints.save_checkpoint(model, state, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (tmp_path / "checkpoint-0.npz").stat().st_size / 4
    model.set_weights([array + 1 for array in weights])
    checkpoints.restore_checkpoint(model, state, tmp_path)
    restored = model.get_weights()
    assert all((a == b).all() for a, b in zip(restored, weights, strict=True))

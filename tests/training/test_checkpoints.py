"""Checkpoints that cannot be resumed are refused before photos are read, and stay."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tagger.audit.findings import Finding, Findings
from tagger.cli.train import main
from tagger.errors import OptionError
from tagger.models import networks
from tagger.training import checkpoints, run_folder, trainer
from tagger.training.checkpoints import FineTuningState
from tagger.training.config import TrainingConfig
from tagger.training.run_folder import Epoch
from tests import tiny
from tests.conftest import RunMain, draw_collection, tiny_config


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


def begin_run(folder: Path) -> tuple[TrainingConfig, Path]:
    """An unfinished run of two epochs, with the files that resuming reads."""
    config = tiny_config(draw_collection(folder / "data", 1), folder)
    run = run_folder.open_run(config.runs, "shapes", config.settings(), resume=False)
    history = [asdict(Epoch(epoch, val_loss=1 / (1 + epoch))) for epoch in range(3)]
    state = {"version": checkpoints.VERSION, "history": history, "stopped": None}
    (run / checkpoints.STATE).write_text(json.dumps(state))
    findings = Findings(config.data, 9, 9, (Finding("copy", "a.jpg"),), (), (("disc", 3),))
    (run / run_folder.FINDINGS).write_text(json.dumps(findings.to_dict()))
    for name in ("checkpoint-2", "average-0", "average-2"):
        np.savez(run / f"{name}.npz", **{"00000": np.ones((8, 8), np.float32)})
    return config, run


FILES = (
    *("state.json", "config.json", "findings.json"),
    *("checkpoint-2.npz", "average-0.npz", "average-2.npz"),
)
DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "changed": lambda path: path.write_bytes(path.read_bytes().replace(b"\x80?", b"\x81?", 1)),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\xff"),
    "a list": lambda path: path.write_text("[[1]]"),
    "an object": lambda path: path.write_text("{}"),
    "nested": lambda path: path.write_text("[" * 100_000),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_refused_before_photos_are_read(
    tmp_path: Path, name: str, damage: str
) -> None:
    config, run = begin_run(tmp_path)
    before = (run / name).read_bytes()
    DAMAGES[damage](run / name)
    if (run / name).is_file() and (run / name).read_bytes() == before:
        return  # text has no such bytes
    with pytest.raises(OptionError, match=rf"{name}|nothing to resume|was begun"):
        trainer.train(replace(config, resume=True))


@pytest.mark.parametrize("name", ["checkpoint-2.npz", "average-0.npz", "average-2.npz"])
def test_a_run_without_its_arrays_is_refused(tmp_path: Path, name: str) -> None:
    config, run = begin_run(tmp_path)
    (run / name).unlink()
    with pytest.raises(OptionError, match=rf"{name}: damaged or missing"):
        trainer.train(replace(config, resume=True))


HISTORIES: tuple[object, ...] = (
    *(None, 1, "text", {}, [1], [{}], [{"epoch": 0, "surprise": 1}]),
    [{"epoch": 1}],
    [{"epoch": 0}, {"epoch": 2}],
    [{"epoch": "0"}],
    [{"epoch": 0, "val_loss": None}],
    [{"epoch": 0, "val_loss": "low"}],
    [{"epoch": 0, "val_loss": True}],
    [{"epoch": 0, "loss": []}],
)


@pytest.mark.parametrize("history", HISTORIES)
def test_a_state_of_other_values_is_refused(tmp_path: Path, history: object) -> None:
    state = {"version": checkpoints.VERSION, "history": history, "stopped": None}
    (tmp_path / checkpoints.STATE).write_text(json.dumps(state))
    with pytest.raises(OptionError, match=r"state\.json: damaged"):
        checkpoints.load_state(tmp_path)


@pytest.mark.training
def test_arrays_of_another_network_are_refused(tmp_path: Path) -> None:
    _, run = begin_run(tmp_path)
    network = networks.build(tiny.NAME, tiny.IMAGE_SIZE, 3)
    network.compile("sgd")
    state = checkpoints.load_state(run)
    for call in (
        lambda: checkpoints.restore_checkpoint(network, state, run),
        lambda: checkpoints.blend_weights(network, 2, 0.5, run),
    ):
        with pytest.raises(OptionError, match="its arrays are not those of this network"):
            call()


def test_the_program_ends_with_a_sentence_and_exit_status_2(
    tmp_path: Path, run_main: RunMain
) -> None:
    config, run = begin_run(tmp_path)
    (run / "checkpoint-2.npz").write_bytes(b"PK")
    options = ["--data", config.data, "--output", config.output, "--runs", config.runs]
    more = ["--backbone", tiny.NAME, "--weights", "none", "--image-size", tiny.IMAGE_SIZE]
    done = run_main(main, *options, *more, "--fine-tune", 1, "--resume")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "cannot be resumed" in done.stderr or "other settings" in done.stderr


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

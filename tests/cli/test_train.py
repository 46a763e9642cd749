"""`python train.py` in processes of its own: refused, run to the end, killed and resumed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagger.cli.train import main
from tagger.inference import model_file
from tagger.inference.registry import BUNDLED_MODEL
from tagger.paths import ROOT
from tests import tiny
from tests.conftest import RunMain, draw_collection, run_code, run_program, trained_state

SMALL = ("--weights", "pets", "--image-size", "96")
TINY = ("--backbone", tiny.NAME, "--weights", "none", "--image-size", tiny.IMAGE_SIZE)
# `train.py`, where the tests' own network has a name too.
TRAIN_TINY = "import sys, tests.tiny; from tagger.cli import train; sys.exit(train.main())"


def options(data: Path, folder: Path, *more: object) -> list[str]:
    chosen = ["--data", data, "--output", folder / "m.h5", "--runs", folder / "runs", *SMALL, *more]
    return [str(part) for part in chosen]


def test_an_empty_dataset_folder_is_explained(run_main: RunMain, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    done = run_main(main, "--data", tmp_path / "dataset", "--runs", tmp_path / "runs")
    assert done.returncode == 2
    assert "found 0 photos in 0 folders" in done.stderr
    assert "one folder for each label" in done.stderr and ".heic" in done.stderr
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backbone", "vgg"], "there are efficientnet_v2_b0, mobilenet_v2"),
        (["--image-size", "100"], "multiple of 32"),
        (["--output", "model.keras"], "ends in .h5"),
        (["--weights", "nonsense"], "no model is called 'nonsense'"),
        (["--fine-tune", "-1"], "epochs must be 0 or more"),
        (["--unrelated", "no/such"], "no such folder"),
        (["--resume"], "nothing to resume"),
        (["--export", "onnx", "coreml"], "export 'coreml': there are onnx, saved_model, tflite"),
    ],
)
def test_a_bad_option_is_one_sentence(
    run_main: RunMain, shapes: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    done = run_main(main, *options(shapes, tmp_path, *more))
    assert done.returncode == 2, done.stdout
    assert message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.training
def test_folders_become_a_model_and_a_report(shapes: Path, tmp_path: Path) -> None:
    unrelated = draw_collection(tmp_path / "other", 6, shapes=("stripes",), first=300)
    test = draw_collection(tmp_path / "test", 5, first=400)
    data = shutil.copytree(shapes, tmp_path / "data")
    for number in range(7):
        (data / "disc" / f"broken-{number}.jpg").write_bytes(b"no photo")
    more = ["--fine-tune", 1, "--tensorboard", "--about", "drawn shapes"]
    more += ["--unrelated", unrelated, "--test", test]
    done = run_program("train.py", *options(data, tmp_path, *more))
    assert done.returncode == 1, done.stderr  # some photos could not be read
    assert "7 photos could not be read: left out" in done.stdout
    assert "Labels: folders, 3 labels" in done.stdout
    named = [line for line in done.stdout.splitlines() if line.startswith("Left out: ")]
    assert len(named) == 5 and named[0].startswith("Left out: disc/broken-0.jpg: not a JPEG")
    assert "and 2 more; all in report.html" in done.stdout
    assert "only 8 of disc, 8 of square, 8 of stripes; too few photos" in done.stdout
    assert done.stderr == ""

    (run,) = (tmp_path / "runs").iterdir()
    kept = {path.name for path in run.iterdir()}
    assert kept >= {"config.json", "history.csv", "metrics.json", "report.html", "curves.png"}
    assert not [name for name in kept if name.endswith((".npz", ".u8"))]
    assert list((run / "tensorboard").glob("events.*"))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["problems"]["unreadable"][0][0] == "disc/broken-0.jpg"
    assert metrics["test"]["photos"] == 15 and metrics["unknown"]["photos"] == 6
    assert metrics["peak_memory_mb"] < 3000

    card = model_file.load(tmp_path / "m.h5").card
    assert card["about"] == "drawn shapes" and card["settings"]["seed"] == 42
    predicted = run_program("predict.py", test / "disc", "--model", tmp_path / "m.h5", "--json")
    labels = [json.loads(line)["scores"][0]["label"] for line in predicted.stdout.splitlines()]
    assert labels.count("disc") >= 4


@pytest.mark.training
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_and_resumed_ends_as_if_never_killed(shapes: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    more = ["--fine-tune", 4, "--batch-size", 4, "--learning-rate", 0.01, "--about", "x"]
    done = run_code(TRAIN_TINY, *tiny_options(shapes, whole, *more))
    assert done.returncode == 0, done.stderr
    process = start_training(shapes, broken, *more)
    wait_for_epoch(broken / "runs", 1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (broken / "m.h5").exists()
    (history,) = (broken / "runs").glob("*/history.csv")
    assert epochs(history)[0] == "0"  # the curves could be watched before it was killed
    done = run_code(TRAIN_TINY, *tiny_options(shapes, broken, *more, "--resume"))
    assert done.returncode == 0, done.stderr
    assert "Epoch 1:" not in done.stdout and "Epoch 4:" in done.stdout
    assert len(list((broken / "runs").iterdir())) == 1
    assert epochs(history) == [str(epoch) for epoch in range(5)]
    assert trained_state(whole / "m.h5") == trained_state(broken / "m.h5")


@pytest.mark.training
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_resuming_on_other_photos_is_refused(tmp_path: Path) -> None:
    data = draw_collection(tmp_path / "data", 12)
    more = ("--fine-tune", 200, "--patience", 200)
    process = start_training(data, tmp_path, *more)
    wait_for_epoch(tmp_path / "runs", 1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (data / "disc" / "000.jpg").unlink()
    done = run_code(TRAIN_TINY, *tiny_options(data, tmp_path, *more, "--resume"))
    assert done.returncode == 2 and "begun on other photos" in done.stderr


def test_an_unusable_option_is_refused_before_photos_are_read(
    run_main: RunMain, shapes: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "broken.jpg").write_bytes(b"no photo")
    other = draw_collection(tmp_path / "other", 2, shapes=("disc",))
    (other / "disc").rename(other / "fish")
    for more, message in (
        (["--unrelated", tmp_path / "empty"], "no readable photos"),
        (["--test", other], "no label in it is one of disc, square, stripes"),
        (["--test", shapes], "every photo in it is in the collection too"),
    ):
        done = run_main(main, *options(shapes, tmp_path, *more))
        assert done.returncode == 2 and message in done.stderr
        assert not list((tmp_path / "runs").iterdir())


@pytest.mark.training
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_keeps_the_best_model_so_far(shapes: Path, tmp_path: Path) -> None:
    process = start_training(shapes, tmp_path, "--fine-tune", 200, "--patience", 200)
    wait_for_epoch(tmp_path / "runs", 1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and err == ""
    assert "interrupted" in out and (tmp_path / "m.h5").exists()
    assert model_file.load(tmp_path / "m.h5").labels.names == ("disc", "square", "stripes")


@pytest.mark.training
def test_without_weights_or_network_it_starts_from_the_bundled_backbone(
    shapes: Path, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    done = run_program(
        "train.py",
        *options(shapes, tmp_path, "--weights", "imagenet", "--fine-tune", 0),
        KERAS_HOME=str(tmp_path / "keras"),
        https_proxy=nowhere,
        http_proxy=nowhere,
    )
    assert done.returncode == 0, done.stderr
    assert "could not be downloaded" in done.stdout
    assert f"Starting from {BUNDLED_MODEL.name} instead." in done.stdout


def test_missing_weights_are_named_before_photos_are_read(shapes: Path, tmp_path: Path) -> None:
    """The bundled model is no start for another backbone."""
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = run_program(
        "train.py",
        *options(shapes, tmp_path, "--weights", "imagenet", "--backbone", "mobilenet_v3"),
        KERAS_HOME=str(tmp_path / "keras"),
        **nowhere,
    )
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    file = "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"
    assert line.endswith(f"put {file} into {tmp_path / 'keras' / 'models'}")


def epochs(history: Path) -> list[str]:
    with open(history, newline="") as file:
        return [row["epoch"] for row in csv.DictReader(file)]


def tiny_options(data: Path, folder: Path, *more: object) -> list[str]:
    return options(data, folder, *TINY, *more)


def start_training(data: Path, folder: Path, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN_TINY, *tiny_options(data, folder, *more)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_epoch(runs: Path, epoch: int) -> None:
    """Until a checkpoint of that epoch is on disk."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        for state in runs.glob("*/state.json"):
            if json.loads(state.read_text())["history"][-1]["epoch"] >= epoch:
                return
        time.sleep(0.05)
    raise AssertionError(f"no epoch {epoch} within four minutes")

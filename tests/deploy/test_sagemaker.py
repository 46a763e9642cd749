"""SageMaker: container training and serving in a folder like its /opt/ml; script mode."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tagger.cli import sagemaker, train
from tagger.errors import OptionError
from tagger.inference import model_file
from tagger.paths import ROOT
from tests.conftest import draw_collection, wait_until

ENTRY = ROOT / "deploy" / "entry"
SMALL = {"weights": '"pets"', "image-size": "96"}
FROM_SCRATCH = {"backbone": "small_cnn", "weights": "none", "image-size": "32"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell and signals")


def make_base(base: Path, hyperparameters: object) -> Path:
    """A folder with the layout of /opt/ml for a training."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    for folder in ("input/data", "model", "output/data"):
        (base / folder).mkdir(parents=True)
    return base


def start(base: Path, *command: str) -> subprocess.Popen[str]:
    """The image's entry with a command."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [str(ENTRY), *command],
        env={**os.environ, "SAGEMAKER_BASE_DIR": str(base), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(base: Path, *command: str) -> tuple[int, str, str]:
    process = start(base, *command)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def training_process(process: subprocess.Popen[str]) -> int:
    """The id of the child that runs `train.py`; the shell may start others before it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.is_file():
        process.kill()
        process.communicate()
        pytest.skip("needs /proc to find the training's process")

    def trainings() -> list[str]:
        return [pid for pid in children.read_text().split() if b"train.py" in command_line(pid)]

    wait_until(lambda: bool(trainings()))
    return int(trainings()[0])


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.training
def test_a_training_reads_channels_and_hyperparameters_and_writes_a_model(tmp_path: Path) -> None:
    hyperparameters = {
        **SMALL,
        "fine_tune": "0",
        "tensorboard": "false",
        "resume": "null",
        "about": '"drawn"',
        "sagemaker_program": '"train.py"',
        "_tuning_objective_metric": "accuracy",
    }
    base = make_base(tmp_path, hyperparameters)
    channels = base / "input" / "data"
    draw_collection(channels / "training", 30)
    (channels / "training" / "disc" / "broken.jpg").write_bytes(b"no photo")
    draw_collection(channels / "validation", 10, first=100)
    draw_collection(channels / "test", 5, first=200)
    status, out, err = run(base, "train")
    assert status == 0, err
    assert "broken.jpg" in out and not (base / "output" / "failure").exists()
    card = model_file.load(base / "model" / "image_tagger.h5").card
    assert card["labels"] == ["disc", "square", "stripes"]
    assert card["about"] == "drawn"
    (run_folder,) = (base / "output" / "data").iterdir()
    assert (run_folder / "report.html").is_file()
    metrics = json.loads((run_folder / "metrics.json").read_text())
    counts = {split: sum(photos.values()) for split, photos in metrics["photos"].items()}
    assert counts == {"train": 90, "val": 30, "test": 15}


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({}, "found 0 photos in 0 folders"),
        ({"fine_tuen": "4"}, "unrecognized arguments: --fine-tuen=4"),
        ({"data": "nowhere", "image_size": "-1"}, "image size"),
        (["4"], "hyperparameters.json: holds no hyperparameters by name"),
    ],
)
def test_the_failure_file_holds_the_reason(
    hyperparameters: object, reason: str, tmp_path: Path
) -> None:
    base = make_base(tmp_path, hyperparameters)
    (base / "input" / "data" / "train").mkdir()
    status, _, err = run(base, "train")
    failure = (base / "output" / "failure").read_text()
    assert status == 2
    assert reason in failure and reason in err
    assert len(failure) <= sagemaker.REASON_CHARACTERS
    assert not list((base / "model").iterdir())


def test_channels_of_other_names_are_a_failure(tmp_path: Path) -> None:
    base = make_base(tmp_path, {})
    draw_collection(base / "input" / "data" / "images", 5)
    assert run(base, "train")[0] == 2
    failure = (base / "output" / "failure").read_text()
    assert failure == "no channel is called training or train; there is images"


@pytest.mark.training
def test_the_failure_file_names_the_signal_that_killed_a_training(tmp_path: Path) -> None:
    base = make_base(tmp_path, SMALL)
    draw_collection(base / "input" / "data" / "training", 5)
    process = start(base, "train")
    os.kill(training_process(process), signal.SIGKILL)
    process.communicate(timeout=600)
    assert process.returncode == 137
    assert "ended by SIGKILL" in (base / "output" / "failure").read_text()


@pytest.mark.training
def test_a_stopped_job_keeps_the_best_model_so_far(shapes: Path, tmp_path: Path) -> None:
    base = make_base(tmp_path, FROM_SCRATCH | {"fine-tune": "50", "patience": "50"})
    (base / "input" / "data" / "training").symlink_to(shapes)
    process = start(base, "train")
    deadline = time.monotonic() + 600
    while not list((base / "output" / "data").glob("*/state.json")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert model_file.load(base / "model" / "image_tagger.h5").card["labels"][0] == "disc"
    assert not (base / "output" / "failure").exists()


def test_an_endpoint_with_several_models_needs_tagger_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("a.h5", "b.h5"):
        (tmp_path / "model" / name).touch()
    status, _, err = run(tmp_path, "serve")
    assert status == 2 and "holds a.h5, b.h5; name one with TAGGER_MODEL" in err


def test_hyperparameters_become_options(tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    assert sagemaker.load_hyperparameters(file) == []
    file.write_text(
        json.dumps(
            {
                "learning_rate": "1e-4",
                "weight-decay": 0.02,
                "weights": "imagenet",
                "about": '"-5 °C, a \\"b\\""',
                "export": '["onnx", "tflite"]',
                "tensorboard": "true",
                "check": "False",
                "seed": "007",
            }
        )
    )
    assert sagemaker.load_hyperparameters(file) == [
        "--learning-rate=1e-4",
        "--weight-decay=0.02",
        "--weights=imagenet",
        '--about=-5 °C, a "b"',
        *("--export", "onnx", "tflite"),
        "--tensorboard",
        "--seed=007",
    ]
    file.write_text("{")
    with pytest.raises(OptionError, match="not JSON"):
        sagemaker.load_hyperparameters(file)


def test_paths_come_from_sagemakers_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sagemaker.default_paths() == {}
    assert sagemaker.script_options(["--output", "shop.h5"]) == ["--output", "shop.h5"]
    for name, folder in (("TRAIN", "/in/train"), ("TEST", "/in/test")):
        monkeypatch.setenv(f"SM_CHANNEL_{name}", folder)
    monkeypatch.setenv("SM_MODEL_DIR", "/out")
    assert sagemaker.default_paths() == {
        "data": Path("/in/train"),
        "test": Path("/in/test"),
        "output": Path("/out/image_tagger.h5"),
    }
    paths = ["--data=/in/train", "--test=/in/test", "--output=/out/image_tagger.h5"]
    for words, options in (
        (["--output", "shop.h5"], ["--output", "/out/shop.h5"]),
        (["--output=shop.h5"], ["--output=/out/shop.h5"]),
        (["--out", "shop.h5"], ["--out", "/out/shop.h5"]),
        (["--output=/else/shop.h5", "--seed=1"], ["--output=/else/shop.h5", "--seed=1"]),
    ):
        assert sagemaker.script_options(words) == [*paths, *options]
    assert sagemaker.script_options(["--check"]) == ["--data=/in/train", "--check"]
    monkeypatch.setenv("SM_CHANNEL_VALIDATION", "/in/validation")
    assert sagemaker.default_paths()["data"] == Path("/in")
    assert "test" not in sagemaker.default_paths()
    monkeypatch.setenv("SM_CHANNEL_VALIDATION", "/elsewhere/validation")
    with pytest.raises(OptionError, match="needs a channel training beside it"):
        sagemaker.default_paths()


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--fine_tune", "4", "--batch_size=8"], ["--fine-tune", "4", "--batch-size=8"]),
        (["--about", "my_photos", "--data=a_b/c"], ["--about", "my_photos", "--data=a_b/c"]),
        (["--tensorboard", "True", "--seed", "1"], ["--tensorboard", "--seed", "1"]),
        (["--tensorboard", "False", "--seed", "1"], ["--seed", "1"]),
        (["--about", "False", "--output", "True"], ["--about", "False", "--output", "True"]),
    ],
)
def test_script_mode_options_are_normalized(words: list[str], options: list[str]) -> None:
    assert sagemaker.normalize_options(words) == options


def test_flags_are_the_options_of_train_py_without_a_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        train.parse(["--help"])
    usage = capsys.readouterr().out.partition("\n\n")[0]
    assert set(re.findall(r"\[(--[a-z-]+)\]", usage)) == set(sagemaker.FLAGS)


def test_train_py_takes_script_mode_options(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        train.main(["--fine_tune", "x"])
    assert exited.value.code == 2
    assert "--fine-tune: invalid int value: 'x'" in capfd.readouterr().err

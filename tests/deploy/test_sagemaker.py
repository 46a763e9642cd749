"""Training and serving as SageMaker's container contract has it, in a folder laid as its own."""

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

from tagger.cli import sagemaker
from tagger.errors import OptionError
from tagger.inference import model_file
from tagger.paths import ROOT
from tests.conftest import draw_collection, wait_until

ENTRY = ROOT / "deploy" / "entry"
SMALL = {"weights": '"pets"', "image-size": "96"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell and signals")


def laid(base: Path, hyperparameters: object) -> Path:
    """A folder as SageMaker lays /opt/ml for a training."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    for folder in ("input/data", "model", "output/data"):
        (base / folder).mkdir(parents=True)
    return base


def start(base: Path, *command: str) -> subprocess.Popen[str]:
    """The image's entry, by the words that follow the image's name."""
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


def training_of(process: subprocess.Popen[str]) -> int:
    """The process of `train.py` that it has started; the shell before it starts others."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.is_file():
        process.kill()
        process.communicate()
        pytest.skip("needs /proc to find the training's process")

    def found() -> list[int]:
        there = [int(child) for child in children.read_text().split()]
        return [child for child in there if b"train.py" in commands_of(child)]

    wait_until(lambda: bool(found()))
    return found()[0]


def commands_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it is gone
        return b""


def test_a_training_takes_its_photos_and_options_and_leaves_a_model(tmp_path: Path) -> None:
    asked = {
        **SMALL,
        "fine_tune": "0",
        "tensorboard": "false",
        "resume": "null",
        "about": '"drawn"',
        "sagemaker_program": '"train.py"',
        "_tuning_objective_metric": "accuracy",
    }
    base = laid(tmp_path, asked)
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
    (kept,) = (base / "output" / "data").iterdir()
    assert (kept / "report.html").is_file()
    metrics = json.loads((kept / "metrics.json").read_text())
    counts = {split: sum(photos.values()) for split, photos in metrics["photos"].items()}
    assert counts == {"train": 90, "val": 30, "test": 15}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "found 0 photos in 0 folders"),
        ({"fine_tuen": "4"}, "unrecognized arguments: --fine-tuen=4"),
        ({"data": "nowhere", "image_size": "-1"}, "image size"),
        (["4"], "hyperparameters.json: holds no hyperparameters by name"),
    ],
)
def test_a_failure_is_where_sagemaker_looks_for_it(
    asked: object, told: str, tmp_path: Path
) -> None:
    base = laid(tmp_path, asked)
    (base / "input" / "data" / "train").mkdir()
    status, _, err = run(base, "train")
    reason = (base / "output" / "failure").read_text()
    assert status == 2
    assert told in reason and told in err
    assert len(reason) <= sagemaker.REASON_CHARACTERS
    assert not list((base / "model").iterdir())


def test_channels_of_other_names_are_told_of(tmp_path: Path) -> None:
    base = laid(tmp_path, {})
    draw_collection(base / "input" / "data" / "images", 5)
    assert run(base, "train")[0] == 2
    told = "no channel is called training or train; there is images"
    assert (base / "output" / "failure").read_text() == told


def test_a_training_that_is_killed_says_so(tmp_path: Path) -> None:
    base = laid(tmp_path, SMALL)
    draw_collection(base / "input" / "data" / "training", 5)
    process = start(base, "train")
    os.kill(training_of(process), signal.SIGKILL)
    process.communicate(timeout=600)
    assert process.returncode == 137
    assert "ended by SIGKILL" in (base / "output" / "failure").read_text()


def test_a_job_that_is_stopped_keeps_the_best_model_so_far(shapes: Path, tmp_path: Path) -> None:
    base = laid(tmp_path, SMALL | {"fine-tune": "50", "patience": "50"})
    (base / "input" / "data" / "training").symlink_to(shapes)
    process = start(base, "train")
    until = time.monotonic() + 600
    while not list((base / "output" / "data").glob("*/state.json")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert model_file.load(base / "model" / "image_tagger.h5").card["labels"][0] == "disc"
    assert not (base / "output" / "failure").exists()


def test_an_endpoint_with_several_models_has_to_be_told_which(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("a.h5", "b.h5"):
        (tmp_path / "model" / name).touch()
    status, _, err = run(tmp_path, "serve")
    assert status == 2 and "holds a.h5, b.h5; name one with TAGGER_MODEL" in err


def test_hyperparameters_become_options(tmp_path: Path) -> None:
    file = tmp_path / "hyperparameters.json"
    assert sagemaker.arguments(file) == []
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
    assert sagemaker.arguments(file) == [
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
        sagemaker.arguments(file)


def test_variables_say_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sagemaker.places() == {}
    assert sagemaker.model_file("shop.h5") == Path("shop.h5")
    for name, folder in (("TRAIN", "/in/train"), ("TEST", "/in/test")):
        monkeypatch.setenv(f"SM_CHANNEL_{name}", folder)
    monkeypatch.setenv("SM_MODEL_DIR", "/out")
    assert sagemaker.places() == {
        "data": Path("/in/train"),
        "test": Path("/in/test"),
        "output": Path("/out/image_tagger.h5"),
    }
    assert sagemaker.model_file("shop.h5") == Path("/out/shop.h5")
    assert sagemaker.model_file("/else/shop.h5") == Path("/else/shop.h5")
    monkeypatch.setenv("SM_CHANNEL_VALIDATION", "/in/validation")
    assert sagemaker.places()["data"] == Path("/in")
    assert "test" not in sagemaker.places()
    monkeypatch.setenv("SM_CHANNEL_VALIDATION", "/elsewhere/validation")
    with pytest.raises(OptionError, match="needs a channel training beside it"):
        sagemaker.places()


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        (["--fine_tune", "4", "--batch_size=8"], ["--fine-tune", "4", "--batch-size=8"]),
        (["--about", "my_photos", "--data=a_b/c"], ["--about", "my_photos", "--data=a_b/c"]),
        (["--tensorboard", "True", "--seed", "1"], ["--tensorboard", "--seed", "1"]),
        (["--tensorboard", "False", "--seed", "1"], ["--seed", "1"]),
        (["--about", "False", "--output", "True"], ["--about", "False", "--output", "True"]),
    ],
)
def test_in_script_mode_hyperparameters_come_as_they_are_called(
    given: list[str], spelled: list[str]
) -> None:
    assert sagemaker.spelled(given) == spelled


def test_options_without_a_value_are_known() -> None:
    command = [sys.executable, str(ROOT / "train.py"), "--help"]
    usage = subprocess.run(command, capture_output=True, text=True).stdout.partition("\n\n")[0]
    assert set(re.findall(r"\[(--[a-z-]+)\]", usage)) == set(sagemaker.WITHOUT_VALUE)


def test_train_py_takes_them_so() -> None:
    command = [sys.executable, str(ROOT / "train.py"), "--fine_tune", "x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--fine-tune: invalid int value: 'x'" in done.stderr

"""Training and serving as Amazon SageMaker runs a container: its folders, options and endings.

    python -m tagger.sagemaker train [OPTIONS OF train.py]
    python -m tagger.sagemaker serve [OPTIONS OF tagger.api]

A training finds its photos and hyperparameters in files below /opt/ml, and leaves a model there or
a file that says why there is none; an endpoint finds the model there. Where SageMaker's training
toolkit starts `train.py` itself, variables say the same: `places` reads them.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tagger import console
from tagger.errors import OptionError, TaggerError
from tagger.files import write_atomically
from tagger.inference.registry import OWN_MODEL
from tagger.paths import ROOT

BASE = "/opt/ml"  # SAGEMAKER_BASE_DIR, which SageMaker's toolkit reads too, names another
PORT = 8080
WITHOUT_VALUE = ("--resume", "--tensorboard", "--check", "--json")  # train.py's
TRAINING = ("TRAINING", "TRAIN")  # what the channel of labelled photos may be called
MODEL_FOLDER, CHANNEL = "SM_MODEL_DIR", "SM_CHANNEL_"
REASON_CHARACTERS = 1024  # of a failure, that SageMaker shows
INCOMPLETE = 1  # train.py's exit status where some photos could not be read
KILLED = 128  # and the signal's number: what a shell calls a program that a signal ended
_LINES_KEPT = 40


def places() -> dict[str, Path]:
    """What SageMaker's variables say of `options.Options`; nothing where there are none.

    `data` is the channel `training` or `train`. With a channel `validation` beside it, it is the
    folder of both, which are then the collection's splits. `test` is the channel `test`, `output`
    is in SM_MODEL_DIR, and `runs` are what the job keeps. Raises OptionError.
    """
    found: dict[str, Path] = {}
    training = next((path for name in TRAINING if (path := _channel(name))), None)
    validation, test = _channel("VALIDATION"), _channel("TEST")
    if training:
        found["data"] = training
    if validation:
        if not training or training.parent != validation.parent:
            raise OptionError(
                f"the channel validation is {validation}: it needs a channel training beside it"
            )
        found["data"] = training.parent
    elif test:
        found["test"] = test
    if os.environ.get(MODEL_FOLDER):
        found["output"] = model_file(OWN_MODEL.name)
    if kept := os.environ.get("SM_OUTPUT_DATA_DIR"):
        found["runs"] = Path(kept)
    return found


def model_file(given: str) -> Path:
    """The model file that somebody names: in SM_MODEL_DIR where it comes without a folder."""
    path, folder = Path(given), os.environ.get(MODEL_FOLDER)
    return Path(folder) / path if folder and path.parent == Path() else path


def _channel(name: str) -> Path | None:
    folder = os.environ.get(f"{CHANNEL}{name}")
    return Path(folder) if folder else None


def variables(base: Path) -> dict[str, str]:
    """What the toolkit would say of the folders below `base`."""
    found = {MODEL_FOLDER: str(base / "model"), "SM_OUTPUT_DATA_DIR": str(base / "output/data")}
    channels = base / "input" / "data"
    for channel in channels.iterdir() if channels.is_dir() else ():
        if channel.is_dir():
            found[f"{CHANNEL}{channel.name.upper()}"] = str(channel)
    return found


def spelled(given: Sequence[str]) -> list[str]:
    """A command's options, as `train.py` spells them: --fine_tune as --fine-tune.

    In script mode SageMaker writes the names of hyperparameters as they are, and True or False
    behind those of `WITHOUT_VALUE`.
    """
    found: list[str] = []
    for word in given:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            found.append(f"{name.replace('_', '-')}{equals}{value}")
        elif word not in ("True", "False") or not found or found[-1] not in WITHOUT_VALUE:
            found.append(word)
        elif word == "False":
            found.pop()
    return found


def arguments(file: Path) -> list[str]:
    """Hyperparameters as options: {"fine_tune": "4"} as `--fine-tune=4`.

    Each value is a string, often of JSON: "true" gives an option without a value, a list one with
    several, "false" and "null" none. Those for SageMaker itself (sagemaker_..., _...) are passed
    over. Raises OptionError.
    """
    if not file.is_file():
        return []
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OptionError(f"{file}: not JSON ({error})") from None
    if not isinstance(given, dict):
        raise OptionError(f"{file}: holds no hyperparameters by name")
    found: list[str] = []
    for key, value in given.items():
        if not key.startswith(("sagemaker_", "_")):
            found += _option(f"--{key.replace('_', '-')}", value)
    return found


def _option(name: str, value: Any) -> list[str]:
    meant = value
    if isinstance(value, str):
        try:
            meant = json.loads(value)
        except ValueError:
            meant = {"True": True, "False": False}.get(value, value)
    if meant is None or meant is False:
        return []
    if meant is True:
        return [name]
    if isinstance(meant, list):
        return [name, *map(str, meant)]
    # A number as it was written, and a value that begins with "-" as a value.
    return [f"{name}={meant if isinstance(meant, str) else value}"]


def train(given: Sequence[str], base: Path) -> int:
    """Run `train.py` on what lies below `base`; its exit status, 0 wherever there is a model.

    Where SageMaker has left nothing there, that is all. SIGTERM ends a training as Ctrl-C does,
    with the best model so far.
    """
    program = [sys.executable, str(ROOT / "train.py")]
    if not (base / "input").is_dir():
        os.execv(sys.executable, [*program, *given])
    told = variables(base)
    try:
        asked = [*arguments(base / "input/config/hyperparameters.json"), *given]
        _check_channels(told, asked)
    except TaggerError as error:
        return _failed(base, str(error), console.refuse(error))
    status, said = _run([*program, *asked], os.environ | told)
    if status == INCOMPLETE and any((base / "model").glob("*.h5")):
        return 0  # SageMaker knows done and failed alone; the log says what was left out
    if status < 0:
        name = signal.Signals(-status).name
        said = f"{said}train.py was ended by {name}; with too little memory, that is SIGKILL"
        status = KILLED - status
    return _failed(base, said, status) if status else 0


def _check_channels(told: dict[str, str], asked: Sequence[str]) -> None:
    """Raise OptionError where photos lie in channels of which none says that it is to train on."""
    names = [name.removeprefix(CHANNEL) for name in told if name.startswith(CHANNEL)]
    named = any(option.split("=")[0] == "--data" for option in asked)
    if names and not named and not set(names) & set(TRAINING):
        there = ", ".join(sorted(names)).lower()
        raise OptionError(f"no channel is called training or train; there is {there}")


def _run(command: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """A program's exit status, negative if a signal ended it, and the last it said of errors."""
    # In a session of its own: a Ctrl-C at a terminal then reaches it once, from here.
    with subprocess.Popen(
        command,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))
        last: deque[str] = deque(maxlen=_LINES_KEPT)
        for line in process.stderr or ():
            sys.stderr.write(line)
            last.append(line)
        status = process.wait()
    return status, "".join(last)


def _failed(base: Path, reason: str, status: int) -> int:
    """Write the reason, its end if it is long, where SageMaker looks for it; the exit status."""
    if len(reason) > REASON_CHARACTERS:
        reason = reason[-REASON_CHARACTERS:]
        reason = reason.partition("\n")[2] or reason
    output = base / "output"
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / "failure", reason or f"train.py ended with status {status}")
    return status


def serve(given: Sequence[str], base: Path) -> int:
    """Become the service, on SageMaker's port, with the model it put below `base`, if any.

    Raises OptionError where there are several and TAGGER_MODEL does not say which.
    """
    environment = {"TAGGER_OPEN_INVOCATIONS": "1", **os.environ}
    found = sorted(p for p in (base / "model").glob("*.h5") if not p.name.startswith("."))
    if not environment.get("TAGGER_MODEL") and found:
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise OptionError(f"{base / 'model'}: holds {names}; name one with TAGGER_MODEL")
        environment["TAGGER_MODEL"] = str(found[0])
    service = ["-m", "tagger.api", "--host", "0.0.0.0", "--port", str(PORT)]
    os.execve(sys.executable, [sys.executable, *service, *given], environment)


def main(given: Sequence[str]) -> int:
    """Exit status: the program's own; 2 where it could not start."""
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR") or BASE)
    commands = {"train": train, "serve": serve}
    try:
        if not given or given[0] not in commands:
            raise OptionError("say train or serve, and then options for it")
        return commands[given[0]](given[1:], base)
    except TaggerError as error:
        return console.refuse(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

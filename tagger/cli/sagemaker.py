"""Amazon SageMaker's contract for training and serving containers, and its script mode.

    python -m tagger.cli.sagemaker train [OPTIONS OF train.py]
    python -m tagger.cli.sagemaker serve [OPTIONS OF tagger.api]

In a container, a training reads its photos and hyperparameters below /opt/ml and writes a model
there, or a file with the reason of its failure; an endpoint reads the model there. In script mode
SageMaker's training toolkit starts `train.py` itself with SM_* variables, which `script_options`
turns into options.

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

BASE = "/opt/ml"  # unless SAGEMAKER_BASE_DIR, which SageMaker's toolkit reads too, is set
PORT = 8080
FLAGS = (
    "--resume",
    "--tensorboard",
    "--check",
    "--json",
    "--merge-case",
)  # options of train.py without a value
TRAINING_CHANNELS = ("TRAINING", "TRAIN")  # names for the channel of labelled photos
MODEL_DIR, CHANNEL_PREFIX = "SM_MODEL_DIR", "SM_CHANNEL_"
REASON_CHARACTERS = 1024  # of the failure file, which SageMaker shows
INCOMPLETE = 1  # train.py's exit status if some photos could not be read
SIGNALLED = 128  # plus the signal's number: a shell's exit status for a killed program
_LINES_KEPT = 40


def script_options(argv: Sequence[str]) -> list[str]:
    """Options of `train.py`: those of `argv`, and before them the paths in SageMaker's variables.

    A file name without a folder after --output lies in SM_MODEL_DIR. Outside of SageMaker nothing
    is added. Raises OptionError.
    """
    options = normalize_options(argv)
    folder = os.environ.get(MODEL_DIR)
    for index, word in enumerate(options if folder else ()):
        name, equals, value = word.partition("=")
        if _abbreviates(name, "--output") and equals:
            options[index] = f"--output={_in_folder(value, folder)}"
        elif index and _abbreviates(options[index - 1], "--output"):
            options[index] = _in_folder(word, folder)
    paths = default_paths()
    is_check = any(_abbreviates(word, "--check") for word in options)
    used = ("data",) if is_check else tuple(paths)
    return [f"--{name}={path}" for name, path in paths.items() if name in used] + options


def _abbreviates(word: str, option: str) -> bool:
    """Whether argparse takes a word for an option: its whole name or a beginning of it."""
    return len(word) > 2 and option.startswith(word)


def _in_folder(name: str, folder: str | None) -> str:
    path = Path(name)
    return str(Path(folder) / path) if folder and path.parent == Path() else name


def default_paths() -> dict[str, Path]:
    """Paths of a `TrainingConfig` from SageMaker's variables; empty outside of SageMaker.

    `data` is the channel `training` or `train`; with a channel `validation` beside it, `data` is
    their folder, so that both are splits of one collection. `test` is the channel `test`, `output`
    lies in SM_MODEL_DIR, `runs` is SM_OUTPUT_DATA_DIR. Raises OptionError.
    """
    paths: dict[str, Path] = {}
    training = next((path for name in TRAINING_CHANNELS if (path := _channel(name))), None)
    validation, test = _channel("VALIDATION"), _channel("TEST")
    if training:
        paths["data"] = training
    if validation:
        if not training or training.parent != validation.parent:
            raise OptionError(
                f"the channel validation is {validation}: it needs a channel training beside it"
            )
        paths["data"] = training.parent
    elif test:
        paths["test"] = test
    if folder := os.environ.get(MODEL_DIR):
        paths["output"] = Path(folder) / OWN_MODEL.name
    if runs := os.environ.get("SM_OUTPUT_DATA_DIR"):
        paths["runs"] = Path(runs)
    return paths


def normalize_options(argv: Sequence[str]) -> list[str]:
    """Options as `train.py` spells them: --fine_tune becomes --fine-tune.

    In script mode SageMaker passes the names of hyperparameters unchanged, and True or False after
    those of FLAGS.
    """
    options: list[str] = []
    for word in argv:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            options.append(f"{name.replace('_', '-')}{equals}{value}")
        elif word not in ("True", "False") or not options or options[-1] not in FLAGS:
            options.append(word)
        elif word == "False":
            options.pop()
    return options


def toolkit_variables(base: Path) -> dict[str, str]:
    """The variables that SageMaker's toolkit would set for the folders below `base`."""
    variables = {MODEL_DIR: str(base / "model"), "SM_OUTPUT_DATA_DIR": str(base / "output/data")}
    channels = base / "input" / "data"
    for channel in channels.iterdir() if channels.is_dir() else ():
        if channel.is_dir():
            variables[f"{CHANNEL_PREFIX}{channel.name.upper()}"] = str(channel)
    return variables


def load_hyperparameters(file: Path) -> list[str]:
    """Hyperparameters as options: {"fine_tune": "4"} as `--fine-tune=4`.

    Each value is a string, often of JSON: "true" gives a flag, a list an option with several
    values, "false" and "null" none. SageMaker's own (sagemaker_..., _...) are ignored. Raises
    OptionError.
    """
    if not file.is_file():
        return []
    try:
        hyperparameters = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OptionError(f"{file}: not JSON ({error})") from None
    if not isinstance(hyperparameters, dict):
        raise OptionError(f"{file}: holds no hyperparameters by name")
    options: list[str] = []
    for key, value in hyperparameters.items():
        if not key.startswith(("sagemaker_", "_")):
            options += _format_option(f"--{key.replace('_', '-')}", value)
    return options


def train(argv: Sequence[str], base: Path) -> int:
    """Run `train.py` on the input below `base`; its exit status, or 0 whenever there is a model.

    Without an input folder, just become `train.py`. SIGTERM ends a training as Ctrl-C does, with
    the best model so far.
    """
    program = [sys.executable, str(ROOT / "train.py")]
    if not (base / "input").is_dir():
        os.execv(sys.executable, [*program, *argv])
    variables = toolkit_variables(base)
    try:
        options = [*load_hyperparameters(base / "input/config/hyperparameters.json"), *argv]
        _check_channels(variables, options)
    except TaggerError as error:
        return _write_failure(base, str(error), console.refuse(error))
    status, output = _run_program([*program, *options], os.environ | variables)
    if status == INCOMPLETE and any((base / "model").glob("*.h5")):
        return 0  # to SageMaker a job succeeds or fails; the log names the skipped photos
    if status < 0:
        name = signal.Signals(-status).name
        output = f"{output}train.py was ended by {name}; with too little memory, that is SIGKILL"
        status = SIGNALLED - status
    return _write_failure(base, output, status) if status else 0


def serve(argv: Sequence[str], base: Path) -> int:
    """Become the service, on SageMaker's port, with the model below `base`, if there is one.

    Raises OptionError if there are several and TAGGER_MODEL is not set.
    """
    environment = {"TAGGER_OPEN_INVOCATIONS": "1", **os.environ}
    models = sorted(p for p in (base / "model").glob("*.h5") if not p.name.startswith("."))
    if not environment.get("TAGGER_MODEL") and models:
        if len(models) > 1:
            names = ", ".join(path.name for path in models)
            raise OptionError(f"{base / 'model'}: holds {names}; name one with TAGGER_MODEL")
        environment["TAGGER_MODEL"] = str(models[0])
    service = ["-m", "tagger.api", "--host", "0.0.0.0", "--port", str(PORT)]
    os.execve(sys.executable, [sys.executable, *service, *argv], environment)


def main(argv: Sequence[str]) -> int:
    """Exit status: the program's own; 2 if it could not start."""
    base = Path(os.environ.get("SAGEMAKER_BASE_DIR") or BASE)
    commands = {"train": train, "serve": serve}
    try:
        if not argv or argv[0] not in commands:
            raise OptionError("say train or serve, and then options for it")
        return commands[argv[0]](argv[1:], base)
    except TaggerError as error:
        return console.refuse(error)


def _channel(name: str) -> Path | None:
    folder = os.environ.get(f"{CHANNEL_PREFIX}{name}")
    return Path(folder) if folder else None


def _format_option(name: str, value: Any) -> list[str]:
    parsed = value
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = {"True": True, "False": False}.get(value, value)
    if parsed is None or parsed is False:
        return []
    if parsed is True:
        return [name]
    if isinstance(parsed, list):
        return [name, *map(str, parsed)]
    # Numbers keep their spelling; "=" since a value may begin with "-".
    return [f"{name}={parsed if isinstance(parsed, str) else value}"]


def _check_channels(variables: dict[str, str], options: Sequence[str]) -> None:
    """OptionError if there are channels but none is for training, and no --data."""
    prefix = len(CHANNEL_PREFIX)
    channels = {name[prefix:] for name in variables if name.startswith(CHANNEL_PREFIX)}
    has_data = any(option.split("=")[0] == "--data" for option in options)
    if channels and not has_data and not channels & set(TRAINING_CHANNELS):
        names = ", ".join(sorted(channels)).lower()
        raise OptionError(f"no channel is called training or train; there is {names}")


def _run_program(command: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """A program's exit status, negative if a signal ended it, and its last lines of errors."""
    # In a session of its own, so that Ctrl-C at a terminal reaches it only from here.
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
        lines: deque[str] = deque(maxlen=_LINES_KEPT)
        for line in process.stderr or ():
            sys.stderr.write(line)
            lines.append(line)
        status = process.wait()
    return status, "".join(lines)


def _write_failure(base: Path, reason: str, status: int) -> int:
    """Write the failure file, with the end of a long reason; return the exit status."""
    if len(reason) > REASON_CHARACTERS:
        reason = reason[-REASON_CHARACTERS:]
        reason = reason.partition("\n")[2] or reason
    output = base / "output"
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(output / "failure", reason or f"train.py ended with status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

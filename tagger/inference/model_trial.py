"""Trials of model files: one that this machine has not seen is first opened in a child process.

A damaged file can kill or hang the libraries that read it, LiteRT's and HDF5's, where no exception
is raised. So a child process reads the file and runs its network; the verdict is kept in the cache
folder, by the file's digest. This guards against damaged files, not against an author who wants to
do harm: what passes here runs in this process.

    python -m tagger.inference.model_trial < paths, each ended by a NUL
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tagger.errors import ForeignFileError, ModelError, TaggerError
from tagger.files import write_atomically
from tagger.paths import ROOT, cache_home

if TYPE_CHECKING:
    from tagger.inference.litert import Session
    from tagger.inference.model_file import ModelFile

CHECKS = 2  # raised when the checks change; verdicts of other checks are not used
FOLDER = "model-trials"  # of the cache
SECONDS = 15  # of processor time for a file, and CLOCK times that on the clock
CLOCK = 4  # a busy machine has little time for a process
MEMORY = 2**31  # bytes of address space beside a few times the file's size
MEMORY_PER_BYTE = 4  # of the file
_STARTED = b"+\n"  # what the child writes first
_FINAL_SIGNALS = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGTRAP", "SIGXCPU")

_one_trial = threading.Lock()  # at a time: each may take memory and a core

# SHA-256 of the model files that come with the project.
BUNDLED_DIGESTS = frozenset(
    {
        "b3a51f7a7768366bc4057159c2114e65ec64b9975607e979dd661ab0fc42e8aa",  # everyday
        "ced13a3e1ea97a0fdfe2160745fd14239347e0496100baa1a962001ad781c3fe",  # pets
        "84556e24ad08b3821685ea1b9e33b94030aac5249703fcd4378e06d259fd7df5",  # cifar10
    }
)


@dataclass(frozen=True)
class Verdict:
    """What became of a file: "foreign" is one that is no model file at all.

    `reason` follows the file's name in a message. A verdict that is not `final` may be another one
    next time, since it was the machine that had no time or memory.
    """

    result: Literal["usable", "foreign", "refused"]
    reason: str = ""
    final: bool = True


def require_usable(path: Path, sha256: str, check_unchanged: Callable[[], object]) -> None:
    """Raise ModelError unless the file with this digest can be opened and its network runs.

    ForeignFileError is for a file that is no model file. A file that this machine has not seen is
    tried, which takes a second or less, or SECONDS if it hangs. `check_unchanged` raises if the
    file is no longer the one with the digest, so that no other gets its verdict.
    """
    if sha256 in BUNDLED_DIGESTS:
        return
    note = cache_home() / FOLDER / f"{sha256}.json"
    verdict = _read_verdict(note)
    if verdict is None:
        with _one_trial:
            verdict = _read_verdict(note) or _try_and_remember(path, note, check_unchanged)
    if verdict.result != "usable":
        kind = ForeignFileError if verdict.result == "foreign" else ModelError
        raise kind(f"{path}: {verdict.reason}")


def _try_and_remember(path: Path, note: Path, check_unchanged: Callable[[], object]) -> Verdict:
    (verdict,) = try_files([path])
    check_unchanged()
    if verdict.final:
        with suppress(OSError):  # a cache that cannot be written
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(note, json.dumps({**asdict(verdict), "by": _versions()}))
    return verdict


def try_files(paths: Sequence[Path]) -> list[Verdict]:
    """A verdict for each file, from child processes: one for all until it dies, then the next.

    Raises ModelError if no child process can be started.
    """
    verdicts: list[Verdict] = []
    while len(verdicts) < len(paths):
        verdicts += _run_child(paths[len(verdicts) :])
    return verdicts


def _run_child(paths: Sequence[Path]) -> list[Verdict]:
    """Verdicts for the files until the first that kills the child, at least one."""
    import subprocess  # here and below: most files need no trial

    command = [sys.executable, "-m", __name__, str(SECONDS)]
    is_late = False
    try:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each would reserve address space
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            files = b"".join(os.fsencode(path.absolute()) + b"\0" for path in paths)
            try:
                output, _ = process.communicate(files, timeout=CLOCK * SECONDS * len(paths))
            except subprocess.TimeoutExpired:
                is_late = True
                process.kill()
                output, _ = process.communicate()
    except OSError as error:
        raise ModelError(f"{paths[0]}: no process to try it could be started ({error})") from None
    if not output.startswith(_STARTED):
        raise ModelError(
            f"{paths[0]}: could not be tried: the process for it ended with"
            f" {_describe_end(process.returncode)}"
        )
    lines = output.removeprefix(_STARTED).decode("utf-8", "replace").split("\n")[:-1]
    verdicts = [Verdict(**json.loads(line)) for line in lines]
    if process.returncode == 0:
        return verdicts
    if len(verdicts) == len(paths):  # it died of what the last one left behind
        verdicts.pop()
    return [*verdicts, _explain_death(process.returncode, is_late)]


def _explain_death(status: int, is_late: bool) -> Verdict:
    end = _describe_end(status)
    if is_late or end in ("SIGXCPU", "SIGALRM"):
        reason = f"reading it and running its network took more than {SECONDS} s; refused"
    else:
        reason = f"reading it or running its network crashes ({end}); refused"
    return Verdict("refused", reason, final=end in _FINAL_SIGNALS or status > 0)


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


def _read_verdict(note: Path) -> Verdict | None:
    """The remembered verdict; None if there is none that these versions gave."""
    try:
        values = json.loads(note.read_text(encoding="utf-8"))
        is_current = values.pop("by") == _versions()
        return Verdict(**values) if is_current else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


@cache
def _versions() -> str:
    """What gave a verdict: other versions may give another."""
    from importlib.metadata import version

    names = ("ai-edge-litert", "h5py", "numpy")
    return ", ".join([f"checks {CHECKS}", *(f"{name} {version(name)}" for name in names)])


def main(seconds: int) -> None:
    """The child process: write a verdict for each file on standard input, as a line of JSON."""
    paths = sys.stdin.buffer.read().split(b"\0")[:-1]
    output = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries write to it
    os.write(output, _STARTED)
    for path in paths:
        _limit(Path(os.fsdecode(path)), seconds)
        verdict = _try_file(Path(os.fsdecode(path)))
        gc.collect()  # what crashes when it is freed does so before the verdict
        os.write(output, json.dumps(asdict(verdict)).encode() + b"\n")


def _try_file(path: Path) -> Verdict:
    from tagger.inference import model_file
    from tagger.inference.litert import try_network

    try:
        model = model_file.read_untried(path)
        session = try_network(model.network)
        model_file.check_outputs(
            model, session.label_count, session.feature_count, session.image_size
        )
        _try_decision(model, session)
    except ForeignFileError as error:
        return Verdict("foreign", str(error).removeprefix(f"{path}: "))
    except ModelError as error:
        return Verdict("refused", str(error).removeprefix(f"{path}: "))
    except MemoryError:
        is_limited = sys.platform == "linux"  # else it was the machine that had none
        reason = "it needs more memory than a model of its size may take"
        return Verdict("refused", reason, final=is_limited)
    return Verdict("usable")


def _try_decision(model: ModelFile, session: Session) -> None:
    """Decide about a picture, as tagging does. Raises ModelError if that fails."""
    import numpy as np

    outputs = session.run(np.full((session.image_size, session.image_size, 3), 128, np.uint8))
    features = outputs.features[np.newaxis]
    try:
        model.rule.decide(outputs.logits[np.newaxis], features)
        if model.words is not None:
            model.words.embed_photos(features)
    except (TaggerError, ValueError, TypeError, ArithmeticError) as error:
        raise ModelError(f"what its card says cannot be used for a decision: {error}") from error


def _limit(path: Path, seconds: int) -> None:
    """Limit processor time, time and memory for the next file, where the system can."""
    try:
        import resource
    except ImportError:  # on Windows
        return
    signal.alarm(CLOCK * seconds)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(usage.ru_utime + usage.ru_stime)
    memory = MEMORY + MEMORY_PER_BYTE * (path.stat().st_size if path.is_file() else 0)
    limits = {resource.RLIMIT_CPU: spent + seconds, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = memory
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        within = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (within, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))

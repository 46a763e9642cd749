"""What the command-line programs share: a quiet terminal, progress bars, refusals."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tagger.text import escape_controls

T = TypeVar("T")

NOTHING_STARTED = 2  # exit status
INTERRUPTED = 130
CLOSED_OUTPUT = 141


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells an option's default, where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.default not in (None, "", ())
        return super()._get_help_string(action) if told else action.help


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep C libraries off the terminal: decoders and TensorFlow write to descriptor 2 directly.

    Python's own `sys.stderr` keeps working, and a crash still leaves a trace on it.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    before = sys.stderr
    sys.stderr = open(ours, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)
    pillow = logging.getLogger("PIL")
    level = pillow.level
    pillow.setLevel(logging.CRITICAL)  # what it logs of a broken file, the error says too
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pillow.setLevel(level)
        faulthandler.disable()
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(ours, 2)
        os.close(ours)


def refuse(error: Exception) -> int:
    """Say why nothing started; the exit status for it."""
    print(printable(str(error)), file=sys.stderr)
    return NOTHING_STARTED


def hang_up() -> int:
    """Drop what standard output still holds, since nobody reads it; the exit status for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CLOSED_OUTPUT


def progress(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """A bar with an estimate of the time left, on a terminal; see `tagger.concurrency.Progress`."""
    from tqdm import tqdm

    shown = sys.stderr.isatty()
    bar: Iterable[T] = tqdm(
        items, what, total, file=sys.stderr, disable=not shown, dynamic_ncols=True
    )
    return bar


def write(text: str) -> None:
    """Lines on standard output, above a progress bar where there is one.

    Control characters, which a file's name could use to steer a terminal, are spelled out.
    """
    from tqdm import tqdm

    tqdm.write("\n".join(map(printable, text.split("\n"))), file=sys.stdout)


def note(text: str) -> None:
    """A line on standard error, where it is no part of the answers."""
    print(printable(text), file=sys.stderr)


def remark(text: str) -> None:
    """As `write`, on standard error: beside an answer, not part of it."""
    from tqdm import tqdm

    tqdm.write(printable(text), file=sys.stderr)


def printable(text: str) -> str:
    """Text without control characters, and without what standard output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return escape_controls(text).encode(encoding, "backslashreplace").decode(encoding)

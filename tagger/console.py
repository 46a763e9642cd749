"""Terminal output of the programs: exit statuses, progress bars, quiet C libraries."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from tagger.errors import TaggerError
from tagger.text import escape_controls

T = TypeVar("T")

NOTHING_STARTED = 2  # exit status
INTERRUPTED = 130
CLOSED_OUTPUT = 141


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows an option's default where it has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, "", ()):
            return action.help
        return super()._get_help_string(action)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep C libraries off the terminal: decoders and TensorFlow write to descriptor 2 directly.

    Python's own `sys.stderr` keeps working, and a crash still leaves a trace on it.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    os.close(devnull)
    before = sys.stderr
    sys.stderr = open(terminal, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)
    pillow = logging.getLogger("PIL")
    level = pillow.level
    pillow.setLevel(logging.CRITICAL)  # its messages about broken files repeat our errors
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pillow.setLevel(level)
        faulthandler.disable()
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(terminal, 2)
        os.close(terminal)


def run(program: Callable[[], int]) -> int:
    """A program's exit status; an error is one sentence on standard error, not a traceback."""
    with quiet_libraries():
        try:
            return program()
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:  # the reader of standard output has gone
            return drop_output()
        except (TaggerError, OSError) as error:
            return refuse(error)


def refuse(error: Exception) -> int:
    """Print why nothing started; the exit status for it."""
    print(printable(str(error)), file=sys.stderr)
    return NOTHING_STARTED


def drop_output() -> int:
    """Discard buffered standard output, which has no reader; the exit status for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CLOSED_OUTPUT


def progress(items: Iterable[T], total: int, stage: str) -> Iterable[T]:
    """A bar with an estimate of the time left, on a terminal; see `tagger.concurrency.Progress`."""
    from tqdm import tqdm

    hidden = not sys.stderr.isatty()
    bar: Iterable[T] = tqdm(
        items, stage, total, file=sys.stderr, disable=hidden, dynamic_ncols=True
    )
    return bar


def write(text: str) -> None:
    """Print lines on standard output, above a progress bar if there is one.

    Control characters, which a file name could use to steer a terminal, are escaped.
    """
    _write_above_bar("\n".join(map(printable, text.split("\n"))), sys.stdout)


def note(text: str) -> None:
    """Print a line on standard error, which keeps it out of the results."""
    print(printable(text), file=sys.stderr)


def remark(text: str) -> None:
    """Print a line on standard error, above a progress bar if there is one."""
    _write_above_bar(printable(text), sys.stderr)


def _write_above_bar(text: str, file: TextIO) -> None:
    if "tqdm" not in sys.modules:  # there is no bar, and importing it takes a tenth of a start
        print(text, file=file)
        return
    from tqdm import tqdm

    tqdm.write(text, file=file)


def printable(text: str) -> str:
    """Text without control characters, and without what standard output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return escape_controls(text).encode(encoding, "backslashreplace").decode(encoding)

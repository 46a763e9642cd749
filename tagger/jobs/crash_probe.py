"""Crash probe: finds the files whose decoding kills the process, by opening each in a child.

A decoder's own bug can end the whole process, where no exception names the file.

    python -m tagger.jobs.crash_probe SIDE < paths, each ended by a NUL
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from tagger.errors import ImageError
from tagger.images import decode
from tagger.paths import ROOT

_STARTED, _SURVIVED = b"+", b"."  # what the child writes, the second for every file


def find_crashing(paths: Sequence[str], side: int) -> list[int]:
    """Indices of the files that kill a process which reads them for a network of `side` pixels."""
    crashing: list[int] = []
    first = 0
    while first < len(paths):
        output = _probe(paths[first:], side)
        survived = output.count(_SURVIVED)
        if not output.startswith(_STARTED) or first + survived == len(paths):
            break  # the child could not start, or no file is left
        crashing.append(first + survived)
        first += survived + 1
    return crashing


def _probe(paths: Sequence[str], side: int) -> bytes:
    """What the child wrote before it ended."""
    return subprocess.run(
        [sys.executable, "-m", "tagger.jobs.crash_probe", str(side)],
        cwd=ROOT,
        input=b"".join(os.fsencode(path) + b"\0" for path in paths),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    ).stdout


def main(side: int) -> None:
    """Read each file as an import would, and write a byte when it did not crash."""
    paths = sys.stdin.buffer.read().split(b"\0")[:-1]
    os.write(1, _STARTED)
    for path in paths:
        try:
            data = decode.read_bytes(os.fsdecode(path))
            decode.read_metadata(data)
            decode.read(data, shorter_side=side)
        except (ImageError, OSError):
            pass  # the import itself reports it
        os.write(1, _SURVIVED)


if __name__ == "__main__":
    main(int(sys.argv[1]))

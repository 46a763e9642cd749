"""Files opened in a process of their own, to find those that bring it down with them.

A decoder's own mistake can end the whole process, where no exception tells which file it was.

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

_BEGUN, _SURVIVED = b"+", b"."


def fatal(paths: Sequence[str], side: int) -> list[int]:
    """Of files, those that end a process which reads them for a network of `side`, by place."""
    found: list[int] = []
    first = 0
    while first < len(paths):
        said = _probe(paths[first:], side)
        survived = said.count(_SURVIVED)
        if not said.startswith(_BEGUN) or first + survived == len(paths):
            break  # no file has begun to tell, or all have
        found.append(first + survived)
        first += survived + 1
    return found


def _probe(paths: Sequence[str], side: int) -> bytes:
    """What the process said until it ended."""
    return subprocess.run(
        [sys.executable, "-m", "tagger.jobs.crash_probe", str(side)],
        cwd=ROOT,
        input=b"".join(os.fsencode(path) + b"\0" for path in paths),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    ).stdout


def main(side: int) -> None:
    """Read each file as an import would, and say so."""
    paths = sys.stdin.buffer.read().split(b"\0")[:-1]
    os.write(1, _BEGUN)
    for path in paths:
        try:
            data = decode.read_bytes(os.fsdecode(path))
            decode.facts(data)
            decode.read(data, shorter_side=side)
        except (ImageError, OSError):
            pass  # an import names it, with the reason
        os.write(1, _SURVIVED)


if __name__ == "__main__":
    main(int(sys.argv[1]))

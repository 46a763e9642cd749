"""Mutated photos of every format: read or refused with a sentence, in bounded time and memory.

`bench/mutated_photos.py` is the property; by itself it runs with many more seeds.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tagger.paths import ROOT


@pytest.mark.parametrize("first", [0, 1_000_000])
def test_mutated_photos_are_read_or_refused(first: int) -> None:
    command = [
        sys.executable,
        ROOT / "bench" / "mutated_photos.py",
        "--seeds=30",
        f"--first={first}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    read, refused = (int(part.split()[0]) for part in done.stdout.split(";")[0].split(","))
    assert read + refused == 21 * 30 and min(read, refused) > 100

"""Terminal output, observed from another process."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_c_libraries_are_silent_and_python_is_not() -> None:
    done = run(
        "import os, sys; from tagger import console\n"
        "with console.quiet_libraries():\n"
        "    os.write(2, b'from C'); print('from Python', file=sys.stderr)\n"
        "os.write(2, b'afterwards')"
    )
    assert done.stderr == "from Python\nafterwards"


def test_a_crash_leaves_a_trace() -> None:
    done = run(
        "import ctypes; from tagger import console\n"
        "with console.quiet_libraries(): ctypes.string_at(0)"
    )
    assert done.returncode != 0 and "Fatal Python error" in done.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f'{sys.executable} -c "from tagger import console\nimport sys\n'
        "try:\n  [console.write('x' * 1000) for _ in range(1000)]\n"
        'except BrokenPipeError:\n  sys.exit(console.drop_output())" | head -n 1',
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("xxx") and done.stderr == ""


def test_control_characters_are_escaped() -> None:
    done = run("from tagger import console; console.write('a\\x1b[31m\\tb\\n⚠️ é')")
    assert done.stdout == "a\\x1b[31m\\tb\n⚠️ é\n"

"""What the programs share at a terminal, seen from a process of its own."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_c_libraries_are_silent_and_python_is_not() -> None:
    done = run(
        "import os, sys; from tagger import terminal\n"
        "with terminal.quiet_libraries():\n"
        "    os.write(2, b'from C'); print('from Python', file=sys.stderr)\n"
        "os.write(2, b'afterwards')"
    )
    assert done.stderr == "from Python\nafterwards"


def test_a_crash_leaves_a_trace() -> None:
    done = run(
        "import ctypes; from tagger import terminal\n"
        "with terminal.quiet_libraries(): ctypes.string_at(0)"
    )
    assert done.returncode != 0 and "Fatal Python error" in done.stderr


def test_an_early_end_of_the_reader_is_no_error() -> None:
    done = subprocess.run(
        f'{sys.executable} -c "from tagger import terminal\nimport sys\n'
        "try:\n  [terminal.write('x' * 1000) for _ in range(1000)]\n"
        'except BrokenPipeError:\n  sys.exit(terminal.hang_up())" | head -n 1',
        shell=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("xxx") and done.stderr == ""


def test_control_characters_are_spelled_out() -> None:
    done = run("from tagger import terminal; terminal.write('a\\x1b[31m\\tb\\n⚠️ é')")
    assert done.stdout == "a\\x1b[31m\\tb\n⚠️ é\n"

"""`export.py` where it cannot start; tests/export/test_formats.py runs it to the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.cli.export import main
from tests.conftest import RunMain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pets", "coreml", "--photos", "."), "export 'coreml': there are onnx, saved_model"),
        (("nobody", "onnx", "--photos", "."), "no model is called 'nobody'"),
        (("pets", "onnx", "--photos", "nowhere"), "nowhere: no such folder"),
        (("pets", "onnx", "--photos", "empty"), "empty: none of 0 photos could be read"),
        (
            ("pets", "onnx", "--photos", "empty", "--output", "no/such"),
            "there is no folder no/such",
        ),
    ],
)
def test_a_bad_argument_is_one_sentence(
    run_main: RunMain, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    done = run_main(main, *arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr and len(done.stderr.splitlines()) == 1

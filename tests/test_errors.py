"""Messages of errors, for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.errors import ImageError, describe_error


def test_an_error_of_the_system_names_its_file_and_no_number(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with pytest.raises(OSError) as raised:
        missing.read_bytes()
    assert describe_error(raised.value) == f"{missing}: No such file or directory"
    assert describe_error(OSError(28, "No space left on device")) == "No space left on device"
    assert describe_error(OSError("odd")) == "odd"
    assert describe_error(ImageError("a.png", "it is empty")) == "a.png: it is empty"

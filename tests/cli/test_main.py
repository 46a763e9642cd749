"""The console script `image-tagger`, called as a function."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.cli.main import PROGRAMS, main


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_lists_its_options(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([program, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: image-tagger {program} ")


def test_the_programs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in PROGRAMS)


def test_an_unknown_program_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tag"])
    assert ended.value.code == 2
    assert "'train', 'check', 'predict'" in capsys.readouterr().err


def test_samples_are_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", str(tmp_path / "photos")]) == 0
    photos = [Path(line) for line in capfd.readouterr().out.splitlines()]
    assert len(photos) == 4 and all(photo.is_file() for photo in photos)
    assert main(["predict", str(photos[0]), "--model", "pets"]) == 0
    assert capfd.readouterr().out.startswith("Prediction: CAT\n")


def test_the_app_needs_a_checkout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagger.cli.app.ROOT", tmp_path)
    assert main(["app"]) == 2
    assert "the app needs a checkout of the project" in capfd.readouterr().err

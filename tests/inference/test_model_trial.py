"""Trials: a model file that is new to this machine is first opened and run in a child process."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import ModelError
from tagger.inference import model_file, model_trial
from tagger.inference.registry import BUNDLED
from tagger.paths import MODELS, ROOT
from tagger.tagger import Tagger
from tests.conftest import PETS_MODEL, draw_png, run_program
from tests.model_files import break_scale, edit_card, edit_network


def count(trials: Path) -> int:
    return len(trials.read_text().splitlines())


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A model that works and is not one of those that come with the project."""
    path = Path(shutil.copyfile(PETS_MODEL, tmp_path / "stranger.h5"))
    edit_card(path, about="by a stranger")
    return path


def test_the_digests_of_bundled_models_are_known() -> None:
    digests = {hashlib.sha256((MODELS / f"{name}.h5").read_bytes()).hexdigest() for name in BUNDLED}
    assert digests == model_trial.BUNDLED_DIGESTS, "a bundled model changed: write its digest there"


def test_bundled_models_are_loaded_without_a_trial(trials: Path, tmp_path: Path) -> None:
    for name in BUNDLED:
        model_file.load(MODELS / f"{name}.h5")
    renamed = shutil.copyfile(PETS_MODEL, tmp_path / "renamed.h5")
    assert model_file.load_card(renamed)["kind"] == "single"
    assert count(trials) == 0


def test_a_new_file_is_tried_once(trials: Path, stranger: Path) -> None:
    assert model_file.load(stranger).card["about"] == "by a stranger"
    model_file.load(shutil.copyfile(stranger, stranger.with_name("elsewhere.h5")))
    model_file.load_card(stranger)
    assert count(trials) == 1
    edit_card(stranger, about="changed")
    model_file.load(stranger)
    assert count(trials) == 2


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    trials: Path, stranger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path / "file" / "cache"))
    assert model_file.load(stranger).name == model_file.load(stranger).name == "stranger"
    assert count(trials) == 2


def test_a_verdict_counts_for_the_versions_that_gave_it(trials: Path, stranger: Path) -> None:
    model_file.load(stranger)
    (note,) = (trials.parent / "cache" / model_trial.FOLDER).iterdir()
    for content in (json.dumps({**json.loads(note.read_text()), "by": "older"}), "", "[]", "{"):
        note.write_text(content)
        before = count(trials)
        model_file.load(stranger)
        model_file.load(stranger)
        assert count(trials) == before + 1


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV"])
def test_a_network_that_crashes_is_refused_with_a_sentence(
    trials: Path, fatal: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FATAL", name)
    for load in (model_file.load, model_file.load_card, model_file.read_arrays):
        with pytest.raises(ModelError, match=rf"fatal\.h5: .* crashes \({name}\); refused"):
            load(fatal)
    assert count(trials) == 1


@pytest.mark.parametrize(("way", "tries"), [("hang", 1), ("sleep", 2)])
def test_a_network_that_hangs_is_refused_with_a_sentence(
    trials: Path, fatal: Path, monkeypatch: pytest.MonkeyPatch, way: str, tries: int
) -> None:
    """Refused for good only where it used the time itself: else the machine may have been busy."""
    monkeypatch.setenv("FATAL", way)
    monkeypatch.setattr(model_trial, "SECONDS", 1)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"fatal\.h5: .* took more than 1 s; refused"):
            model_file.load(fatal)
    assert count(trials) == tries


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory")
def test_a_network_that_takes_too_much_memory_is_refused(
    trials: Path, fatal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FATAL", "memory")
    with pytest.raises(ModelError, match="more memory than a model of its size may take"):
        model_file.load(fatal)


def test_a_trial_that_is_killed_from_outside_is_tried_again(
    trials: Path, fatal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FATAL", "SIGKILL")
    with pytest.raises(ModelError, match=r"crashes \(SIGKILL\)"):
        model_file.load(fatal)
    monkeypatch.delenv("FATAL")
    assert model_file.load(fatal).name == "fatal"


def test_a_child_that_cannot_start_is_named(
    stranger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"stranger\.h5: no process to try it could be started"):
        model_file.load(stranger)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ModelError, match=r"stranger\.h5: .* ended with exit status 1"):
        model_file.load(stranger)


def test_a_card_that_no_decision_can_be_made_with_is_refused(trials: Path, stranger: Path) -> None:
    def reverse(card: dict[str, Any]) -> dict[str, Any]:
        card["decision"]["familiarity"]["validation_strangeness"] = [0.3, 0.1]
        return card

    edit_card(stranger, reverse)
    with pytest.raises(ModelError, match="no sorted list"):
        Tagger.load(str(stranger))


def test_a_file_that_is_exchanged_during_its_trial_leaves_no_verdict(
    trials: Path, stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = stranger.read_bytes()
    edit_network(stranger, break_scale)
    bad = stranger.read_bytes()

    def try_another(paths: list[Path], try_files: Any = model_trial.try_files) -> Any:
        stranger.write_bytes(good)
        verdicts = try_files(paths)
        stranger.write_bytes(bad)
        return verdicts

    with monkeypatch.context() as patch:
        patch.setattr(model_trial, "try_files", try_another)
        with pytest.raises(ModelError, match="changed while it was read"):
            Tagger.load(str(stranger))
    with pytest.raises(ModelError, match="refused"):
        Tagger.load(str(stranger))


def test_verdicts_are_in_the_order_of_the_files(
    trials: Path, stranger: Path, fatal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FATAL", "SIGSEGV")
    (tmp_path / "text.h5").write_text("no model")
    paths = [stranger, fatal, tmp_path / "text.h5", fatal, tmp_path / "gone.h5", stranger]
    results = [verdict.result for verdict in model_trial.try_files(paths)]
    assert results == ["usable", "refused", "foreign", "refused", "refused", "usable"]
    assert count(trials) == 3


def test_the_program_refuses_a_network_that_frees_memory_twice(tmp_path: Path) -> None:
    path = Path(shutil.copyfile(PETS_MODEL, tmp_path / "twice.h5"))
    edit_network(path, break_scale)
    (tmp_path / "photo.png").write_bytes(draw_png(1))
    done = run_program("predict.py", tmp_path / "photo.png", "--model", path)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(r".*twice\.h5: .* crashes \(SIG\w+\); refused\n", done.stderr)


@pytest.mark.training  # for half a minute
def test_mutated_model_files_all_get_a_verdict() -> None:
    """A few hundred with fixed seeds; `bench/mutated_models.py` alone takes thousands."""
    program = [sys.executable, "bench/mutated_models.py", "--kinds"]
    for kinds, number in ((["network"], 200), (["structure", "card", "words", "reference"], 20)):
        done = subprocess.run(
            [*program, *kinds, "--count", str(number), "--seconds", "5"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for kind in kinds:
            assert f"{kind}: {number} files" in done.stdout

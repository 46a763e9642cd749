"""The jobs that teach: a check of a folder, a training with its model and report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tagger.images import decode
from tagger.jobs import training, worker
from tagger.jobs.lease import Claim
from tagger.library.library import Library
from tagger.library.plans import Training
from tagger.training.epochs import Epoch
from tagger.training.events import EpochEnded, EpochStarted, FineTuningEnded, RunFolderCreated
from tests.conftest import draw_collection, scene


def test_a_check_tells_what_is_wrong(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 6)
    (folder / "disc" / "broken.jpg").write_bytes(b"not a photo")
    run_id = library.plan_check(str(folder))
    worker.run(library, run_id)
    result = library.operation(run_id).result or {}
    assert result["error"] is None
    assert sum(sum(labels.values()) for labels in result["labels"].values()) == 18
    assert [path for path, _ in result["unreadable"]] == ["disc/broken.jpg"]
    assert any("could not be read" in line for line in result["problems"])
    few = library.plan_check(str(draw_collection(tmp_path / "few", 2)))
    worker.run(library, few)
    result = library.operation(few).result or {}
    assert "too few readable photos" in result["error"]
    assert sum(sum(labels.values()) for labels in result["labels"].values()) == 6
    nothing = library.plan_check(str(tmp_path / "nowhere"))
    worker.run(library, nothing)
    assert "no such folder" in (library.operation(nothing).result or {})["error"]


def test_a_check_of_few_bursts_ends_and_notes_what_it_could_not_do(
    library: Library, tmp_path: Path
) -> None:
    """A fixed camera: of each label two near groups, which are too few to judge labels by."""
    for label in ("cup", "plate"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for shot in range(14):
            rgb = scene((shot % 2) + 10 * (label == "cup"), 240).copy()
            rgb[0, shot] = shot
            path = tmp_path / "photos" / label / f"{shot}.png"
            path.write_bytes(decode.encode(rgb))
    run_id = library.plan_check(str(tmp_path / "photos"))
    worker.run(library, run_id)
    run = library.operation(run_id)
    assert run.status == "done", run.error
    result = run.result or {}
    assert result["written_as"] == "folders"
    assert "whether labels are right was not judged" in result["notes"]
    assert any(line.startswith("only ") for line in result["notes"])


def test_a_check_of_copies_says_so_and_changes_nothing(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 5)
    shutil.copyfile(folder / "disc" / "000.jpg", folder / "disc" / "copy.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    run_id = library.plan_check(str(folder))
    worker.run(library, run_id)
    run = library.operation(run_id)
    assert run.status == "done"
    assert sum(sum(split.values()) for split in (run.result or {})["labels"].values()) == 15
    assert any("cop" in line for line in (run.result or {})["problems"])
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == before
    assert library.count() == 0


def test_a_training_on_nothing_fails_with_a_sentence(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MODELS", tmp_path / "model")
    run_id = library.plan_training(Training(str(tmp_path / "nowhere"), "mine"))
    worker.run(library, run_id)
    run = library.operation(run_id)
    assert (run.status, run.result) == ("failed", None)
    assert f"{tmp_path / 'nowhere'}: no such folder" in (run.error or "")
    assert not list((tmp_path / "model").glob("*"))


def test_a_training_row_shows_its_folder_its_epoch_and_the_last_event(
    library: Library, shapes: Path
) -> None:
    planned = library.run(library.plan_training(Training(str(shapes), "mine")))
    claim = Claim(library, planned.id)
    assert claim.take()
    record = training.EventRecorder(claim)
    record(RunFolderCreated(Path("runs/1")))
    record(EpochStarted(2, 8))
    assert claim.run.options == {**planned.options, "folder": "runs/1", "epoch": 2}
    claim.tell(attempts=2, done=5, total=9)
    record(EpochEnded(Epoch(2, 0.5, 0.4, 0.9, seconds=3)))
    run = claim.run
    assert run.stage == "Epoch 2: loss 0.5000, validation accuracy 90.00%, loss 0.4000 (3 s)"
    assert (run.attempts, run.done, run.total) == (0, 5, 9)
    record(FineTuningEnded(None, 2, 1.0))
    run = claim.run
    assert (run.stage, run.done, run.total) == ("Kept 100% of epoch 2.", 0, 0)
    assert run.options == {**planned.options, "folder": "runs/1"}

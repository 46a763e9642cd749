"""Training jobs: the check of a folder, and a training with its progress."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tagger.images import decode
from tagger.jobs import training, worker
from tagger.jobs.lease import Lease
from tagger.jobs.requests import CheckRequest, TrainRequest, submit
from tagger.library.library import Library
from tagger.training.events import EpochEnded, EpochStarted, FineTuningEnded, RunFolderCreated
from tagger.training.run_folder import Epoch
from tests.conftest import draw_collection, draw_scene

pytestmark = pytest.mark.training


def test_a_check_reports_labels_problems_and_unreadable_files(
    library: Library, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 6)
    (folder / "disc" / "broken.jpg").write_bytes(b"not a photo")
    job_id = submit(library, CheckRequest(str(folder)))
    worker.run(library, job_id)
    result = library.operation(job_id).result or {}
    assert result["error"] is None
    assert sum(sum(labels.values()) for labels in result["labels"].values()) == 18
    assert [path for path, _ in result["unreadable"]] == ["disc/broken.jpg"]
    assert any("could not be read" in line for line in result["problems"])
    job_id = submit(library, CheckRequest(str(draw_collection(tmp_path / "few", 2))))
    worker.run(library, job_id)
    result = library.operation(job_id).result or {}
    assert "too few readable photos" in result["error"]
    assert sum(sum(labels.values()) for labels in result["labels"].values()) == 6
    job_id = submit(library, CheckRequest(str(tmp_path / "nowhere")))
    worker.run(library, job_id)
    assert "no such folder" in (library.operation(job_id).result or {})["error"]


def test_a_check_notes_that_a_few_bursts_are_too_few_to_judge_labels(
    library: Library, tmp_path: Path
) -> None:
    """A fixed camera: each label has two groups of near-duplicates."""
    for label in ("cup", "plate"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for shot in range(14):
            rgb = draw_scene((shot % 2) + 10 * (label == "cup"), 240).copy()
            rgb[0, shot] = shot
            path = tmp_path / "photos" / label / f"{shot}.png"
            path.write_bytes(decode.encode(rgb))
    job_id = submit(library, CheckRequest(str(tmp_path / "photos")))
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert job.status == "done", job.error
    result = job.result or {}
    assert result["written_as"] == "folders"
    assert "labels were not checked" in result["notes"]
    assert any(line.startswith("few training photos: ") for line in result["notes"])


def test_a_check_reports_copies_and_changes_nothing(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 5)
    shutil.copyfile(folder / "disc" / "000.jpg", folder / "disc" / "copy.jpg")
    before = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    job_id = submit(library, CheckRequest(str(folder)))
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert job.status == "done"
    assert sum(sum(split.values()) for split in (job.result or {})["labels"].values()) == 15
    assert any("cop" in line for line in (job.result or {})["problems"])
    assert {path: path.read_bytes() for path in folder.rglob("*.jpg")} == before
    assert library.count() == 0


def test_training_on_a_missing_folder_fails_with_a_message(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "MODELS", tmp_path / "model")
    job_id = submit(library, TrainRequest(str(tmp_path / "nowhere"), "mine"))
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert (job.status, job.result) == ("failed", None)
    assert f"{tmp_path / 'nowhere'}: no such folder" in (job.error or "")
    assert not list((tmp_path / "model").glob("*"))


def test_a_training_job_shows_its_run_folder_its_epoch_and_the_stage(
    library: Library, shapes: Path
) -> None:
    queued = library.operation(submit(library, TrainRequest(str(shapes), "mine")))
    lease = Lease(library, queued.id)
    assert lease.acquire()
    record = training.EventRecorder(lease, TrainRequest(str(shapes), "mine"))
    record(RunFolderCreated(Path("runs/1")))
    record(EpochStarted(2, 8))
    assert lease.job.options == {**queued.options, "folder": "runs/1", "epoch": 2}
    lease.set_columns(attempts=2, done=5, total=9)
    record(EpochEnded(Epoch(2, 0.5, 0.4, 0.9, seconds=3)))
    job = lease.job
    assert (job.attempts, job.done, job.total) == (0, 5, 9)
    record(FineTuningEnded(None, 2, 1.0))
    job = lease.job
    assert (job.stage, job.done, job.total) == ("Choosing the best version", 0, 0)
    assert job.options == {**queued.options, "folder": "runs/1"}

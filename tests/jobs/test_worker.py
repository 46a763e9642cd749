"""Workers: jobs run in a process of their own, are stopped, killed, and resumed without loss."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from tagger.errors import OptionError
from tagger.jobs import worker
from tagger.jobs.lease import Lease
from tagger.jobs.requests import (
    CheckRequest,
    ImportFolderRequest,
    resume,
    submit,
    submit_embedding,
)
from tagger.library import operations
from tagger.library.library import Library
from tagger.paths import ROOT
from tagger.training.trainer import TrainingResult
from tests.conftest import (
    TIMEOUT,
    draw_collection,
    expire_heartbeat,
    import_folder,
    wait_until,
)
from tests.trees import make_too_deep
from tests.words import copy_to_other_space

pytestmark = pytest.mark.service  # starts worker processes


@pytest.fixture
def library(library: Library, worded: Path) -> Library:
    """An empty library, whose model gives each photo its vector as it tags it."""
    library.use_model(str(worded))
    return library


def start_process(library: Library, job_id: int) -> subprocess.Popen[bytes]:
    """The job's process, as `worker.start` starts it, for the test to kill."""
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    return subprocess.Popen(
        [sys.executable, "-m", "tagger.jobs.worker", str(job_id)],
        cwd=ROOT,
        env=os.environ | environment,
    )


def test_a_job_in_the_background_is_followed_by_that_of_the_model_that_is_active_then(
    library: Library, worded: Path, tmp_path: Path
) -> None:
    import_folder(library, draw_collection(tmp_path / "photos", 3), model="pets")
    job_id = submit_embedding(library)
    assert job_id is not None
    library.use_model(str(copy_to_other_space(worded, tmp_path / "other.h5")))
    assert start_process(library, job_id).wait(TIMEOUT) == 0
    jobs = library.operations(kinds=["embed"])
    assert [job.status for job in jobs] == ["done", "done"]
    description = library.search("like:ball").description
    assert description is not None and description.not_compared == 0


def check_consistent(library: Library) -> None:
    """Invariants of the database, whatever happened to the process that was writing it."""
    counts = {
        "damaged": "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
        "dangling": "SELECT count(*) FROM pragma_foreign_key_check",
        "untagged photos": """SELECT count(*) FROM photos p WHERE 1 <> (SELECT count(*) FROM
            predictions q WHERE q.photo_id = p.id AND q.ended_by IS NULL)""",
        "wrong counts": """SELECT count(*) FROM photos p WHERE tag_count <> (SELECT count(*) FROM
            tags t WHERE t.photo_id = p.id)""",
        "unfiled photos": """SELECT count(*) FROM photos p WHERE NOT EXISTS (SELECT 1 FROM files f
            WHERE f.photo_id = p.id AND f.outcome = 'added')""",
        "unembedded": """SELECT count(*) FROM photos p WHERE 1 <> (SELECT count(*) FROM
            vectors v WHERE v.photo_id = p.id)""",
    }
    with library.database.read_transaction() as connection:
        for problem, query in counts.items():
            assert connection.scalar(text(query)) == 0, problem
    for photo in library.photos():
        assert library.storage.thumbnail_path(photo.sha256).is_file()


def test_a_job_outlives_the_process_that_started_it(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes)))
    code = (
        "from tagger.jobs import worker; from tagger.library.library import Library;"
        f"worker.start(Library.open(), {job_id})"
    )
    environment = os.environ | {"TAGGER_HOME": str(library.home)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    wait_until(lambda: not library.operation(job_id).active)
    job = library.operation(job_id)
    assert (job.status, job.counts, job.result) == ("done", {"added": 120}, {"added": 120})
    check_consistent(library)


def test_an_import_killed_at_ten_random_moments_loses_nothing(
    library: Library, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 450)
    (folder / "broken.jpg").write_bytes(b"not a photo")
    copy = folder / "disc" / "copy.jpg"
    copy.write_bytes((folder / "disc" / "000.jpg").read_bytes())
    job_id = submit(library, ImportFolderRequest(str(folder)))
    rng = random.Random(3)
    for _ in range(10):
        done = library.operation(job_id).done
        process = start_process(library, job_id)
        wait_until(lambda done=done: library.operation(job_id).done > done)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.1))
        assert process.poll() is None, "done before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_consistent(library)
        expire_heartbeat(library, job_id)
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert job.status == "done"
    assert job.counts == {"added": 1350, "failed": 1, "duplicate": 1}
    assert job.done == job.total == 1352
    assert len({photo.sha256 for photo in library.photos()}) == library.count() == 1350
    check_consistent(library)


def test_a_killed_embedding_loses_nothing_and_repeats_nothing(
    library: Library, tmp_path: Path, trained: TrainingResult
) -> None:
    folder = draw_collection(tmp_path / "photos", 400)
    import_folder(library, folder, model=str(trained.model))
    job_id = submit_embedding(library)
    assert job_id is not None
    code = (
        "from tagger.jobs import worker; from tagger.library.library import Library;"
        f"worker.run(Library.open(), {job_id})"  # not as slowly as in the background
    )
    environment = os.environ | {"TAGGER_HOME": str(library.home)}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    wait_until(lambda: library.operation(job_id).done > 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < library.operation(job_id).done < 1200
    page = library.search("like:ball")
    assert page.description is not None
    assert page.description.not_compared == 1200 - library.operation(job_id).done
    expire_heartbeat(library, job_id)
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert (job.status, job.done, job.total) == ("done", 1200, 1200)
    check_consistent(library)
    page = library.search("like:ball")
    assert page.description is not None and page.description.not_compared == 0


def test_an_import_is_followed_by_an_embedding_where_its_model_knows_no_words(
    library: Library, shapes: Path
) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="pets"))
    start_process(library, job_id).wait(TIMEOUT)
    embedding, imported, _ = library.operations()  # after the choice of a model
    assert (imported.kind, imported.status) == ("import", "done")
    assert (embedding.kind, embedding.status) == ("embed", "done")
    check_consistent(library)
    again = submit(library, ImportFolderRequest(str(shapes)))
    start_process(library, again).wait(TIMEOUT)
    assert [job.kind for job in library.operations(3)] == ["import", "embed", "import"]


def test_a_stale_job_is_resumed_and_a_live_one_is_not(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes)))
    assert worker.resume_stale(library) == []
    expire_heartbeat(library, job_id)
    assert worker.resume_stale(library) == [job_id]
    wait_until(lambda: library.operation(job_id).status == "done")
    assert worker.resume_stale(library) == []


def test_a_job_can_be_stopped_and_resumed(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 150)
    job_id = submit(library, ImportFolderRequest(str(folder)))
    process = start_process(library, job_id)
    wait_until(lambda: library.operation(job_id).done > 0)
    library.stop(job_id)
    process.wait(TIMEOUT)
    job = library.operation(job_id)
    assert job.status == "stopped"
    assert 0 < job.done < 450
    assert library.count() == job.done
    check_consistent(library)
    resume(library, job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).status == "done"
    assert library.count() == 450


def test_a_job_that_was_undone_cannot_be_resumed(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes)))
    lease = Lease(library, job_id)
    assert lease.acquire()
    lease.release("stopped")
    undo = library.undo(job_id)
    assert not library.operation(job_id).resumable
    with pytest.raises(OptionError, match="nothing to go on with"):
        resume(library, job_id)
    library.undo(undo.operation_id)
    with pytest.raises(OptionError, match="was undone: begin anew"):
        resume(library, job_id)


def test_a_job_stopped_while_queued_never_starts(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes)))
    library.stop(job_id)
    worker.run(library, job_id)
    assert library.operation(job_id).status == "stopped"
    assert library.count() == 0


def test_a_folder_that_is_gone_gives_a_message(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    job_id = submit(library, ImportFolderRequest(str(folder)))
    folder.rename(tmp_path / "elsewhere")
    worker.run(library, job_id)
    job = library.operation(job_id)
    assert (job.status, job.error) == ("failed", f"{folder}: no such folder on this computer")


def test_a_model_that_is_gone_gives_a_message(library: Library, shapes: Path) -> None:
    job_id = submit(library, ImportFolderRequest(str(shapes), model="nosuch"))
    worker.run(library, job_id)
    assert "no model is called 'nosuch'" in (library.operation(job_id).error or "")


def test_a_bug_ends_the_job_and_is_logged(library: Library, shapes: Path) -> None:
    """As for a job of a newer version, whose options lack what this one needs."""
    job_id = submit(library, CheckRequest(str(shapes)))
    with library.database.write_transaction() as connection:
        operations.set_columns(connection, job_id, options={})
    worker.start(library, job_id)
    wait_until(lambda: not library.operation(job_id).active)
    job, log = library.operation(job_id), library.home / "logs" / f"{job_id}.log"
    assert (job.status, job.stale) == ("failed", False)
    assert job.error == f"a bug in this program (KeyError); see {log}"
    assert "Traceback" in log.read_text() and "KeyError: 'data'" in log.read_text()


def test_the_librarys_own_files_are_not_imported(library: Library, tmp_path: Path) -> None:
    draw_collection(tmp_path / "photos", 1)
    assert import_folder(library, tmp_path, copy=True).counts == {"added": 3}
    assert import_folder(library, tmp_path).counts == {"duplicate": 3}


def test_files_that_are_no_photos_are_counted_and_listed(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    for name in ("notes.txt", "disc/film.mp4", ".hidden", ".git/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    job = import_folder(library, folder)
    assert job.counts == {"added": 3, "no_photo": 2}
    assert (job.total, job.done) == (3, 3)
    listed = [(file.name, file.path) for file in library.operation_files(job.id, "no_photo")]
    assert listed == [
        ("notes.txt", str(folder / "notes.txt")),
        ("film.mp4", str(folder / "disc" / "film.mp4")),
    ]


def test_what_an_import_does_not_enter_is_listed(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    for name in ("@eaDir/x.jpg", "disc/@eaDir/x.jpg", ".hidden/x.jpg", "._x.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    (folder / "loop").symlink_to(folder)  # whose photos are read
    (folder / "up").symlink_to(tmp_path)
    (folder / "disk").symlink_to(draw_collection(tmp_path / "disk", 1, first=5))
    (folder / "library").symlink_to(library.home)
    deep = make_too_deep(folder)
    job = import_folder(library, folder)
    assert job.counts == {"added": 6, "left_out": 4, "failed": 1}
    assert (job.status, job.total, job.done) == ("done", 6, 6)
    (failed,) = library.operation_files(job.id, "failed")
    assert failed.path == str(deep)
    assert failed.reason == "a folder that cannot be opened (File name too long)"
    left_out = library.operation_files(job.id, "left_out")
    assert {file.name: file.reason for file in left_out} == {
        "@eaDir": "2 folders, hidden or of a file system or program",
        ".hidden": "1 folder, hidden or of a file system or program",
        "up": "a link that leads to a folder that it lies in",
        "._x.jpg": "a hidden file",
    }


def test_a_duplicate_names_the_photo_it_duplicates(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1, shapes=("disc",))
    (folder / "disc" / "zzz.jpg").write_bytes((folder / "disc" / "000.jpg").read_bytes())
    job = import_folder(library, folder)
    (file,) = library.operation_files(job.id, "duplicate")
    (photo,) = library.photos()
    assert (file.name, file.photo_id, file.photo_name) == ("zzz.jpg", photo.id, "000.jpg")


def test_temporary_files_of_a_killed_process_are_deleted_by_the_next_job(
    library: Library, tmp_path: Path
) -> None:
    temporary = library.home / "thumbnails" / "ab" / ".abc.jpg.1.2.tmp"
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"half")
    long_ago = time.time() - 24 * 3600
    os.utime(temporary, (long_ago, long_ago))
    import_folder(library, draw_collection(tmp_path / "photos", 1))
    assert not temporary.exists()


@pytest.mark.parametrize("arguments", [[], ["x"], ["1", "2"]])
def test_wrong_arguments_print_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert worker.main(arguments) == 2
    assert "usage: python -m tagger.jobs.worker JOB_ID" in capsys.readouterr().out

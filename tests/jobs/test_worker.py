"""Jobs: done in a process of their own, stopped, killed, and taken up again with nothing lost."""

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
from tagger.jobs.lease import Claim
from tagger.library import operations
from tagger.library.library import Library
from tagger.paths import ROOT
from tests.conftest import PATIENCE, draw_collection, forget_heartbeat, import_folder, wait_until


def spawn(library: Library, run_id: int) -> subprocess.Popen[bytes]:
    """The job's process, as `jobs.start` begins it, but ours to kill."""
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    return subprocess.Popen(
        [sys.executable, "-m", "tagger.jobs.worker", str(run_id)],
        cwd=ROOT,
        env=os.environ | environment,
    )


def check_consistent(library: Library) -> None:
    """What must hold of a catalogue whatever happened to the process that was writing it."""
    questions = {
        "damaged": "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
        "dangling": "SELECT count(*) FROM pragma_foreign_key_check",
        "untagged photos": """SELECT count(*) FROM photos p WHERE 1 <> (SELECT count(*) FROM
            predictions q WHERE q.photo_id = p.id AND q.ended_by IS NULL)""",
        "wrong counts": """SELECT count(*) FROM photos p WHERE tag_count <> (SELECT count(*) FROM
            tags t WHERE t.photo_id = p.id)""",
        "unfiled photos": """SELECT count(*) FROM photos p WHERE NOT EXISTS (SELECT 1 FROM files f
            WHERE f.photo_id = p.id AND f.outcome = 'added')""",
        "unembedded": """SELECT count(*) FROM photos p WHERE 1 <> (SELECT count(*) FROM
            embeddings e WHERE e.photo_id = p.id)""",
    }
    with library.database.read_transaction() as connection:
        for what, question in questions.items():
            assert connection.scalar(text(question)) == 0, what
    for photo in library.photos():
        assert library.storage.thumbnail_path(photo.sha256).is_file()


def test_a_job_outlives_the_process_that_began_it(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    code = (
        "from tagger import jobs; from tagger.library import Library;"
        f"jobs.start(Library.open(), {run_id})"
    )
    environment = os.environ | {"TAGGER_HOME": str(library.home)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    wait_until(lambda: not library.operation(run_id).active)
    run = library.operation(run_id)
    assert (run.status, run.counts, run.result) == ("done", {"added": 120}, {"added": 120})
    check_consistent(library)


def test_killed_at_ten_random_moments_an_import_loses_nothing(
    library: Library, tmp_path: Path
) -> None:
    folder = draw_collection(tmp_path / "photos", 450)
    (folder / "broken.jpg").write_bytes(b"not a photo")
    copy = folder / "disc" / "copy.jpg"
    copy.write_bytes((folder / "disc" / "000.jpg").read_bytes())
    run_id = library.plan_folder_import(str(folder), model="pets")
    rng = random.Random(3)
    for _ in range(10):
        done = library.operation(run_id).done
        process = spawn(library, run_id)
        wait_until(lambda done=done: library.operation(run_id).done > done)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.1))
        assert process.poll() is None, "done before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        check_consistent(library)
        forget_heartbeat(library, run_id)
    worker.run(library, run_id)
    run = library.operation(run_id)
    assert run.status == "done"
    assert run.counts == {"added": 1350, "failed": 1, "duplicate": 1}
    assert run.done == run.total == 1352
    assert len({photo.sha256 for photo in library.photos()}) == library.count() == 1350
    check_consistent(library)


def test_a_stale_run_is_taken_up_again_and_a_living_one_is_not(
    library: Library, shapes: Path
) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    assert worker.resume_stale(library) == []
    forget_heartbeat(library, run_id)
    assert worker.resume_stale(library) == [run_id]
    wait_until(lambda: library.operation(run_id).status == "done")
    assert worker.resume_stale(library) == []


def test_a_run_stops_when_asked_and_goes_on_later(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 150)
    run_id = library.plan_folder_import(str(folder), model="pets")
    process = spawn(library, run_id)
    wait_until(lambda: library.operation(run_id).done > 0)
    library.stop(run_id)
    process.wait(PATIENCE)
    run = library.operation(run_id)
    assert run.status == "stopped"
    assert 0 < run.done < 450
    assert library.count() == run.done
    check_consistent(library)
    library.plan_again(run_id)
    worker.run(library, run_id)
    assert library.operation(run_id).status == "done"
    assert library.count() == 450


def test_what_was_undone_does_not_go_on(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    claim = Claim(library, run_id)
    assert claim.take()
    claim.finish("stopped")
    back = library.undo(run_id)
    assert not library.operation(run_id).resumable
    with pytest.raises(OptionError, match="nothing to go on with"):
        library.plan_again(run_id)
    library.undo(back.operation_id)
    with pytest.raises(OptionError, match="was undone: begin anew"):
        library.plan_again(run_id)


def test_one_stopped_before_it_began_never_begins(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="pets")
    library.stop(run_id)
    worker.run(library, run_id)
    assert library.operation(run_id).status == "stopped"
    assert library.count() == 0


def test_a_folder_that_went_away_is_a_sentence(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    run_id = library.plan_folder_import(str(folder), model="pets")
    folder.rename(tmp_path / "elsewhere")
    worker.run(library, run_id)
    run = library.operation(run_id)
    assert (run.status, run.error) == ("failed", f"{folder}: no such folder on this machine")


def test_a_model_that_went_away_is_a_sentence(library: Library, shapes: Path) -> None:
    run_id = library.plan_folder_import(str(shapes), model="nosuch")
    worker.run(library, run_id)
    assert "no model is called 'nosuch'" in (library.operation(run_id).error or "")


def test_a_mistake_of_the_program_ends_the_run(library: Library, shapes: Path) -> None:
    """As when a newer version planned it: what it needs is not among its options."""
    run_id = library.plan_check(str(shapes))
    with library.database.write_transaction() as connection:
        operations.set_columns(connection, run_id, options={})
    worker.start(library, run_id)
    wait_until(lambda: not library.operation(run_id).active)
    run, log = library.operation(run_id), library.home / "logs" / f"{run_id}.log"
    assert (run.status, run.stale) == ("failed", False)
    assert run.error == f"a mistake of this program's (KeyError); {log} says more"
    assert "Traceback" in log.read_text() and "KeyError: 'data'" in log.read_text()


def test_the_librarys_own_folder_is_not_imported(library: Library, tmp_path: Path) -> None:
    draw_collection(tmp_path / "photos", 1)
    assert import_folder(library, tmp_path, copy=True).counts == {"added": 3}
    assert import_folder(library, tmp_path).counts == {"duplicate": 3}


def test_files_that_are_no_photos_are_counted_and_named(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1)
    for name in ("notes.txt", "disc/film.mp4", ".hidden", ".git/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    run = import_folder(library, folder)
    assert run.counts == {"added": 3, "no_photo": 2}
    assert (run.total, run.done) == (3, 3)
    named = [(file.name, file.path) for file in library.operation_files(run.id, "no_photo")]
    assert named == [
        ("notes.txt", str(folder / "notes.txt")),
        ("film.mp4", str(folder / "disc" / "film.mp4")),
    ]


def test_a_duplicate_leads_to_the_photo_that_it_is(library: Library, tmp_path: Path) -> None:
    folder = draw_collection(tmp_path / "photos", 1, shapes=("disc",))
    (folder / "disc" / "zzz.jpg").write_bytes((folder / "disc" / "000.jpg").read_bytes())
    run = import_folder(library, folder)
    (file,) = library.operation_files(run.id, "duplicate")
    (photo,) = library.photos()
    assert (file.name, file.photo_id, file.photo_name) == ("zzz.jpg", photo.id, "000.jpg")


def test_what_a_kill_left_is_swept_at_the_next_start(library: Library, tmp_path: Path) -> None:
    left = library.home / "thumbnails" / "ab" / ".abc.jpg.1.2.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    long_ago = time.time() - 24 * 3600
    os.utime(left, (long_ago, long_ago))
    import_folder(library, draw_collection(tmp_path / "photos", 1))
    assert not left.exists()


@pytest.mark.parametrize("arguments", [[], ["x"], ["1", "2"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert worker.main(arguments) == 2
    assert "usage: python -m tagger.jobs.worker RUN_ID" in capsys.readouterr().out

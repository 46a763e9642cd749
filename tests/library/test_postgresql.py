"""The library in PostgreSQL: a private server, and all that a person does with a library."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tagger.errors import LibraryError, OptionError
from tagger.images import decode
from tagger.jobs.requests import ImportFolderRequest, submit
from tagger.library import export
from tagger.library.database import database
from tagger.library.database.database import Database
from tagger.library.library import Library
from tagger.paths import ROOT
from tagger.service.prediction_log import DAY, Entry, PredictionLog
from tagger.tagger import Prediction, Tagger
from tests.conftest import draw, draw_collection, import_folder

UNPRIVILEGED = "postgres"  # Debian's user for it: the server refuses to run as root
HOSTILE = "'; DROP TABLE photos;--"


def programs() -> Path:
    """The folder of the newest server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("needs a PostgreSQL server: apt-get install postgresql")
    return (found[-1] if found else Path(str(on_path))).parent


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server of our own that listens at a socket in its folder, and nowhere else."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'psycopg[binary]'")
    bin_folder, folder = programs(), Path(tempfile.mkdtemp(prefix="tagger-pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("needs runuser, to start a server that refuses to run as root")
        as_user = ["runuser", "-u", UNPRIVILEGED, "--"]
        shutil.chown(folder, UNPRIVILEGED)

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(bin_folder / program), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    run("initdb", "-U", "tagger", "--auth=trust", "-E", "UTF8", "--no-sync")
    settings = f"-k {folder} -c listen_addresses= -c fsync=off"
    run("pg_ctl", "-l", str(folder / "log"), "-o", settings, "-w", "start")
    yield f"postgresql+psycopg://tagger@/postgres?host={folder}"
    run("pg_ctl", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def library(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library as `TAGGER_DATABASE` names it, used by the tests one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGGER_DATABASE", url)
        opened = Library.open(tmp_path_factory.mktemp("pg") / "library")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos, imported; one file of the folder is broken, one is another's copy."""
    folder = draw_collection(tmp_path_factory.mktemp("photos") / "p", 2)
    (folder / "broken.jpg").write_bytes(b"no photo")
    shutil.copyfile(folder / "disc" / "000.jpg", folder / "disc" / "copy.jpg")
    run = import_folder(library, folder)
    assert run.error is None
    assert run.counts == {"added": 6, "duplicate": 1, "failed": 1}
    return folder


def test_a_writer_does_not_wait_for_another_for_ever(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    with library.database.write_transaction():
        with (
            pytest.raises(LibraryError, match="lock timeout"),
            library.database.write_transaction(),
        ):
            pass
        library.database.check_readable()
    library.database.check_writable()


def test_what_a_url_says_of_connecting_counts(url: str) -> None:
    opened = Database.open(f"{url}&connect_timeout=7&application_name=ours")
    with opened.read_transaction() as connection:
        told = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    opened.close()
    assert (told["connect_timeout"], told["application_name"]) == ("7", "ours")
    assert told["tcp_user_timeout"] == "30000"


def test_photos_are_imported_each_once(library: Library, folder: Path) -> None:
    assert library.url.startswith("postgresql")
    assert import_folder(library, folder).counts == {"duplicate": 7, "failed": 1}
    assert library.count() == library.count("folder:/p/ name:*.jpg") == 6
    statistics = library.statistics()
    assert (statistics.photos, sum(count for _, count in statistics.added)) == (6, 6)
    photo = library.search(sort="name", limit=1).photos[0]
    assert library.read_original(photo) == photo.path.read_bytes()
    assert len(library.find_similar_to(photo, 3)) == 3


def test_a_job_in_a_process_of_its_own_finds_the_same_database(
    library: Library, folder: Path
) -> None:
    run_id = submit(library, ImportFolderRequest(str(folder), model="pets"))
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    command = [sys.executable, "-m", "tagger.jobs.worker", str(run_id)]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    assert library.operation(run_id).counts == {"duplicate": 7, "failed": 1}


def test_edits_are_searched_counted_undone_and_done_again(library: Library, folder: Path) -> None:
    ids = [photo.id for photo in library.photos(sort="oldest")]
    edit = library.edit_tags(ids[:4], add=["Holiday", HOSTILE])
    remove = library.edit_tags(ids[:1], remove=["holiday"])
    assert library.label_counts() == [(HOSTILE, 4), ("Holiday", 3)]
    assert library.label_counts("holiday") == [(HOSTILE, 3), ("Holiday", 3)]
    assert library.count("holi* by:person -unknown") == 3
    assert library.count(f'"{HOSTILE}" NOT holiday') == 1
    assert library.count(f"run:{remove}") == 1
    assert [one.similar_tag for one in library.suggest_tags("holidya")] == ["Holiday"]
    deleted = library.delete(ids[2:])
    assert library.count("holiday") == 1
    back = library.undo(deleted)
    assert (back.changed, library.count("holiday")) == (4, 3)
    library.undo(remove)
    assert library.undo(edit).changed == 4
    assert library.label_counts() == []
    library.undo(library.operation(edit).undone_by or 0)
    assert library.label_counts() == [(HOSTILE, 4), ("Holiday", 4)]
    with pytest.raises(OptionError, match="none of that number"):
        library.undo(10**12)


def test_exports_say_what_the_library_knows(library: Library, folder: Path, tmp_path: Path) -> None:
    library.edit_tags([photo.id for photo in library.photos()], add=["=shape"])
    out = io.StringIO(newline="")
    export.write_csv(library.photos('"=shape"', "name"), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert len(rows) == 6
    assert all("'=shape" in row.values() for row in rows)
    lines = io.StringIO()
    export.write_json_lines(library.photos(), lines)
    assert len(lines.getvalue().splitlines()) == 6
    left = export.write_collection(library.photos(), library.read_original, tmp_path / "c")
    assert (left.written, left.skipped) == (6, [])


def test_odd_names_come_back_as_they_were(library: Library, pets: Tagger) -> None:
    data = decode.encode(draw("stripes", 77), "PNG")
    added = library.add_photo("nul\0 \udcff '; DROP.png", data, pets).photo
    assert library.photo(added.id).name == "nul \\udcff '; DROP.png"
    assert library.find_by_digest(added.sha256) == added
    library.delete([added.id])
    assert library.purge() == 1
    assert library.find_by_digest(added.sha256) is None


def test_writers_take_turns(library: Library, folder: Path) -> None:
    ids = [photo.id for photo in library.photos()]
    failed: list[Exception] = []

    def edit(number: int) -> None:
        try:
            library.edit_tags(ids, add=[f"writer {number}"])
        except Exception as error:  # noqa: BLE001 - told below, on the thread that can fail
            failed.append(error)

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert library.count('"writer 0" "writer 7"') == len(ids)
    assert dict(library.label_counts())["writer 3"] == len(ids)


def test_what_the_service_answered_is_written_down_and_adds_up(
    library: Library, pets: Tagger
) -> None:
    journal = PredictionLog(library.database)
    known, unknown = (
        Prediction(label, 0.5, label is None, None, 0.1, (), ()) for label in ("cat", None)
    )
    old = datetime.now(UTC) - DAY - timedelta(hours=1)
    entries = [Entry(said, pets, "ab" * 32, 0.02) for said in (known, known, unknown)]
    entries.append(Entry(known, pets, "ab" * 32, 0.02, answered_at=old))
    assert journal.write(entries).result(60) == 4
    tally = journal.stats()
    assert (tally.answers, tally.unknown, tally.labels) == (4, 1, {"cat": 3})
    assert sum(hour.answers for hour in tally.hours) == 3
    assert {hour.hour for hour in tally.hours} <= {
        f"{entry.answered_at:%Y-%m-%dT%H}:00Z" for entry in entries
    }
    journal.close()


def test_a_server_that_is_not_there_is_a_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be opened as a library"):
        Library.open(tmp_path / "library", url.replace("/tagger-pg-", "/no-such-"))

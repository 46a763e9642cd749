"""The library on PostgreSQL, with a private server for the tests."""

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
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    Table,
    create_engine,
    insert,
    inspect,
    select,
    text,
)

from tagger.errors import LibraryError, OptionError
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import (
    ImportFolderRequest,
    submit,
    submit_changes,
    submit_embedding,
)
from tagger.library import export
from tagger.library.database import database, schema
from tagger.library.database.database import Database, sqlite_url
from tagger.library.duplicates.choices import Choice
from tagger.library.library import Library
from tagger.paths import ROOT
from tagger.service.prediction_log import DAY, Entry, PredictionLog
from tagger.tagger import Prediction, Tagger
from tests.conftest import (
    PETS_MODEL,
    draw,
    draw_collection,
    draw_png,
    import_folder,
    use_default_model,
)
from tests.library.histories import find_stale_after
from tests.library.near_copies import mark_as_copies
from tests.library.predictions import predict

UNPRIVILEGED = "postgres"  # Debian's user for it: the server refuses to run as root
HOSTILE = "'; DROP TABLE photos;--"


def programs() -> Path:
    """The folder with the programs of the newest installed server."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not installed and on_path is None:
        pytest.skip("needs a PostgreSQL server: apt-get install postgresql")
    return (installed[-1] if installed else Path(str(on_path))).parent


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A private server that listens only on a socket in its folder."""
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
    """A library with the server as `TAGGER_DATABASE`, shared by the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGGER_DATABASE", url)
        use_default_model(patch, PETS_MODEL)  # as the other tests of the library do
        opened = Library.open(tmp_path_factory.mktemp("pg") / "library")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported folder of six photos, a copy of one of them and a broken file."""
    folder = draw_collection(tmp_path_factory.mktemp("photos") / "p", 2)
    (folder / "broken.jpg").write_bytes(b"no photo")
    shutil.copyfile(folder / "disc" / "000.jpg", folder / "disc" / "copy.jpg")
    run = import_folder(library, folder)
    assert run.error is None
    assert run.counts == {"added": 6, "duplicate": 1, "failed": 1}
    return folder


def test_a_writer_waits_for_another_for_a_limited_time(
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


def test_connection_options_of_the_url_override_the_defaults(url: str) -> None:
    opened = Database.open(f"{url}&connect_timeout=7&application_name=ours")
    with opened.read_transaction() as connection:
        parameters = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    opened.close()
    assert (parameters["connect_timeout"], parameters["application_name"]) == ("7", "ours")
    assert parameters["tcp_user_timeout"] == "30000"


def test_photos_are_imported_once(library: Library, folder: Path) -> None:
    assert library.url.startswith("postgresql")
    assert import_folder(library, folder).counts == {"duplicate": 7, "failed": 1}
    assert library.count() == library.count("folder:/p/ name:*.jpg") == 6
    statistics = library.statistics()
    assert (statistics.photos, sum(count for _, count in statistics.added)) == (6, 6)
    photo = library.search(sort="name", limit=1).photos[0]
    assert library.read_original(photo) == photo.path.read_bytes()
    assert len(library.find_similar_to(photo, 3)) == 3


def test_descriptions_are_answered(library: Library, folder: Path, worded: Path) -> None:
    library.use_model(str(worded))
    job_id = submit_embedding(library)
    assert job_id is not None
    worker.run(library, job_id)
    assert library.operation(job_id).result == {"photos": 6, "unreadable": 0}
    everything, balls = set(library.find_ids()), library.find_ids("like:ball")
    page = library.search("like:ball")
    assert sorted(photo.id for photo in page.photos) == balls and 0 < len(balls) < 6
    assert page.description is not None and page.description.not_compared == 0
    assert set(library.find_ids("-like:ball")) == everything - set(balls)
    assert library.count("like:ball OR like:box OR like:zebra") == 6
    assert library.count("like:ball name:*.jpg") == len(balls)
    library.delete(balls[:1])
    assert library.find_ids("like:ball") == balls[1:]
    library.undo(library.operations()[0].id)
    library.use_model("pets")


def test_only_photos_with_a_tag_are_derived_again(library: Library, folder: Path) -> None:
    ids = library.find_ids()
    operation_id = predict(
        library, "streets", {ids[0]: {"Straße": 0.9}, ids[1]: {"STRASSE": 0.9}, ids[2]: {"a": 0.9}}
    )
    assert find_stale_after(library, "strasse", {"hidden": True}) == ids[:2]
    library.undo(operation_id)


def test_a_job_uses_the_same_database(library: Library, folder: Path) -> None:
    run_id = submit(library, ImportFolderRequest(str(folder), model="pets"))
    environment = {"TAGGER_HOME": str(library.home), "TAGGER_DATABASE": library.url}
    command = [sys.executable, "-m", "tagger.jobs.worker", str(run_id)]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    assert library.operation(run_id).counts == {"duplicate": 7, "failed": 1}


def test_edits_can_be_searched_undone_and_redone(library: Library, folder: Path) -> None:
    ids = [photo.id for photo in library.photos(sort="oldest")]
    edit = library.edit_tags(ids[:4], add=["Holiday", HOSTILE])
    remove = library.edit_tags(ids[:1], remove=["holiday"])
    assert library.label_counts() == [(HOSTILE, 4), ("Holiday", 3)]
    assert library.label_counts("holiday") == [(HOSTILE, 3), ("Holiday", 3)]
    assert library.count("holi* by:person -unknown") == 3
    assert library.count(f'"{HOSTILE}" NOT holiday') == 1
    assert library.count(f"run:{remove}") == 1
    assert [s.similar_tag for s in library.suggest_tags("holidya")] == ["Holiday"]
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


def test_words_find_synonyms_and_kinds(library: Library, folder: Path) -> None:
    ids = [photo.id for photo in library.photos(sort="oldest")]
    edits = [
        library.edit_tags(ids[:2], add=["golden_retriever"]),
        library.edit_tags(ids[1:3], add=["Kid"]),
    ]
    assert (library.count("animal"), library.count("people")) == (2, 2)
    assert library.count("-animal -people") == len(ids) - 3
    assert library.count("(animal OR food OR people OR vehicles) score>=0.5") == 3
    assert [word.tags for word in library.explain("dogs child")] == [
        ("golden_retriever",),
        ("Kid",),
    ]
    assert [s.similar_tag for s in library.suggest_tags("animla")] == ["animal"]
    for edit in edits:
        library.undo(edit)


def test_exports_have_every_photo(library: Library, folder: Path, tmp_path: Path) -> None:
    library.edit_tags([photo.id for photo in library.photos()], add=["=shape"])
    out = io.StringIO(newline="")
    export.write_csv(library.photos('"=shape"', "name"), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert len(rows) == 6
    assert all("'=shape" in row.values() for row in rows)
    lines = io.StringIO()
    export.write_json_lines(library.photos(), lines)
    assert len(lines.getvalue().splitlines()) == 6
    summary = export.write_collection(library.photos(), library.read_original, tmp_path / "c")
    assert (summary.written, summary.skipped) == (6, [])


def test_ratings_captions_entries_and_tags_are_edited_undone_and_redone(
    library: Library, folder: Path
) -> None:
    first, second, *_ = ids = [photo.id for photo in library.photos(sort="oldest")]
    predict(library, "cifar10", {each: {"dog": 0.9, "Straße": 0.6} for each in ids})
    edits = [
        library.rate(ids[:2], 5),
        library.set_caption(first, "Straße im Regen"),
        library.save_entry("folder", "/photos/\udcff", {}, "Watched a folder"),
        library.tags.rename("dog", "Bello"),
        library.tags.forbid("straße"),
        library.tags.hide("bello"),
    ]
    assert library.find_ids("favourite caption:STRASSE") == [first]
    assert [p.id for p in library.photos(sort="rating")][:2] == [second, first]
    assert library.entries("folder") == {"/photos/\udcff": {}}
    assert library.count("bello") == library.count("tag==dog") == 6
    assert library.count("model:cifar10") == 6 and library.count("strasse") == 0
    assert {each.name: each.count for each in library.tags.list_all()}["Bello"] == 6
    assert library.tags.find_covers(["Bello"])["Bello"].id in ids
    assert "Bello" not in [tag.label for tag in library.photo(first).tags]
    off = library.turn_off_model("cifar10")
    assert off is not None and library.count("bello") == 0
    assert library.models_in_use() == ["pets"] and library.model_uses()["cifar10"].off
    undone = [library.undo(edit).operation_id for edit in (off, *reversed(edits))]
    assert library.count("dog strasse") == 6 and library.count("favourite OR caption:*") == 0
    for operation in reversed(undone):
        library.undo(operation)
    assert library.count("bello") == 0 and library.find_ids("favourite") == sorted([first, second])
    for edit in (off, *reversed(edits)):
        library.undo(edit)
    library.undo(next(o.id for o in library.operations() if o.title == "Tagged by cifar10"))
    assert "dog" not in dict(library.label_counts())


def test_a_tag_is_taught_checked_and_switched_off(
    library: Library, folder: Path, worded: Path
) -> None:
    library.use_model(str(worded))
    if (job_id := submit_embedding(library)) is not None:
        worker.run(library, job_id)
    ids = [photo.id for photo in library.photos(sort="oldest")][:6]
    before = library.label_counts()
    answer = library.teaching.answer("round thing", ids[:5], ids[5:])
    taught = [(each.tag, each.examples, each.is_on) for each in library.teaching.list_taught()]
    assert ("round thing", 5, True) in taught
    assert library.teaching.find_more("round thing", 5, above_threshold=False).total == 0
    head = predict(library, "round thing", {ids[5]: {"round thing": 0.8}}, "head")
    assert library.count('"round thing"') == 5, "a person said no"
    assert not set(ids) & set(library.teaching.review_queue(9, skipped=True))
    question = library.teaching.load_question(ids[0])
    assert question is not None and "round thing" in question.scores
    with pytest.raises(OptionError, match="no other photo looks like"):
        library.teaching.tag_library("round thing")
    off = library.teaching.switch("round thing", False)
    active = [each.key for each in library.teaching.learn_active()]
    assert "round thing" not in active and library.undo(off).entries == 1
    assert [each.key for each in library.teaching.learn_active()] == [*active, "round thing"]
    for operation in (head, answer):
        library.undo(operation)
    assert library.label_counts() == before and library.teaching.answers("round thing").yes == ()
    library.use_model("pets")


def test_copies_are_chosen_and_a_folder_is_watched(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    first, second, *_ = [photo.id for photo in library.photos(sort="oldest")]
    answered = library.edit_tags([first, second], ["a copy's"])
    mark_as_copies(library, [first, second])
    (group,) = library.duplicates.list_groups().groups
    kept, removed = group.ids
    count = library.count()
    choice = library.duplicates.choose([Choice((kept,), (removed,))])
    assert library.count() == count - 1 and library.duplicates.list_groups().groups == ()
    assert library.find_ids('"a copy\'s"') == [kept]
    library.undo(choice)
    different = library.duplicates.choose([Choice((first, second))])
    assert library.count() == count and library.duplicates.list_groups().groups == ()
    library.undo(different)
    assert len(library.duplicates.list_groups().groups) == 1

    watched = tmp_path.resolve() / "wat%ched_"
    watched.mkdir()
    for seed in (90, 91):
        (watched / f"{seed}.png").write_bytes(draw_png(seed))
    add = library.folders.add(str(watched))
    (changes,) = library.folders.find_changes()
    imported = submit_changes(library, changes)
    worker.run(library, imported)
    assert library.operation(imported).counts == {"added": 2}
    (watched / "90.png").rename(watched / "moved.png")
    (watched / "91.png").unlink()
    (changes,) = library.folders.find_changes()
    assert changes.describe() == "1 moved, 1 missing"
    moved = submit_changes(library, changes, remove_missing=True)
    worker.run(library, moved)
    assert library.operation(moved).counts == {"moved": 1, "removed": 1}
    for operation in (moved, imported, add, answered):
        library.undo(operation)
    assert library.count() == count and library.folders.list_all() == []
    assert library.trash.empty() == 2


def test_a_library_of_an_earlier_version_is_migrated(
    url: str, tmp_path: Path, pets: Tagger
) -> None:
    """Of revision 0005, which had one model and no entries."""
    scripts = shutil.copytree(
        database.MIGRATIONS, tmp_path / "scripts", ignore=shutil.ignore_patterns("0006*")
    )
    current = Library.open(tmp_path / "current", sqlite_url(tmp_path / "current.db"))
    ids = [current.add_photo(f"{n}.png", draw_png(n), pets).photo.id for n in range(3)]
    current.edit_tags(ids[:2], add=["Straße"])
    current.delete(ids[2:])
    before = list(current.photos()), current.label_counts(), current.operations()
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE earlier"))
    engine.dispose()
    earlier_url = url.replace("/postgres?", "/earlier?")
    earlier = Database.open(earlier_url, scripts, "0005")
    with current.database.read_transaction() as rows, earlier.write_transaction() as connection:
        copy_rows(rows, connection)
        row = {"name": "active_model", "value": "cifar10"}
        connection.execute(insert(schema.settings).values(row))
    earlier.close()
    current.close()

    opened = Library(current.home, earlier_url, Database.open(earlier_url))
    with opened.database.read_transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    assert (list(opened.photos()), opened.label_counts(), opened.operations()) == before
    assert opened.models_in_use() == ["cifar10"] and opened.count("model:pets") == 2
    timeline = opened.list_photos()
    dates = [photo.dated_at for photo in opened.photos(sort="timeline")]
    assert list(timeline.ids) == [ids[1], ids[0]]
    assert [month for month, count in timeline.months for _ in range(count)] == [
        f"{date:%Y-%m}" for date in dates
    ]
    assert opened.undo(opened.operations()[0].id).changed == 1 and opened.count() == 3
    opened.rate(ids, 5)
    opened.undo(opened.use_model("pets") or 0)
    assert opened.models_in_use() == ["cifar10"] and opened.count("favourite") == 3
    opened.close()


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy a library's rows to an empty one of an earlier schema, without newer columns."""
    target.execute(text("SET session_replication_role = replica"))  # rows refer to later ones
    existing = inspect(target).get_table_names()
    for table in schema.metadata.sorted_tables:
        if table.name not in existing:
            continue
        columns = {column["name"] for column in inspect(target).get_columns(table.name)}
        shared = [Column(each.name, each.type) for each in table.c if each.name in columns]
        earlier = Table(table.name, MetaData(), *shared)
        rows = [dict(row._mapping) for row in source.execute(select(earlier))]
        if rows:
            target.execute(insert(earlier), rows)
        if rows and isinstance(rows[0].get("id"), int):
            sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
            target.execute(text(f"SELECT setval({sequence}, max(id)) FROM {table.name}"))
    target.execute(text("SET session_replication_role = DEFAULT"))


def test_undecodable_names_can_be_stored(library: Library, pets: Tagger) -> None:
    data = decode.encode(draw("stripes", 77), "PNG")
    added = library.add_photo("nul\0 \udcff '; DROP.png", data, pets).photo
    assert library.photo(added.id).name == "nul \\udcff '; DROP.png"
    assert library.find_by_digest(added.sha256) == added
    library.delete([added.id])
    assert library.trash.empty() == 1
    assert library.find_by_digest(added.sha256) is None


def test_writers_wait_for_each_other(library: Library, folder: Path) -> None:
    ids = [photo.id for photo in library.photos()]
    failed: list[Exception] = []

    def edit(number: int) -> None:
        try:
            library.edit_tags(ids, add=[f"writer {number}"])
        except Exception as error:  # noqa: BLE001 - checked below, on the main thread
            failed.append(error)

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert library.count('"writer 0" "writer 7"') == len(ids)
    assert dict(library.label_counts())["writer 3"] == len(ids)


def test_the_prediction_log_counts_its_entries(library: Library, pets: Tagger) -> None:
    log = PredictionLog(library.database)
    labelled, unknown = (
        Prediction(label, 0.5, label is None, None, 0.1, (), ()) for label in ("cat", None)
    )
    old = datetime.now(UTC) - DAY - timedelta(hours=1)
    entries = [
        Entry(prediction, pets, "ab" * 32, 0.02) for prediction in (labelled, labelled, unknown)
    ]
    entries.append(Entry(labelled, pets, "ab" * 32, 0.02, answered_at=old))
    assert log.write(entries).result(60).size == 4
    stats = log.stats()
    assert (stats.answers, stats.unknown, stats.labels) == (4, 1, {"cat": 3})
    assert sum(hour.answers for hour in stats.hours) == 3
    assert {hour.hour for hour in stats.hours} <= {
        f"{entry.answered_at:%Y-%m-%dT%H}:00Z" for entry in entries
    }
    log.close()


def test_a_missing_server_is_an_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be opened as a library"):
        Library.open(tmp_path / "library", url.replace("/tagger-pg-", "/no-such-"))

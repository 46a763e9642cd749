"""The database: created, migrated with its data, refused if newer, written by one at a time."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, select, update

from tagger.errors import LibraryError
from tagger.images import decode
from tagger.library import operations, tags
from tagger.library.database import database as database_module
from tagger.library.database.database import Database, sqlite_url
from tagger.library.database.schema import labels, metadata, models, predictions, runs
from tagger.library.derivation import refresh
from tagger.library.importer import register_model
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw
from tests.library.predictions import add_photos, predict

LATER = '''"""A later schema."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("labels", sa.Column("colour", sa.Text(), server_default="grey"))
    with op.batch_alter_table("runs") as runs:  # SQLite drops and creates the table
        runs.alter_column("title", nullable=True)
    with op.batch_alter_table("photos") as photos:
        photos.alter_column("width", nullable=True)
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database.open(sqlite_url(path))
    yield opened
    opened.close()


def name_label(database: Database, name: str) -> None:
    with database.write_transaction() as connection:
        connection.execute(insert(labels).values(name=name, folded=name.casefold()))


def label_names(database: Database) -> list[str]:
    with database.read_transaction() as connection:
        return list(connection.scalars(select(labels.c.name).order_by(labels.c.id)))


def test_the_migrations_create_the_schema(database: Database, path: Path) -> None:
    engine = create_engine(sqlite_url(path))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_revision_is_the_one_expected() -> None:
    scripts = ScriptDirectory(str(database_module.MIGRATIONS))
    assert scripts.get_heads() == [database_module.REVISION]


def test_reopening_keeps_the_data(database: Database, path: Path) -> None:
    name_label(database, "Straße")
    database.close()
    again = Database.open(sqlite_url(path))
    assert label_names(again) == ["Straße"]
    again.close()


def test_a_migration_keeps_the_data_and_a_backup(
    database: Database, path: Path, tmp_path: Path, pets: Tagger
) -> None:
    library = Library(path.parent, sqlite_url(path), database)
    added = library.add_photo("one.png", decode.encode(draw("disc", 1), "PNG"), pets).photo
    library.edit_tags([added.id], add=["cat"])
    before = library.photo(added.id), library.annotations(added.id), library.prediction(added.id)
    database.close()
    scripts = shutil.copytree(database_module.MIGRATIONS, tmp_path / "later")
    (scripts / "versions" / "0007_later.py").write_text(LATER)
    later = Database.open(sqlite_url(path), scripts, "0007")
    with later.read_transaction() as connection:
        rows = connection.exec_driver_sql("SELECT name, colour FROM labels").fetchall()
    assert [tuple(row) for row in rows] == [("cat", "grey")]
    library = Library(path.parent, sqlite_url(path), later)
    after = library.photo(added.id), library.annotations(added.id), library.prediction(added.id)
    assert after == before
    assert library.undo(library.operations()[0].id).changed == 1
    later.close()
    with closing(sqlite3.connect(f"{path}.0006.bak")) as copy:
        assert copy.execute("SELECT name FROM labels").fetchall() == [("cat",)]
    with pytest.raises(LibraryError, match=r"newer version.*0007.*update"):
        Database.open(sqlite_url(path))


def copy_to_schema(revision: str, path: Path, old: Path, scripts: Path) -> None:
    """Copy a library's rows to a new database of an earlier schema."""
    later = f"000[{int(revision) + 1}-9]*"
    shutil.copytree(database_module.MIGRATIONS, scripts, ignore=shutil.ignore_patterns(later))
    Database.open(sqlite_url(old), scripts, revision).close()
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("ATTACH ? AS new", [str(path)])
        for table in metadata.sorted_tables:
            rows = connection.execute(f"PRAGMA main.table_info({table})")
            if named := ", ".join(f'"{row[1]}"' for row in rows):
                connection.execute(f"INSERT INTO {table} ({named}) SELECT {named} FROM new.{table}")


def copy_to_first_schema(path: Path, old: Path, scripts: Path) -> None:
    """Copy a library's rows to a new database of the first schema."""
    copy_to_schema("0001", path, old, scripts)
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("ATTACH ? AS new", [str(path)])
        connection.execute(
            "INSERT INTO embeddings SELECT m.id, v.photo_id, v.vector FROM new.vectors v"
            " JOIN new.spaces s ON s.id = v.space_id JOIN new.models m ON m.sha256 = s.sha256"
        )


def test_a_library_of_the_first_schema_is_migrated_with_its_data(
    database: Database, path: Path, tmp_path: Path, pets: Tagger
) -> None:
    library = Library(path.parent, sqlite_url(path), database)
    added = [
        library.add_photo(f"{seed}.png", decode.encode(draw("disc", seed), "PNG"), pets).photo.id
        for seed in range(4)
    ]
    library.edit_tags(added[:2], add=["sea"])
    prediction = {"label": "dog", "confidence": 0.7, "tags": [["dog", 0.7, 0.5]], "scores": []}
    prediction |= {"reason": None, "ood_score": None}
    with library.database.write_transaction() as connection:
        operation_id = operations.create(connection, "retag", "again")
        model_id = register_model(connection, pets)
        tags.save_predictions(connection, operation_id, model_id, [(added[2], prediction)])
    library.delete(added[3:])
    before = list(library.photos()), library.operations(), library.label_counts()
    similar = library.find_similar_to(before[0][0])
    assert len(similar) == 2
    database.close()
    old = tmp_path / "old.db"
    copy_to_first_schema(path, old, tmp_path / "scripts")

    opened = Library(path.parent, sqlite_url(old), Database.open(sqlite_url(old)))
    assert (list(opened.photos()), opened.operations(), opened.label_counts()) == before
    assert opened.find_similar_to(before[0][0]) == similar
    assert {p.id for p in opened.search("score>=0.8").photos} == set(added[:2])
    assert {p.id for p in opened.search("score<0.8").photos} == {added[2]}
    assert opened.undo(opened.operations()[0].id).changed == 1
    assert opened.count() == 4
    opened.close()
    with closing(sqlite3.connect(f"{old}.0001.bak")) as copy:
        assert copy.execute("SELECT count(*) FROM photos").fetchone() == (4,)


def test_a_library_of_a_single_model_is_migrated_with_its_history(
    database: Database, path: Path, tmp_path: Path
) -> None:
    """Tagging again with another model replaced the tags of the one before: that can be undone."""
    library = Library(path.parent, sqlite_url(path), database)
    ids = add_photos(library, 3)
    predict(library, "pets", {each: {"dog": 0.9} for each in ids})
    library.edit_tags(ids[:1], add=["sea"], remove=["dog"])
    with database.read_transaction() as connection:
        (pets_id,) = connection.scalars(select(models.c.id).where(models.c.name == "pets")).all()[
            1:
        ]
    again = predict(library, "cifar10", {ids[1]: {"ship": 0.8}})
    with database.write_transaction() as connection:
        is_old = predictions.c.photo_id == ids[1], predictions.c.model_id == pets_id
        connection.execute(update(predictions).where(*is_old).values(ended_by=again))
        refresh(connection, ids)
    library.delete(ids[2:])
    before = list(library.photos()), library.operations(), library.label_counts()
    assert before[2] == [("sea", 1), ("ship", 1)]
    database.close()
    old = tmp_path / "old.db"
    copy_to_schema("0005", path, old, tmp_path / "scripts")
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("""INSERT INTO settings VALUES ('active_model', '"cifar10"')""")

    opened = Library(path.parent, sqlite_url(old), Database.open(sqlite_url(old)))
    assert (list(opened.photos()), opened.operations(), opened.label_counts()) == before
    assert opened.models_in_use() == ["cifar10"]
    assert opened.find_ids("model:cifar10") == [ids[1]]
    assert [p.id for p in opened.photos(sort="timeline")] == [ids[1], ids[0]]
    opened.undo(opened.operations()[0].id)
    undone = opened.undo(again)
    assert opened.label_counts() == [("dog", 2), ("sea", 1)]
    opened.undo(undone.operation_id)
    assert opened.label_counts() == [("dog", 1), ("sea", 1), ("ship", 1)]
    opened.rate(ids, 4)
    with opened.database.read_transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").first() is None
    opened.close()


def test_several_threads_may_create_a_database_at_once(path: Path) -> None:
    opened: list[Database] = []
    failed: list[Exception] = []

    def open_database() -> None:
        try:
            opened.append(Database.open(sqlite_url(path)))
        except Exception as error:  # noqa: BLE001 - checked below, on the main thread
            failed.append(error)

    threads = [threading.Thread(target=open_database) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(opened) == 6
    for database in opened:
        database.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is no database at all, however long it may be", "cannot be opened as a library"),
        (None, "another program"),
    ],
)
def test_a_file_that_is_not_a_library_is_refused(
    path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        path.write_bytes(content)
    else:
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(LibraryError, match=message):
        Database.open(sqlite_url(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("url", ["nonsense", "nosuch://here/there", ""])
def test_a_bad_url_is_an_error(url: str) -> None:
    with pytest.raises(LibraryError, match="not a database"):
        Database.open(url)


@pytest.mark.parametrize(
    "url",
    [
        "nosuch://me:{}@here/there",
        "nosuch://me@corp:{}@here/there",
        "nosuch://here/there?user=me&password={}",
        "postgresql+nosuch://me:{}@here:1/x",
        "postgresql://:{}@x:y",
        "postgresql://me:{}",
        "postgresql+psycopg://me@localhost:1/x?password={}",
    ],
)
@pytest.mark.parametrize("password", ["s3cr", "s3cr@:s3cr"])
def test_an_error_never_contains_the_password(url: str, password: str, tmp_path: Path) -> None:
    for opened in (Database.open, lambda url: Library.open(tmp_path, url)):
        with pytest.raises(LibraryError) as caught:
            opened(url.format(password))
        assert "s3cr" not in str(caught.value)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be opened"):
        Database.open(sqlite_url(tmp_path / "nowhere" / "catalogue.db"))


def test_a_failed_transaction_is_rolled_back(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write_transaction() as connection:
        connection.execute(insert(labels).values(name="cat", folded="cat"))
        raise RuntimeError
    assert label_names(database) == []


def test_writers_wait_for_each_other(database: Database) -> None:
    now = datetime.now(UTC)
    with database.write_transaction() as connection:
        connection.execute(
            insert(runs).values(
                id=1, kind="edit", title="", status="done", options={}, created_at=now
            )
        )

    def count_up() -> None:
        for _ in range(25):
            with database.write_transaction() as connection:
                done = connection.scalar(select(runs.c.done))
                connection.execute(update(runs).values(done=done + 1))

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read_transaction() as connection:
        assert connection.scalar(select(runs.c.done)) == 200


def test_a_reader_sees_one_snapshot(database: Database) -> None:
    with database.read_transaction() as connection:
        assert connection.scalars(select(labels.c.name)).all() == []
        name_label(database, "late")
        assert connection.scalars(select(labels.c.name)).all() == []
    assert label_names(database) == ["late"]


def test_times_are_stored_in_utc(database: Database) -> None:
    now = datetime.now(UTC)
    with database.write_transaction() as connection:
        row = {"kind": "edit", "title": "", "status": "done", "options": {}, "created_at": now}
        connection.execute(insert(runs).values(row))
        assert connection.scalar(select(runs.c.created_at)) == now


def test_a_damaged_database_is_an_error(database: Database, path: Path) -> None:
    name_label(database, "cat")
    database.close()
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    again = Database.open(sqlite_url(path))
    path.write_bytes(bytes(damaged))
    with pytest.raises(LibraryError, match="cannot be used now"):
        label_names(again)
    again.close()


def test_a_small_cache_is_of_the_same_database(
    database: Database,
) -> None:
    small = database.with_small_cache()
    name_label(small, "dog")
    assert label_names(database) == ["dog"]
    cache_kib = {}
    for opened in (database, small):
        with opened.read_transaction() as connection:
            cache_kib[opened] = -connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    assert cache_kib[small] * 10 < cache_kib[database]
    small.close()
    assert label_names(database) == ["dog"]

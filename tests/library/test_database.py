"""The catalogue: made, brought up to date with its data, refused when newer, written in turns."""

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
from tagger.library.database import database as module
from tagger.library.database.database import Database, sqlite_url
from tagger.library.database.schema import labels, metadata, runs
from tagger.library.importer import register_model
from tagger.library.library import Library
from tagger.tagger import Tagger
from tests.conftest import draw

LATER = '''"""A later schema."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("labels", sa.Column("colour", sa.Text(), server_default="grey"))
    with op.batch_alter_table("runs") as runs:  # which SQLite does by dropping the table
        runs.alter_column("title", nullable=True)
    with op.batch_alter_table("photos") as photos:
        photos.alter_column("width", nullable=True)
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.db"


@pytest.fixture
def catalogue(place: Path) -> Iterator[Database]:
    opened = Database.open(sqlite_url(place))
    yield opened
    opened.close()


def name_label(catalogue: Database, name: str) -> None:
    with catalogue.write_transaction() as connection:
        connection.execute(insert(labels).values(name=name, folded=name.casefold()))


def label_names(catalogue: Database) -> list[str]:
    with catalogue.read_transaction() as connection:
        return list(connection.scalars(select(labels.c.name).order_by(labels.c.id)))


def test_the_migrations_make_the_schema(catalogue: Database, place: Path) -> None:
    engine = create_engine(sqlite_url(place))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_revision_is_the_one_expected() -> None:
    scripts = ScriptDirectory(str(module.MIGRATIONS))
    assert scripts.get_heads() == [module.REVISION]


def test_opening_again_keeps_what_is_there(catalogue: Database, place: Path) -> None:
    name_label(catalogue, "Straße")
    catalogue.close()
    again = Database.open(sqlite_url(place))
    assert label_names(again) == ["Straße"]
    again.close()


def test_a_later_schema_keeps_the_data_and_a_copy(
    catalogue: Database, place: Path, tmp_path: Path, pets: Tagger
) -> None:
    library = Library(place.parent, sqlite_url(place), catalogue)
    added = library.add_photo("one.png", decode.encode(draw("disc", 1), "PNG"), pets).photo
    library.edit_tags([added.id], add=["cat"])
    before = library.photo(added.id), library.annotations(added.id), library.prediction(added.id)
    catalogue.close()
    scripts = shutil.copytree(module.MIGRATIONS, tmp_path / "later")
    (scripts / "versions" / "0004_later.py").write_text(LATER)
    later = Database.open(sqlite_url(place), scripts, "0004")
    with later.read_transaction() as connection:
        rows = connection.exec_driver_sql("SELECT name, colour FROM labels").fetchall()
    assert [tuple(row) for row in rows] == [("cat", "grey")]
    library = Library(place.parent, sqlite_url(place), later)
    after = library.photo(added.id), library.annotations(added.id), library.prediction(added.id)
    assert after == before
    assert library.undo(library.operations()[0].id).changed == 1
    later.close()
    with closing(sqlite3.connect(f"{place}.0003.bak")) as copy:
        assert copy.execute("SELECT name FROM labels").fetchall() == [("cat",)]
    with pytest.raises(LibraryError, match=r"newer version.*0004.*update"):
        Database.open(sqlite_url(place))


def as_first_made(place: Path, old: Path, scripts: Path) -> None:
    """What is in a library, in another one of the first schema."""
    shutil.copytree(module.MIGRATIONS, scripts, ignore=shutil.ignore_patterns("000[2-9]*"))
    Database.open(sqlite_url(old), scripts, "0001").close()
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("ATTACH ? AS new", [str(place)])
        for table in metadata.sorted_tables:
            columns = [f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({table})")]
            named = ", ".join(columns)
            connection.execute(f"INSERT INTO {table} ({named}) SELECT {named} FROM new.{table}")


def test_a_library_of_the_first_schema_goes_on_with_all_it_had(
    catalogue: Database, place: Path, tmp_path: Path, pets: Tagger
) -> None:
    library = Library(place.parent, sqlite_url(place), catalogue)
    added = [
        library.add_photo(f"{seed}.png", decode.encode(draw("disc", seed), "PNG"), pets).photo.id
        for seed in range(4)
    ]
    library.edit_tags(added[:2], add=["sea"])
    answer = {"label": "dog", "confidence": 0.7, "tags": [["dog", 0.7, 0.5]], "scores": []}
    with library.database.write_transaction() as connection:
        run = operations.create(connection, "retag", "again")
        said = {**answer, "reason": None, "ood_score": None}
        tags.save_predictions(connection, run, register_model(connection, pets), [(added[2], said)])
    library.delete(added[3:])
    before = list(library.photos()), library.operations(), library.label_counts()
    catalogue.close()
    old = tmp_path / "old.db"
    as_first_made(place, old, tmp_path / "scripts")

    opened = Library(place.parent, sqlite_url(old), Database.open(sqlite_url(old)))
    assert (list(opened.photos()), opened.operations(), opened.label_counts()) == before
    assert {p.id for p in opened.search("score>=0.8").photos} == set(added[:2])
    assert {p.id for p in opened.search("score<0.8").photos} == {added[2]}
    assert opened.undo(opened.operations()[0].id).changed == 1
    assert opened.count() == 4
    opened.close()
    with closing(sqlite3.connect(f"{old}.0001.bak")) as copy:
        assert copy.execute("SELECT count(*) FROM photos").fetchone() == (4,)


def test_two_processes_may_open_a_new_one_at_once(place: Path) -> None:
    opened: list[Database] = []
    failed: list[Exception] = []

    def open_it() -> None:
        try:
            opened.append(Database.open(sqlite_url(place)))
        except Exception as error:  # noqa: BLE001 - told below, on the thread that can fail
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(opened) == 6
    for catalogue in opened:
        catalogue.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"this is no database at all, however long it may be", "cannot be opened as a library"),
        (None, "another program"),
    ],
)
def test_what_is_not_a_library_is_refused(place: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        place.write_bytes(content)
    else:
        with closing(sqlite3.connect(place)) as other:
            other.execute("CREATE TABLE songs (title TEXT)")
    before = place.read_bytes()
    with pytest.raises(LibraryError, match=told):
        Database.open(sqlite_url(place))
    assert place.read_bytes() == before


@pytest.mark.parametrize("url", ["nonsense", "nosuch://here/there", ""])
def test_a_bad_url_is_a_sentence(url: str) -> None:
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
def test_a_password_is_not_told(url: str, password: str, tmp_path: Path) -> None:
    for opened in (Database.open, lambda url: Library.open(tmp_path, url)):
        with pytest.raises(LibraryError) as told:
            opened(url.format(password))
        assert "s3cr" not in str(told.value)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="cannot be opened"):
        Database.open(sqlite_url(tmp_path / "nowhere" / "catalogue.db"))


def test_a_failed_transaction_leaves_nothing(catalogue: Database) -> None:
    with pytest.raises(RuntimeError), catalogue.write_transaction() as connection:
        connection.execute(insert(labels).values(name="cat", folded="cat"))
        raise RuntimeError
    assert label_names(catalogue) == []


def test_writers_take_turns_and_lose_nothing(catalogue: Database) -> None:
    now = datetime.now(UTC)
    with catalogue.write_transaction() as connection:
        connection.execute(
            insert(runs).values(
                id=1, kind="edit", title="", status="done", options={}, created_at=now
            )
        )

    def count_up() -> None:
        for _ in range(25):
            with catalogue.write_transaction() as connection:
                done = connection.scalar(select(runs.c.done))
                connection.execute(update(runs).values(done=done + 1))

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalogue.read_transaction() as connection:
        assert connection.scalar(select(runs.c.done)) == 200


def test_a_reader_sees_one_state(catalogue: Database) -> None:
    with catalogue.read_transaction() as connection:
        assert connection.scalars(select(labels.c.name)).all() == []
        name_label(catalogue, "late")
        assert connection.scalars(select(labels.c.name)).all() == []
    assert label_names(catalogue) == ["late"]


def test_moments_come_back_in_utc(catalogue: Database) -> None:
    now = datetime.now(UTC)
    with catalogue.write_transaction() as connection:
        row = {"kind": "edit", "title": "", "status": "done", "options": {}, "created_at": now}
        connection.execute(insert(runs).values(row))
        assert connection.scalar(select(runs.c.created_at)) == now


def test_a_database_that_goes_bad_is_a_sentence(catalogue: Database, place: Path) -> None:
    name_label(catalogue, "cat")
    catalogue.close()
    damaged = bytearray(place.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    again = Database.open(sqlite_url(place))
    place.write_bytes(bytes(damaged))
    with pytest.raises(LibraryError, match="cannot be used now"):
        label_names(again)
    again.close()


def test_another_way_in_sees_and_writes_the_same_and_keeps_little_in_memory(
    catalogue: Database,
) -> None:
    narrow = catalogue.with_small_cache()
    name_label(narrow, "dog")
    assert label_names(catalogue) == ["dog"]
    kept = {}
    for one in (catalogue, narrow):
        with one.read_transaction() as connection:
            kept[one] = -connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    assert kept[narrow] * 10 < kept[catalogue]
    narrow.close()
    assert label_names(catalogue) == ["dog"]

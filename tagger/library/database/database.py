"""The photo library's database: opened by a URL, brought up to date, read and written in turns."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    TimeoutError,
)

from tagger.errors import DatabaseUnavailableError, LibraryError

MIGRATIONS = Path(__file__).with_name("migrations")
REVISION = "0003"  # the newest in `migrations/versions`
BUSY_SECONDS = 30  # how long one writer waits for another
_CACHE_KIB = 65_536  # of SQLite's pages, for each connection: a search reads many of them again
_NARROW_KIB = 2_048  # SQLite's own default
_LOCK = 740_611  # of PostgreSQL's advisory locks, any number of our own

# A server that has gone without a word is given up rather than waited for.
_LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": BUSY_SECONDS,
    "tcp_user_timeout": BUSY_SECONDS * 1000,
}


class Database:
    """One database. Safe to share between threads; other processes may have it open too."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def with_small_cache(self) -> Database:
        """Another way into the same database, that keeps little of it in memory.

        For whoever writes on and on and hardly reads.
        """
        return Database(_engine(self._engine.url, _NARROW_KIB))

    @classmethod
    def open(cls, url: str, scripts: Path = MIGRATIONS, revision: str = REVISION) -> Database:
        """The database at `url` ("sqlite:////home/me/library/catalogue.db"), made if new.

        Its schema is brought up to date, with the data in it. Raises LibraryError for a
        database of a newer version, and for what is none.
        """
        place = _read_url(url)
        shown = place.set(query={}).render_as_string(hide_password=True)
        try:
            engine = _engine(place, _CACHE_KIB)
        except (NoSuchModuleError, ImportError) as error:
            told = f"{shown}: not a database that can be opened ({error})"
            if isinstance(error, ImportError):
                told += '; for PostgreSQL, pip install -e ".[postgresql]"'
            raise LibraryError(told) from None
        try:
            _migrate(engine, shown, scripts, revision)
        except (DatabaseError, OSError) as error:
            engine.dispose()
            cause = getattr(error, "orig", None) or error
            raise LibraryError(f"{shown}: cannot be opened as a library ({cause})") from None
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @contextmanager
    def read_transaction(self) -> Iterator[Connection]:
        """A connection that sees one state throughout, whatever others write meanwhile.

        Raises LibraryError where the database cannot be read.
        """
        with _told(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write_transaction(self) -> Iterator[Connection]:
        """A connection whose changes appear all at once at the end, or, on an error, not at all.

        One writer at a time: others wait, so that what one has read still holds as it writes.
        Raises LibraryError where the database cannot be written.
        """
        with _told(), self._engine.connect() as connection:
            connection = connection.execution_options(tagger_writes=True)
            with connection.begin():
                yield connection

    def check_readable(self) -> None:
        """LibraryError where the database cannot be read: tried."""
        with self.read_transaction() as connection:
            connection.execute(text("SELECT version_num FROM alembic_version"))

    def check_writable(self) -> None:
        """LibraryError where the database cannot be written: tried, and nothing changed by it."""
        with self.write_transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()


def absolute_url(url: str) -> str:
    """The URL with the whole path of its file, if it is of one, wherever it is used from.

    Raises LibraryError for what is no URL.
    """
    place = _read_url(url)
    if place.get_backend_name() != "sqlite" or place.database in (None, "", ":memory:"):
        return url
    whole = place.set(database=str(Path(place.database or "").absolute()))
    return whole.render_as_string(hide_password=False)


def _read_url(url: str) -> URL:
    """LibraryError for what is none, with no more of it than can be no password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: of a port, with a piece of a password in it
        scheme, slashes, _ = url.partition("://")
        raise LibraryError(
            f"{scheme + slashes + '...' if slashes else 'the URL of the library'}: not a database"
            " that can be opened; in a name or a password, write : / @ as %3A %2F %40"
        ) from None


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


@contextmanager
def _told() -> Iterator[None]:
    """What befalls a database (full disk, damage, a lock that never ends), in a sentence."""
    try:
        yield
    except (IntegrityError, ProgrammingError):  # our own mistakes
        raise
    except (DatabaseError, TimeoutError) as error:
        cause = getattr(error, "orig", None) or "too many at once"
        told = f"the library's database cannot be used now ({cause})"
        raise DatabaseUnavailableError(told) from error


def _engine(place: URL, cache_kib: int) -> Engine:
    """Connections, those last used first: the fewest are open, and they know the most pages."""
    options: dict[str, Any] = {"pool_pre_ping": True}
    if sqlite := place.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": BUSY_SECONDS}, "max_overflow": 32}
    elif place.get_driver_name().startswith("psycopg"):
        usual = {name: value for name, value in _LIBPQ.items() if name not in place.query}
        options["connect_args"] = usual
    engine = create_engine(place, pool_size=16, pool_use_lifo=True, **options)
    if sqlite:
        _prepare_sqlite(engine, cache_kib)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_sqlite(engine: Engine, cache_kib: int) -> None:
    """Leave transactions to `_begin`, and set what SQLite keeps for each connection."""

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions of its own
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
            cursor.execute("PRAGMA synchronous = FULL")  # what was reported survives a power cut
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute(f"PRAGMA cache_size = -{cache_kib}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tagger_writes", False)
    if connection.dialect.name == "sqlite":
        # Begun as a reader, a writer could not wait for another: SQLite would refuse it at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _migrate(engine: Engine, shown: str, scripts: Path, newest: str) -> None:
    with engine.connect() as connection, connection.begin():
        current = _revision(connection)
    if current == newest:
        return
    _let_readers_in(engine)
    from alembic import command  # late: it takes a third of a second, once in a version's life
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise LibraryError(
            f"{shown}: made by a newer version of Image Tagger (its schema is {current}, this"
            f" version knows up to {newest}); update Image Tagger, your library is untouched"
        )
    with (
        engine.connect().execution_options(tagger_writes=True) as connection,
        _without_foreign_keys(connection),
        connection.begin(),
    ):
        current = _revision(connection)
        if current == newest:  # another process was quicker
            return
        if current is not None:
            _keep_copy(engine, current)
        config.attributes["connection"] = connection
        command.upgrade(config, newest)
        if engine.dialect.name == "sqlite":
            dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if dangling is not None:
                raise LibraryError(f"{shown}: cannot be brought up to date; it is as it was")


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by dropping and making it again, which would empty those below it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys = OFF")  # inside a transaction it would do nothing
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _let_readers_in(engine: Engine) -> None:
    """Have SQLite write ahead, for good, so that readers need not wait for a writer."""
    if engine.dialect.name != "sqlite":
        return
    until = time.monotonic() + BUSY_SECONDS
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        while True:
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # busy; here SQLite does not wait by itself
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)


def _revision(connection: Connection) -> str | None:
    """Of the schema; None for an empty database. Raises LibraryError for somebody else's."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)
    if tables:
        raise LibraryError("a database of another program; give the library one of its own")
    return None


def _keep_copy(engine: Engine, revision: str) -> None:
    """Before its schema changes, a copy of a SQLite library beside it, for whoever goes back."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    place = Path(engine.url.database)
    kept = place.with_name(f"{place.name}.{revision}.bak")
    temporary = place.with_name(f".{kept.name}.tmp")
    temporary.unlink(missing_ok=True)
    with closing(sqlite3.connect(place)) as source, closing(sqlite3.connect(temporary)) as target:
        source.backup(target)
    os.replace(temporary, kept)

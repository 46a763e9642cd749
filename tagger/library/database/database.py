"""The library's database: opened by URL, migrated to the current schema, read and written."""

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
REVISION = "0006"  # the newest in `migrations/versions`
BUSY_SECONDS = 30  # how long a writer waits for another one
_CACHE_KIB = 65_536  # SQLite's page cache of each connection: searches reuse many pages
_SMALL_CACHE_KIB = 2_048  # SQLite's default
_LOCK = 740_611  # an arbitrary id for our PostgreSQL advisory lock

# Do not wait forever for a server that vanished.
_LIBPQ = {
    "connect_timeout": 10,
    "keepalives_idle": BUSY_SECONDS,
    "tcp_user_timeout": BUSY_SECONDS * 1000,
}


class Database:
    """A database. Safe to share between threads; other processes may have it open as well."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def with_small_cache(self) -> Database:
        """The same database with a small page cache, for a long-lived writer that hardly reads."""
        return Database(_create_engine(self._engine.url, _SMALL_CACHE_KIB))

    @classmethod
    def open(cls, url: str, scripts: Path = MIGRATIONS, revision: str = REVISION) -> Database:
        """The database at `url` ("sqlite:////home/me/library/catalogue.db"), created if needed.

        An older schema is migrated, with its data. Raises LibraryError for a schema that is newer
        than this version, and for anything that is not a library's database.
        """
        parsed = _parse_url(url)
        name = parsed.set(query={}).render_as_string(hide_password=True)
        try:
            engine = _create_engine(parsed, _CACHE_KIB)
        except (NoSuchModuleError, ImportError) as error:
            message = f"{name}: not a database that can be opened ({error})"
            if isinstance(error, ImportError):
                message += '; for PostgreSQL, pip install -e ".[postgresql]"'
            raise LibraryError(message) from None
        try:
            _migrate(engine, name, scripts, revision)
        except (DatabaseError, OSError) as error:
            engine.dispose()
            cause = getattr(error, "orig", None) or error
            raise LibraryError(f"{name}: cannot be opened as a library ({cause})") from None
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @contextmanager
    def read_transaction(self) -> Iterator[Connection]:
        """A connection that sees one snapshot, whatever others write in the meantime.

        Raises LibraryError if the database cannot be read.
        """
        with _translate_errors(), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write_transaction(self) -> Iterator[Connection]:
        """A connection whose changes are committed at the end, or rolled back on an error.

        There is one writer at a time, so what it reads stays true until it commits. Raises
        LibraryError if the database cannot be written.
        """
        with _translate_errors(), self._engine.connect() as connection:
            connection = connection.execution_options(tagger_writes=True)
            with connection.begin():
                yield connection

    def check_readable(self) -> None:
        """Try to read. Raises LibraryError if that fails."""
        with self.read_transaction() as connection:
            connection.execute(text("SELECT version_num FROM alembic_version"))

    def check_writable(self) -> None:
        """Try to write, without changing anything. Raises LibraryError if that fails."""
        with self.write_transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def absolute_url(url: str) -> str:
    """The URL with the absolute path of a SQLite file; others are unchanged.

    Raises LibraryError if it is not a URL.
    """
    parsed = _parse_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return url
    absolute = parsed.set(database=str(Path(parsed.database or "").absolute()))
    return absolute.render_as_string(hide_password=False)


def _parse_url(url: str) -> URL:
    """Raises LibraryError if it is not a URL; the message leaves out what may be a password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a bad port
        scheme, slashes, _ = url.partition("://")
        raise LibraryError(
            f"{scheme + slashes + '...' if slashes else 'the URL of the library'}: not a database"
            " that can be opened; in a name or a password, write : / @ as %3A %2F %40"
        ) from None


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise DatabaseUnavailableError for a full disk, a damaged file or a lock timeout."""
    try:
        yield
    except (IntegrityError, ProgrammingError):  # bugs
        raise
    except (DatabaseError, TimeoutError) as error:
        cause = getattr(error, "orig", None) or "too many at once"
        message = f"the library's database cannot be used now ({cause})"
        raise DatabaseUnavailableError(message) from error


def _create_engine(url: URL, cache_kib: int) -> Engine:
    """A pool that prefers the last used connection: fewer stay open, with fuller page caches."""
    options: dict[str, Any] = {"pool_pre_ping": True}
    if is_sqlite := url.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": BUSY_SECONDS}, "max_overflow": 32}
    elif url.get_driver_name().startswith("psycopg"):
        defaults = {name: value for name, value in _LIBPQ.items() if name not in url.query}
        options["connect_args"] = defaults
    engine = create_engine(url, pool_size=16, pool_use_lifo=True, **options)
    if is_sqlite:
        _prepare_sqlite(engine, cache_kib)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_sqlite(engine: Engine, cache_kib: int) -> None:
    """Set up each connection; `_begin` begins the transactions, not the driver."""

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # or the driver would begin transactions
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
            cursor.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute(f"PRAGMA cache_size = -{cache_kib}")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tagger_writes", False)
    if connection.dialect.name == "sqlite":
        # A transaction that starts as a reader cannot wait for a writer: SQLite fails at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
    elif writes and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _migrate(engine: Engine, name: str, scripts: Path, newest: str) -> None:
    with engine.connect() as connection, connection.begin():
        current = _read_revision(connection)
    if current == newest:
        return
    _enable_wal(engine)
    from alembic import command  # imported here: it takes a third of a second, and is rarely needed
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    scripts_directory = ScriptDirectory.from_config(config)
    revisions = {script.revision for script in scripts_directory.walk_revisions()}
    if current is not None and current not in revisions:
        raise LibraryError(
            f"{name}: made by a newer version of Image Tagger (its schema is {current}, this"
            f" version knows up to {newest}); update Image Tagger, your library is untouched"
        )
    with (
        engine.connect().execution_options(tagger_writes=True) as connection,
        _without_foreign_keys(connection),
        connection.begin(),
    ):
        current = _read_revision(connection)
        if current == newest:  # another process was faster
            return
        if current is not None:
            _back_up(engine, current)
        config.attributes["connection"] = connection
        command.upgrade(config, newest)
        if engine.dialect.name == "sqlite":
            dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if dangling is not None:
                raise LibraryError(f"{name}: cannot be brought up to date; it is as it was")


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite alters a table by dropping and creating it, which would cascade to other tables."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys = OFF")  # has no effect inside a transaction
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _enable_wal(engine: Engine) -> None:
    """Switch a SQLite file to write-ahead logging, so that readers do not wait for a writer."""
    if engine.dialect.name != "sqlite":
        return
    deadline = time.monotonic() + BUSY_SECONDS
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        while True:
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # busy: here SQLite does not wait itself
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _read_revision(connection: Connection) -> str | None:
    """The schema's revision; None for an empty database. Raises LibraryError for any other."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if revision is None else str(revision)
    if tables:
        raise LibraryError("a database of another program; give the library one of its own")
    return None


def _back_up(engine: Engine, revision: str) -> None:
    """Copy a SQLite file before a migration, for users who go back to an older version."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    path = Path(engine.url.database)
    backup = path.with_name(f"{path.name}.{revision}.bak")
    temporary = path.with_name(f".{backup.name}.tmp")
    temporary.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(temporary)) as target:
        source.backup(target)
    os.replace(temporary, backup)

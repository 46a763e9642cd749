"""What changed in watched folders since their photos were imported. Nothing is changed by looking.

Files are compared by path, size and time first. A file that was written since, with the size that
it had, is read only while there are few of those; one that was moved is found by size and name.
The import reads every file that is listed here, and says what it was.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from tagger.concurrency import chunks
from tagger.files import Skipped, has_photo_extension, is_gone, walk_folders
from tagger.library.database.schema import CHUNK, files, photos, runs
from tagger.library.folders.memory import FolderMemory

MAX_READ = 256 * 2**20  # bytes of files that are read to compare them, in one look

_EMPTY = "is empty: is its drive connected?"
_GONE = "is not there: is its drive connected?"


@dataclass(frozen=True)
class MovedFile:
    """A photo whose file is elsewhere now."""

    photo_id: int
    old_path: str
    path: str


@dataclass(frozen=True)
class MissingFile:
    """A photo whose file is gone."""

    photo_id: int
    path: str


@dataclass(frozen=True)
class FolderChanges:
    """What changed in a watched folder. Paths are absolute.

    `returned` are photos whose missing files are back. `unavailable` says why the folder
    could not be looked at, after its name. `unseen` photos lie where nobody could look, for the
    reasons in `unopened`. `removed` files are of photos that a person removed from the library,
    `unreadable` ones could not be read before: neither is listed.
    """

    folder: str
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[MovedFile, ...] = ()
    returned: tuple[MissingFile, ...] = ()
    missing: tuple[MissingFile, ...] = ()
    unavailable: str | None = None
    unseen: int = 0
    unopened: tuple[str, ...] = ()
    removed: int = 0
    unreadable: int = 0
    files: int = 0

    @property
    def count(self) -> int:
        """How many changes there are."""
        return sum(count for count, _ in self._counts())

    def describe(self) -> str:
        """The number of each kind of change: "12 new, 1 missing"; empty without changes."""
        return ", ".join(f"{count:,} {kind}" for count, kind in self._counts() if count)

    def paths(self) -> list[str]:
        """The files to import, in order."""
        elsewhere = [each.path for each in self.moved]
        again = [each.path for each in self.returned]
        return sorted([*self.new, *self.changed, *elsewhere, *again])

    def _counts(self) -> list[tuple[int, str]]:
        return [
            (len(self.new), "new"),
            (len(self.changed), "changed"),
            (len(self.moved), "moved"),
            (len(self.returned), "back"),
            (len(self.missing), "missing"),
        ]


@dataclass(frozen=True)
class _File:
    """A file on the disk: `modified` in nanoseconds, `size` in bytes."""

    size: int
    modified: int


@dataclass
class _Photo:
    """A photo of the library: where its file was, and when that was looked at last."""

    id: int
    path: str
    size: int
    sha256: str
    missing: bool
    deleted: bool
    looked_at: float  # seconds since 1970


@dataclass(frozen=True)
class _Import:
    """What became of a path when it was imported last; `photo_id` None if the photo is gone."""

    photo_id: int | None
    failed: bool
    looked_at: float


@dataclass(frozen=True)
class StoredPhotos:
    """What the library has of a folder: the photos that are used in it, by path, what became of
    paths in it at their imports, and the photos of both by id.
    """

    folder: str
    by_path: Mapping[str, _Photo]
    imports: Mapping[str, _Import]
    by_id: Mapping[int, _Photo]


@dataclass
class _Look:
    """One look at a folder, before moves are matched."""

    changes: FolderChanges
    new: dict[str, _File] = field(default_factory=dict)
    gone: list[_Photo] = field(default_factory=list)  # also those that were missing before
    is_empty: bool = False


def find_changes(
    stored: Sequence[StoredPhotos], memory: FolderMemory, apart: str | None = None
) -> list[FolderChanges]:
    """The changes in each folder; files that moved from one to another are moved.

    The folder `apart`, the library's own, is not looked at. `memory` is brought up to date.
    """
    reader = _Reader(memory)
    looks = [_look(each, memory, reader, apart) for each in stored]
    _match_moves(looks, reader)
    return [_finish(look) for look in looks]


def _finish(look: _Look) -> FolderChanges:
    """What a look says once moves are matched: photos of an empty folder are not missing."""
    missing = [MissingFile(photo.id, photo.path) for photo in look.gone if not photo.missing]
    if look.is_empty:
        unseen = look.changes.unseen + len(missing)
        return replace(look.changes, new=tuple(look.new), unseen=unseen)
    return replace(look.changes, new=tuple(look.new), missing=tuple(missing))


class _Reader:
    """Reads files to compare them, up to MAX_READ bytes of them."""

    def __init__(self, memory: FolderMemory) -> None:
        self._memory = memory
        self._left = MAX_READ

    def has_content(self, path: str, file: _File, photo: _Photo) -> bool | None:
        """Whether a file has a photo's content; None if that would take too long to know."""
        if file.size != photo.size:
            return False
        if self._memory.is_verified(path, file.size, file.modified, photo.sha256):
            return True
        if file.size > self._left:
            return None
        self._left -= file.size
        try:
            with open(path, "rb") as opened:
                is_same = hashlib.file_digest(opened, "sha256").hexdigest() == photo.sha256
        except OSError:  # the import says why
            return None
        if is_same:
            self._memory.verify(path, file.size, file.modified, photo.sha256)
        return is_same


def _look(stored: StoredPhotos, memory: FolderMemory, reader: _Reader, apart: str | None) -> _Look:
    folder, by_path, imports, by_id = stored.folder, stored.by_path, stored.imports, stored.by_id
    reason = _why_unavailable(folder)
    present = [photo for photo in by_path.values() if not (photo.deleted or photo.missing)]
    if reason is not None:
        return _Look(FolderChanges(folder, unavailable=reason, unseen=len(present)))
    skipped = Skipped()
    on_disk, mounts = _walk(folder, skipped, apart)
    unmounted = memory.update_mounts(folder, mounts, on_disk)
    if folder in unmounted:
        return _Look(FolderChanges(folder, unavailable=_GONE, unseen=len(present)))
    look = _Look(FolderChanges(folder, files=len(on_disk)))
    changed, returned = [], []
    removed = unreadable = 0
    for path, file in on_disk.items():
        photo = by_path.get(path)
        if photo is not None and photo.deleted:
            if _is_changed(path, file, photo, reader):
                look.new[path] = file
            else:
                removed += 1
        elif photo is not None and not photo.missing:
            if _is_changed(path, file, photo, reader):
                changed.append(path)
        elif photo is not None and reader.has_content(path, file, photo) is not False:
            returned.append(MissingFile(photo.id, path))
        else:
            imported = imports.get(path)
            if imported is None or _is_new_content(path, file, imported, by_id, reader):
                look.new[path] = file
            elif imported.failed:
                unreadable += 1
            elif imported.photo_id is None or by_id[imported.photo_id].deleted:
                removed += 1
    hidden = [*unmounted, *(os.path.join(folder, link) for link, _ in skipped.links)]
    gone = [p for p in by_path.values() if p.path not in on_disk and not p.deleted]
    unseen = [photo for photo in gone if _lies_in(photo.path, hidden) or not is_gone(photo.path)]
    unseen_ids = {photo.id for photo in unseen}
    look.gone = [photo for photo in gone if photo.id not in unseen_ids]
    look.is_empty = not on_disk and bool(present)
    look.changes = replace(
        look.changes,
        changed=tuple(changed),
        returned=tuple(returned),
        unseen=sum(not photo.missing for photo in unseen),
        unopened=tuple(_say_unopened(folder, skipped, unmounted)),
        removed=removed,
        unreadable=unreadable,
        unavailable=_EMPTY if look.is_empty else None,
    )
    return look


def _why_unavailable(folder: str) -> str | None:
    try:
        with os.scandir(folder):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return _GONE
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"cannot be opened ({reason})"


def _walk(folder: str, skipped: Skipped, apart: str | None) -> tuple[dict[str, _File], list[str]]:
    """The photo files of a folder by path, and its subfolders on which a drive is mounted."""
    on_disk: dict[str, _File] = {}
    mounts = []
    for prefix, entries in walk_folders(folder, skipped, apart):
        parent = os.path.join(folder, prefix).rstrip(os.sep) or os.sep
        if os.path.ismount(parent):
            mounts.append(parent)
        for entry in entries:
            if has_photo_extension(entry.name):
                try:
                    info = entry.stat()
                except OSError:  # a broken link: it cannot be read
                    continue
                on_disk[os.path.join(parent, entry.name)] = _File(info.st_size, info.st_mtime_ns)
    return on_disk, mounts


def load_photos(connection: Connection, folder: str) -> StoredPhotos:
    """What the library has of a folder."""
    prefix = f"{folder.rstrip('/')}/"
    names = ("id", "path", "size", "sha256", "missing", "stored", "added_at", "deleted_by")
    columns = [photos.c[name] for name in names]
    is_inside = photos.c.path.startswith(prefix, autoescape=True), ~photos.c.stored
    by_id: dict[int, _Photo] = {}
    by_path: dict[str, _Photo] = {}
    for row in connection.execute(select(*columns).where(*is_inside).order_by(photos.c.id)):
        if row.path.startswith(prefix):  # SQLite compares without regard to case
            photo = by_id[row.id] = _make_photo(row)
            at_path = by_path.get(row.path)
            if at_path is None or _rank(photo) >= _rank(at_path):
                by_path[row.path] = photo
    imports = _load_imports(connection, prefix)
    elsewhere = {each.photo_id for each in imports.values() if each.photo_id} - by_id.keys()
    for chunk in chunks(sorted(elsewhere), CHUNK):
        for row in connection.execute(select(*columns).where(photos.c.id.in_(chunk))):
            by_id[row.id] = _make_photo(row)
    for path, photo in by_path.items():
        if (imported := imports.get(path)) and imported.photo_id == photo.id:
            photo.looked_at = max(photo.looked_at, imported.looked_at)
    return StoredPhotos(folder, by_path, imports, by_id)


def _rank(photo: _Photo) -> int:
    """Of photos that had one path after another, the one that has it now counts."""
    return 2 if not (photo.deleted or photo.missing) else 1 if not photo.deleted else 0


def _load_imports(connection: Connection, prefix: str) -> dict[str, _Import]:
    """What became of each path in a folder, at its latest import."""
    created = connection.execute(
        select(runs.c.id, runs.c.created_at).where(runs.c.kind == "import")
    )
    times = {row.id: row.created_at.timestamp() for row in created}
    query = (
        select(files.c.path, files.c.photo_id, files.c.outcome, files.c.run_id)
        .where(
            files.c.path.startswith(prefix, autoescape=True),
            files.c.outcome.in_(("added", "updated", "restored", "moved", "duplicate", "failed")),
        )
        .order_by(files.c.id)
    )
    return {
        row.path: _Import(row.photo_id, row.outcome == "failed", times[row.run_id])
        for row in connection.execute(query)
        if row.path.startswith(prefix)
    }


def _make_photo(row: Row[Any]) -> _Photo:
    return _Photo(
        id=row.id,
        path=row.path,
        size=row.size,
        sha256=row.sha256,
        missing=row.missing,
        deleted=row.deleted_by is not None,
        looked_at=row.added_at.timestamp(),
    )


def _is_changed(path: str, file: _File, photo: _Photo, reader: _Reader) -> bool:
    """Whether a file was written since, unless it has the content that it had."""
    if file.size == photo.size and file.modified <= photo.looked_at * 1e9:
        return False
    return reader.has_content(path, file, photo) is not True


def _is_new_content(
    path: str,
    file: _File,
    imported: _Import,
    by_id: Mapping[int, _Photo],
    reader: _Reader,
) -> bool:
    """Whether a file is to be imported again: its photo has no file now, or it was written since.

    It was a copy of a photo, or of one that a person removed or moved back since, or it failed.
    """
    photo = by_id.get(imported.photo_id or 0)
    if photo is not None and photo.missing and not photo.deleted:
        return True
    if file.modified <= imported.looked_at * 1e9:
        return False
    return photo is None or reader.has_content(path, file, photo) is not True


def _say_unopened(folder: str, skipped: Skipped, unmounted: Iterable[str]) -> Iterator[str]:
    for name, reason in skipped.unopened:
        yield f"{Path(folder, name)} cannot be opened ({reason})"
    for name, reason in skipped.links:
        yield f"{Path(folder, name)}: a link that {reason}"
    for path in unmounted:
        yield f"{path}: is its drive connected?"


def _lies_in(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder.rstrip('/')}/") or path == folder for folder in folders)


def _match_moves(looks: Sequence[_Look], reader: _Reader) -> None:
    """Take new files that are photos whose files are gone out of both lists."""
    by_size: dict[int, list[tuple[_Look, _Photo]]] = defaultdict(list)
    for look in looks:
        for photo in look.gone:
            by_size[photo.size].append((look, photo))
    for look in looks:
        moved = []
        for path, file in list(look.new.items()):
            candidates = by_size.get(file.size, [])
            match = _find_moved(path, file, candidates, reader)
            if match is None:
                continue
            source, photo = match
            candidates.remove(match)
            source.gone.remove(photo)
            del look.new[path]
            moved.append(MovedFile(photo.id, photo.path, path))
        look.changes = replace(look.changes, moved=tuple(moved))


def _find_moved(
    path: str, file: _File, candidates: Sequence[tuple[_Look, _Photo]], reader: _Reader
) -> tuple[_Look, _Photo] | None:
    """The photo that a new file is: of the same size and name, else of the same content."""
    name = os.path.basename(path)
    by_name = sorted(candidates, key=lambda pair: os.path.basename(pair[1].path) != name)
    for look, photo in by_name:
        is_same = reader.has_content(path, file, photo)
        if is_same or (is_same is None and os.path.basename(photo.path) == name):
            return look, photo
    return None

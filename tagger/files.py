"""Atomic writes, and the walk through folders that everything uses which looks for photos."""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tagger.text import count_noun, escape_controls, list_first

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
PHOTO_EXTENSIONS = frozenset(
    (*_JPEG, ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")
)

# Folders in which file systems, network drives and programs keep previews and deleted files, or
# nothing but their own data; in any case of letters. No word that could be a label belongs here.
_OWN_FOLDERS = (
    *(".trash*", ".thumb*", ".picasaoriginals", ".dtrash", ".appledouble", ".@__thumb"),
    *(".spotlight-v100", ".fseventsd", ".documentrevisions-v100", ".temporaryitems"),  # macOS
    *("network trash folder", "temporary items", "thevolumesettingsfolder"),  # of shares
    *("@eadir", "@tmp", "@share*", "@syno*", "#recycle", "#snapshot"),  # Synology
    *("@recycle", "@recently-snapshot", "@transcode", "@__thumb", "@__qini"),  # QNAP
    "trashbox",  # Buffalo
    *("$recycle.bin", "system volume information", "found.[0-9][0-9][0-9]"),  # Windows
    *("lost+found", "~snapshot", "__macosx"),  # Unix, NetApp, archives made on a Mac
    "lost.dir",  # Android
    *("*.lrdata", "appdata_*", "files_trashbin", "files_versions"),  # Lightroom, Nextcloud
    "digikamthumbs",
)
_IS_OWN_FOLDER = re.compile("|".join(map(fnmatch.translate, _OWN_FOLDERS)), re.IGNORECASE)
_OLD_BINS = ("RECYCLER", "RECYCLED")  # Windows XP's and 98's; in capital letters alone
_OLD_BIN = "recycled"  # or in others, with files that are called as Windows calls them in there
_IS_IN_OLD_BIN = re.compile(r"info2?|desktop\.ini|d[a-z]\d+\.\w+", re.IGNORECASE)
# Libraries of Apple's programs and Capture One, and the only folders in them without previews.
_BUNDLES = (
    *(".photoslibrary", ".photolibrary", ".migratedphotolibrary", "iphoto library"),
    *(".aplibrary", ".migratedaplibrary", ".cocatalog"),
)
_BUNDLE_ORIGINALS = ("originals", "masters", "modified")
_CAPTURE_ONE = "captureone"  # beside photos; it holds previews, settings and masks

_LOOKED_THROUGH = 1_000  # files in a hidden folder, for one that is called like a photo

_LOOP = "leads to a folder that it lies in"
_LEADS_NOWHERE = "leads nowhere"  # to a drive that is not there, perhaps
_LEAVES_TWICE = "leads out of a folder that a link led to"


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write bytes, or text as UTF-8, through a temporary file: all of it or nothing.

    Without `durable` the content is not synced to the disk, so a power cut may lose it.
    """
    if isinstance(content, str):
        content = content.encode("utf-8", "backslashreplace")
    with open_atomically(path, durable=durable) as file:
        file.write(content)


@contextmanager
def open_atomically(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A temporary file to write, which takes the place of `path` once all of it is written.

    After an error, such as a full disk, there is no temporary file, and `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@dataclass
class Skipped:
    """What a walk did not enter, by its path relative to where the walk began.

    `unopened` are folders that could not be opened, `links` those that were not followed, each with
    the reason. `repeats` are links to folders that are read under another name. `own_folders` are
    of a file system or program, or hidden and may hold photos. `hidden_photos` are hidden files
    that are called like photos.
    """

    unopened: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)
    own_folders: list[str] = field(default_factory=list)
    hidden_photos: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """A sentence for each kind; the names of folders of a kind are counted."""
        counts = Counter(os.path.basename(path) for path in self.own_folders)
        own = [
            name + (f" ({count:,})" if count > 1 else "") for name, count in counts.most_common()
        ]
        kinds = (
            (
                [f"{path}: {reason}" for path, reason in self.unopened],
                *("folder", "cannot be opened", "cannot be opened"),
            ),
            (
                own,
                "folder",
                "is hidden, or of a file system or program",
                "are hidden, or of a file system or program",
            ),
            (
                self.hidden_photos,
                *("file", "is hidden and called like a photo", "are hidden and called like photos"),
            ),
            (
                [f"{path} {reason}" for path, reason in self.links],
                *("link", "is not followed", "are not followed"),
            ),
            (
                self.repeats,
                "link",
                "leads to a folder that is read already",
                "lead to folders that are read already",
            ),
        )
        lines = []
        for names, noun, singular, plural in kinds:
            if names:
                count = len(self.own_folders) if names is own else len(names)
                predicate = singular if count == 1 else plural
                listed = list_first([escape_controls(name) for name in names])
                lines.append(f"{count_noun(count, noun)} {predicate} ({listed}): left out")
        return lines


def walk_files(
    folder: str | os.PathLike[str],
    skipped: Skipped | None = None,
    apart: str | os.PathLike[str] | None = None,
) -> Iterator[Path]:
    """Files under a folder, as `walk_folders` has them."""
    for prefix, files in walk_folders(folder, skipped, apart):
        parent = Path(folder, prefix)
        yield from (parent / file.name for file in files)


def walk_folders(
    root: str | os.PathLike[str],
    skipped: Skipped | None = None,
    apart: str | os.PathLike[str] | None = None,
) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Each folder under `root`, with its files, sorted; hidden files and folders are left out.

    A folder is named by its path relative to `root`: "" for itself, the others end with "/". Links
    to folders are followed, after all that can be reached without them, so that each folder is
    walked once, and under its own name where it has one there. A link may lead out of `root`, but
    from there no other leads further. What is not entered is added to `skipped`; the folder
    `apart` is not entered either.
    """
    walk = _Walk(os.fspath(root), Skipped() if skipped is None else skipped)
    if apart is not None:
        walk.entered.add(os.path.realpath(apart))
    return walk.folders()


@dataclass(frozen=True)
class _Folder:
    """A folder to enter: its path relative to the root, and without links.

    `territory` is the folder without links that links from here may not leave, None for any.
    """

    prefix: str
    real: str
    territory: str | None = None


class _Walk:
    """One walk: folders without links first, then the links in the order they were met in."""

    def __init__(self, root: str, skipped: Skipped) -> None:
        self.root = root
        self.skipped = skipped
        self.real_root = os.path.realpath(root)
        self.entered: set[str] = set()  # paths without links
        self._links: deque[tuple[str, _Folder]] = deque()  # each with the folder it lies in

    def folders(self) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        yield from self._enter(_Folder("", self.real_root))
        while self._links:
            target = self._follow(*self._links.popleft())
            if target is not None:
                yield from self._enter(target)

    def _enter(self, start: _Folder) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
        pending = [start]
        while pending:
            folder = pending.pop()
            if folder.real in self.entered:
                continue
            self.entered.add(folder.real)
            files: list[os.DirEntry[str]] = []
            subfolders: list[str] = []
            for entry in sorted(self._list(folder), key=lambda entry: entry.name):
                self._add(entry, folder, files, subfolders)
            yield folder.prefix, files
            pending += [
                _Folder(
                    f"{folder.prefix}{name}/", os.path.join(folder.real, name), folder.territory
                )
                for name in reversed(subfolders)
            ]

    def _list(self, folder: _Folder) -> Iterator[os.DirEntry[str]]:
        """The entries of a folder, up to where an error ends them."""
        try:
            with os.scandir(os.path.join(self.root, folder.prefix)) as entries:
                yield from entries
        except (OSError, ValueError) as error:  # a name with a null character
            self._add_unopened(folder.prefix, error)

    def _add(
        self,
        entry: os.DirEntry[str],
        folder: _Folder,
        files: list[os.DirEntry[str]],
        subfolders: list[str],
    ) -> None:
        """Add an entry to the files or subfolders, to the links, or to what is skipped."""
        path = folder.prefix + entry.name
        try:
            is_folder = entry.is_dir()
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.skipped.links.append((path, _LOOP))
            elif has_photo_extension(entry.name):  # it cannot be read
                self._add_file(entry, path, files)
            else:
                self._add_unopened(path, error)
            return
        if not is_folder:
            self._add_file(entry, path, files)
        elif is_own_folder(entry.name, os.path.basename(folder.real)) or _is_old_bin(entry):
            self.skipped.own_folders.append(path)
        elif entry.name.startswith("."):
            if _may_hold_photos(entry.path):
                self.skipped.own_folders.append(path)
        elif entry.is_symlink():
            self._links.append((path, folder))
        else:
            subfolders.append(entry.name)

    def _add_file(self, entry: os.DirEntry[str], path: str, files: list[os.DirEntry[str]]) -> None:
        if entry.name.startswith("."):
            if has_photo_extension(entry.name):
                self.skipped.hidden_photos.append(path)
            return
        files.append(entry)
        is_broken_link = entry.is_symlink() and not os.path.exists(entry.path)
        if is_broken_link and not has_photo_extension(entry.name):  # else it cannot be read
            self.skipped.links.append((path, _LEADS_NOWHERE))

    def _follow(self, link: str, folder: _Folder) -> _Folder | None:
        """The folder that a link leads to; None where it is not followed."""
        target = os.path.realpath(os.path.join(self.root, link))
        if target in self.entered:
            self.skipped.repeats.append(link)
        elif _contains(target, self.real_root) or _contains(target, folder.real):
            self.skipped.links.append((link, _LOOP))
        elif is_own_folder(os.path.basename(target)):
            self.skipped.own_folders.append(link)
        elif _contains(self.real_root, target):
            return _Folder(f"{link}/", target)
        elif folder.territory is None:
            return _Folder(f"{link}/", target, territory=target)
        elif _contains(folder.territory, target):
            return _Folder(f"{link}/", target, folder.territory)
        else:
            self.skipped.links.append((link, _LEAVES_TWICE))
        return None

    def _add_unopened(self, path: str, error: OSError | ValueError) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.skipped.unopened.append((path.rstrip("/") or ".", reason))


def has_photo_extension(name: str) -> bool:
    """Whether a file name ends with one of PHOTO_EXTENSIONS, in either case."""
    return os.path.splitext(name)[1].lower() in PHOTO_EXTENSIONS


def is_own_folder(name: str, parent: str = "") -> bool:
    """Whether a folder is of a file system or program, by its name and that of its parent."""
    if name in _OLD_BINS or _IS_OWN_FOLDER.match(name):
        return True
    if parent.lower() == _CAPTURE_ONE:
        return name.lower() in ("cache", "settings")
    return parent.lower().endswith(_BUNDLES) and name.lower() not in _BUNDLE_ORIGINALS


def _is_old_bin(folder: os.DirEntry[str]) -> bool:
    """Whether a folder is the bin of Windows 98, by its name and those of the files in it."""
    if folder.name.lower() != _OLD_BIN:
        return False
    try:
        with os.scandir(folder.path) as entries:
            return any(_IS_IN_OLD_BIN.fullmatch(entry.name) for entry in entries)
    except OSError:  # said when it is entered
        return False


def is_gone(path: str | os.PathLike[str]) -> bool:
    """Whether there is no file; one that nobody can look at, for now, may be there."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False


def _may_hold_photos(folder: str) -> bool:
    """Whether there is a photo under a folder, by its name, or something that nobody looked at."""
    errors: list[OSError] = []
    files = (name for _, _, names in os.walk(folder, onerror=errors.append) for name in names)
    for count, name in enumerate(files):
        if has_photo_extension(name) or count >= _LOOKED_THROUGH:
            return True
    return bool(errors)


def _contains(folder: str, path: str) -> bool:
    """Whether a path without links is a folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)

"""Index of a dataset's folder: its photos, found by the names that labels use, and label files."""

from __future__ import annotations

import os
import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import cached_property
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

from tagger.datasets.readers.listing import NOT_LABELS
from tagger.datasets.splits import split_in_filename, split_named
from tagger.errors import DatasetError
from tagger.files import Skipped, has_photo_extension, walk_folders
from tagger.images.decode import EXTENSIONS
from tagger.text import escape_controls, fold

MAX_LABEL_BYTES = 2**30  # of a label file; COCO's largest has 0.45 GB
MAX_DEPTH = 32  # folders of a path by whose end a photo is looked for
LABEL_EXTENSIONS = (".csv", ".tsv", ".json", ".xml", ".txt", ".yaml", ".yml", ".names")

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://?")  # of a URL
_UPLOAD = re.compile(r"(?<![^/])[0-9a-f]{8}-(?=[^/]+$)")
_LOCAL_FILE = re.compile(r".*[?&]d=([^&]*)")  # Label Studio's: /data/local-files/?d=photos/a.jpg


class Miss(Enum):
    """Why a name leads to no photo."""

    OUTSIDE = "outside the collection"
    MISSING = "not there"
    AMBIGUOUS = "more than one"


class PhotoIndex:
    """Everything in a folder but hidden files, by its path relative to `root`, with "/".

    The folder is walked once, as `walk_folders` does: links to folders are followed. Links to files
    outside the dataset count as missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: list[str] = []
        self.skipped = Skipped()
        self.walked_photos: list[str] = []  # by their names: with links that lead outside
        self.outside_links: list[str] = []  # links to label files outside
        self._links: dict[str, str | None] = {}  # the target of a link; None: outside
        self._folder_paths: dict[str, Path] = {}
        self._real_root = os.path.realpath(root)
        files = sorted(self._walk())
        self.photos = dict.fromkeys(p for p in files if _extension(p) in EXTENSIONS)
        self.label_files = [p for p in files if _extension(p) in LABEL_EXTENSIONS]  # or other texts

    def absolute(self, path: str) -> Path:
        """A path of the index, joined to `root`."""
        folder, _, name = path.rpartition("/")
        if folder not in self._folder_paths:  # joining one name is faster than parsing a path
            self._folder_paths[folder] = Path(self.root, folder)
        return self._folder_paths[folder] / name

    def read_text(self, path: str) -> str:
        """The text of a label file; raises as `read_text` does."""
        return read_text(self.absolute(path))

    def display_path(self, path: str) -> str:
        """A file's full path for messages."""
        return escape_controls(str(self.absolute(path)))

    def find_split_files(self, extension: str) -> list[tuple[str, str | None]]:
        """Label files at the top, and those in split folders; with the split each is named for."""
        files: list[tuple[str, str | None]] = []
        for path in self.label_files:
            *folders, name = path.split("/")
            if not name.lower().endswith(extension) or len(folders) > 1:
                continue
            if not folders:
                files.append((path, split_in_filename(posixpath.splitext(name)[0])))
            elif split := split_named(folders[0]):
                files.append((path, split))
        return files

    def find(self, name: str, folders: Sequence[str] = ("",)) -> str | Miss:
        """The photo that a name in a label file means.

        The name is a path from the first of `folders`, or else from a later one (each ends with
        "/"); or else the end of the path of exactly one photo, with its extension or without.
        """
        for folder in folders:
            if (path := folder + name) in self.photos:
                return path
        return self._find_normalized(name.replace("\\", "/"), folders)

    def find_loosely(self, name: str, drop_folders: bool = False) -> str | Miss:
        """The only photo that a name from another machine can mean.

        The name may differ in case, be percent-encoded, or begin with folders of that machine:
        leading parts of an absolute path or one with "..", or with `drop_folders` of any, are
        dropped until a photo's path ends so. A folder that this dataset has too is not dropped,
        since the name may mean another photo of that name in it; nor is a split, where there are.
        """
        path, is_foreign = name.strip("'\"").replace("\\", "/"), False
        if match := _LOCAL_FILE.fullmatch(path):
            path = f"/{match[1]}"
        elif _SCHEME.match(path):
            path = f"/{re.split('[?#]', path)[0].partition(':')[2]}"
        is_foreign = path.startswith("/") or bool(_DRIVE.match(path))
        parts = [part for part in posixpath.normpath(loose_form(path)).split("/") if part]
        while parts and parts[0] == "..":
            is_foreign = True
            del parts[0]
        for start in range(min(len(parts), MAX_DEPTH)):
            end = "/".join(parts[start:])
            for name_end in dict.fromkeys((end, drop_upload_prefix(end))):
                for photos in (self._by_loose_end, self._by_loose_stem_end):
                    if name_end in photos:
                        return photos[name_end] or Miss.AMBIGUOUS
            has_split = split_named(parts[start]) and (self._has_split_folders or not is_foreign)
            if has_split or parts[start] in self._kept_folders or not (is_foreign or drop_folders):
                break
        return Miss.MISSING

    def relative(self, path: str) -> str | None:
        """A path in a label file as a path of the index, "" for the root; None if outside."""
        path = path.replace("\\", "/")
        if path.startswith("/"):
            path = next(
                (f"./{path[len(r) :]}" for r in self._roots if f"{path}/".startswith(f"{r}/")), ".."
            )
        target = self._follow_links(posixpath.normpath(path))
        if target is None or target == ".." or target.startswith("../"):
            return None
        return "" if target == "." else target

    def photos_in(self, folder: str) -> list[str]:
        """The photos under a folder, "" for all."""
        paths = self._sorted_photos
        if not folder:
            return list(paths)
        start = bisect_left(paths, f"{folder}/")
        return paths[start : bisect_left(paths, f"{folder}0", start)]  # "0" follows "/"

    def _find_normalized(self, name: str, folders: Sequence[str]) -> str | Miss:
        if name.startswith("/") or _DRIVE.match(name):
            prefix = next((f"{root}/" for root in self._roots if name.startswith(f"{root}/")), None)
            if prefix is None:
                return Miss.OUTSIDE
            name, folders = name.removeprefix(prefix), ("",)
        name = normalize("NFC", name)
        candidates = [posixpath.normpath(folder + name) for folder in folders]
        if candidates[0] == ".." or candidates[0].startswith("../"):
            return Miss.OUTSIDE
        climbs = ".." in name.split("/")
        if climbs:
            del candidates[1:]
        elif candidates[0].startswith(f"{self.root.name}/"):  # written from one folder above
            candidates.append(candidates[0].removeprefix(f"{self.root.name}/"))
        for candidate in candidates:
            target = self._follow_links(candidate)
            if target is None:
                return Miss.OUTSIDE
            if photo := self._by_normal_form.get(target):
                return photo
        return Miss.MISSING if climbs else self._find_by_end(posixpath.normpath(name))

    def _find_by_end(self, name: str) -> str | Miss:
        for photos in (self._by_end, self._by_stem_end):
            if name in photos:
                return photos[name] or Miss.AMBIGUOUS
        return Miss.MISSING

    def _follow_links(self, path: str) -> str | None:
        """A path with links in it resolved; None if one leads outside."""
        if not self._links:
            return path
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            start = "/".join(parts[:end])
            if start in self._links:
                target = self._links[start]
                return None if target is None else "/".join([target, *parts[end:]])
        return path

    @cached_property
    def _roots(self) -> tuple[str, ...]:
        return (os.path.abspath(self.root), self._real_root)

    @cached_property
    def _sorted_photos(self) -> list[str]:
        return sorted(self.photos)

    @cached_property
    def _by_normal_form(self) -> dict[str, str]:
        """Photos by their path in NFC: some systems write é as two characters."""
        return {normalize("NFC", path): path for path in self.photos}

    @cached_property
    def _by_end(self) -> dict[str, str | None]:
        return _by_end(self._by_normal_form.items())

    @cached_property
    def _by_stem_end(self) -> dict[str, str | None]:
        return _by_end((posixpath.splitext(path)[0], p) for path, p in self._by_normal_form.items())

    @cached_property
    def _by_loose_end(self) -> dict[str, str | None]:
        return _by_end((loose_form(path), path) for path in self.photos)

    @cached_property
    def _by_loose_stem_end(self) -> dict[str, str | None]:
        return _by_end((posixpath.splitext(loose_form(path))[0], path) for path in self.photos)

    @cached_property
    def _kept_folders(self) -> set[str]:
        """Names of folders and links in the dataset, without those such as "images"."""
        names = (name for path in (*self.folders, *self._links) for name in path.split("/"))
        return {loose_form(name) for name in names} - NOT_LABELS

    @cached_property
    def _has_split_folders(self) -> bool:
        return any(map(split_named, self._kept_folders))

    def _walk(self) -> Iterator[str]:
        for prefix, files in walk_folders(self.root, self.skipped):
            if prefix:
                self.folders.append(prefix.rstrip("/"))
            for entry in files:
                path = prefix + entry.name
                if has_photo_extension(entry.name):
                    self.walked_photos.append(path)
                if entry.is_symlink():
                    if self._is_inside(entry, path):
                        yield path
                elif _extension(path) in EXTENSIONS or entry.is_file():  # no pipe is waited for
                    yield path
        for link in (*self.skipped.repeats, *(path for path, _ in self.skipped.links)):
            self._add_link(link)

    def _is_inside(self, link: os.DirEntry[str], path: str) -> bool:
        """Whether a link leads to a file of the dataset; the targets of others are kept."""
        inside = self._add_link(path)
        if inside and os.path.isfile(link.path):  # False for a loop of links
            del self._links[path]
            return True
        if not inside and _extension(path) in LABEL_EXTENSIONS:
            self.outside_links.append(path)
        return False

    def _add_link(self, path: str) -> bool:
        """Keep the target of a link; whether it is inside."""
        target = os.path.realpath(os.path.join(self.root, path))
        inside = target.startswith(f"{self._real_root}{os.sep}")
        self._links[path] = os.path.relpath(target, self._real_root) if inside else None
        return inside


def read_text(path: Path) -> str:
    """The text of a label file: UTF-8, or UTF-16 with a byte order mark.

    Raises DatasetError if it is too large, unreadable, or, with the line, in another encoding.
    """
    display_path = escape_controls(str(path))
    try:
        if path.stat().st_size > MAX_LABEL_BYTES:
            raise DatasetError(
                f"{display_path}: larger than {MAX_LABEL_BYTES >> 20:,} MB; divide it, as into"
                " train and val"
            )
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{display_path}: cannot be read ({error.strerror})") from None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(
            f"{display_path}, line {line:,}: not UTF-8 text; save the file as UTF-8"
        ) from None


def _by_end(paths: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Photos by each end of their path ("a/b.jpg", "b.jpg"); None where several end so."""
    photos: dict[str, str | None] = {}
    for path, photo in paths:
        end = path
        for _ in range(MAX_DEPTH):
            photos[end] = photo if photos.get(end, photo) == photo else None
            if "/" not in end:
                break
            end = end.partition("/")[2]
    return photos


def loose_form(path: str) -> str:
    """A path without differences of case, Unicode form and percent-encoding."""
    return fold(unquote(path))


def drop_upload_prefix(path: str) -> str:
    """A path without what Label Studio puts before the name of an upload: "1a2b3c4d-a.jpg"."""
    return _UPLOAD.sub("", path)


def _extension(path: str) -> str:
    return posixpath.splitext(path)[1].lower()

"""What lies in a collection's folder: photos by the names labels call them, and files of labels."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import cached_property
from pathlib import Path
from unicodedata import normalize

from tagger.datasets.splits import split_in_filename, split_named
from tagger.errors import DatasetError
from tagger.images.decode import EXTENSIONS
from tagger.text import escape_controls

MAX_LABEL_BYTES = 2**30  # of one file of labels; COCO's largest has 0.45 GB
TEXTS = (".csv", ".tsv", ".json", ".xml", ".txt", ".yaml", ".yml", ".names")

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class Miss(Enum):
    """Why a name leads to no photo."""

    OUTSIDE = "outside the collection"
    MISSING = "not there"
    AMBIGUOUS = "more than one"


class PhotoIndex:
    """Everything in a folder, by its place: relative to `root`, with "/", hidden ones left out.

    Looked at once, without asking the file system about each file. Links to folders are not
    walked, and links that lead out of the collection are as good as not there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.photos: dict[str, None] = {}  # in alphabetical order
        self.label_files: list[str] = []  # files that may hold labels
        self.folders: list[str] = []
        self.outside_links: list[str] = []  # links to files of labels outside
        self._links: dict[str, str | None] = {}  # where a link leads; None: out
        self._paths: dict[str, Path] = {}
        self._real = os.path.realpath(root)
        photos: list[str] = []
        for place in self._walk():
            ending = posixpath.splitext(place)[1].lower()
            if ending in EXTENSIONS:
                photos.append(place)
            elif ending in TEXTS:
                self.label_files.append(place)
        self.photos = dict.fromkeys(sorted(photos))
        self.label_files.sort()

    def absolute(self, place: str) -> Path:
        """Where something lies, as one opens it."""
        folder, _, name = place.rpartition("/")
        if folder not in self._paths:  # a path is put together more quickly than taken apart
            self._paths[folder] = Path(self.root, folder)
        return self._paths[folder] / name

    def read(self, place: str) -> bytes:
        """A file of labels. Raises DatasetError where it is too large or cannot be opened."""
        path = self.absolute(place)
        try:
            if path.stat().st_size > MAX_LABEL_BYTES:
                raise DatasetError(
                    f"{self.shown(place)}: larger than {MAX_LABEL_BYTES >> 20:,} MB; divide it, as"
                    " into train and val"
                )
            return path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{self.shown(place)}: cannot be read ({error.strerror})") from None

    def read_text(self, place: str) -> str:
        """As `read`, decoded. Raises DatasetError where it is neither UTF-8 nor marked UTF-16."""
        data = self.read(place)
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise DatasetError(
                f"{self.shown(place)}, line {line:,}: not UTF-8 text; save the file as UTF-8"
            ) from None

    def shown(self, place: str) -> str:
        """A file's path as a message names it."""
        return escape_controls(str(self.absolute(place)))

    def files(self, ending: str) -> list[tuple[str, str | None]]:
        """Files of labels at the top or in a split's folder, and the split each is named for."""
        found: list[tuple[str, str | None]] = []
        for place in self.label_files:
            *folders, name = place.split("/")
            if not name.lower().endswith(ending) or len(folders) > 1:
                continue
            if not folders:
                found.append((place, split_in_filename(posixpath.splitext(name)[0])))
            elif split := split_named(folders[0]):
                found.append((place, split))
        return found

    def find(self, name: str, folders: Sequence[str] = ("",)) -> str | Miss:
        """The photo that a name means, seen from the first of `folders`, or else from the others.

        Failing that, the only one that the name is the end of, with its ending or without.
        """
        for folder in folders:
            if (place := folder + name) in self.photos:
                return place
        return self._find_spelled(name.replace("\\", "/"), folders)

    def relative(self, path: str) -> str | None:
        """A path inside the collection as a place, "" for its top; None for one outside."""
        path = path.replace("\\", "/")
        if path.startswith("/"):
            path = next(
                (f"./{path[len(t) :]}" for t in self._tops if f"{path}/".startswith(f"{t}/")), ".."
            )
        place = self._followed(posixpath.normpath(path))
        if place is None or place == ".." or place.startswith("../"):
            return None
        return "" if place == "." else place

    def photos_in(self, folder: str) -> list[str]:
        """The photos under a folder, "" for all."""
        start = f"{folder}/" if folder else ""
        return [place for place in self.photos if place.startswith(start)]

    def _find_spelled(self, name: str, folders: Sequence[str]) -> str | Miss:
        if name.startswith("/") or _DRIVE.match(name):
            own = next((f"{top}/" for top in self._tops if name.startswith(f"{top}/")), None)
            if own is None:
                return Miss.OUTSIDE
            name, folders = name.removeprefix(own), ("",)
        name = normalize("NFC", name)
        seen = [posixpath.normpath(folder + name) for folder in folders]
        if seen[0] == ".." or seen[0].startswith("../"):
            return Miss.OUTSIDE
        climbs = ".." in name.split("/")
        seen = seen[:1] if climbs else [*seen, *self._without_own_name(seen[0])]
        for place in seen:
            followed = self._followed(place)
            if followed is None:
                return Miss.OUTSIDE
            if found := self._normal.get(followed):
                return found
        return Miss.MISSING if climbs else self._find_by_end(posixpath.normpath(name))

    def _find_by_end(self, name: str) -> str | Miss:
        for known in (self._by_name, self._by_stem):
            ends = [
                place
                for normal, place in known.get(posixpath.basename(name), ())
                if f"/{normal}".endswith(f"/{name}")
            ]
            if ends:
                return ends[0] if len(ends) == 1 else Miss.AMBIGUOUS
        return Miss.MISSING

    def _without_own_name(self, place: str) -> Iterator[str]:
        """As written by whoever stood one folder above."""
        own = f"{self.root.name}/"
        if place.startswith(own):
            yield place.removeprefix(own)

    def _followed(self, place: str) -> str | None:
        """With links on the way followed; None where one leads out."""
        if not self._links:
            return place
        parts = place.split("/")
        for end in range(1, len(parts) + 1):
            start = "/".join(parts[:end])
            if start in self._links:
                target = self._links[start]
                return None if target is None else "/".join([target, *parts[end:]])
        return place

    @cached_property
    def _tops(self) -> tuple[str, ...]:
        return (os.path.abspath(self.root), self._real)

    @cached_property
    def _normal(self) -> dict[str, str]:
        """Places by their spelling in composed letters: some systems write é as two."""
        return {normalize("NFC", place): place for place in self.photos}

    @cached_property
    def _by_name(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for normal, place in self._normal.items():
            found.setdefault(posixpath.basename(normal), []).append((normal, place))
        return found

    @cached_property
    def _by_stem(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for normal, place in self._normal.items():
            stem = posixpath.splitext(normal)[0]
            found.setdefault(posixpath.basename(stem), []).append((stem, place))
        return found

    def _walk(self) -> Iterator[str]:
        pending = [""]
        while pending:
            folder = pending.pop()
            try:
                entries = list(os.scandir(os.path.join(self.root, folder)))
            except OSError:
                continue
            for entry in entries:
                place = folder + entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    if self._stays(entry, place):
                        yield place
                elif entry.is_dir(follow_symlinks=False):
                    self.folders.append(place)
                    pending.append(f"{place}/")
                elif entry.is_file(follow_symlinks=False):
                    yield place

    def _stays(self, link: os.DirEntry[str], place: str) -> bool:
        """Whether a link is a file of the collection; where others lead is kept."""
        real = os.path.realpath(link.path)
        inside = real.startswith(f"{self._real}{os.sep}")
        if inside and os.path.isfile(link.path):  # and no loop of links
            return True
        self._links[place] = os.path.relpath(real, self._real) if inside else None
        if not inside and place.lower().endswith(TEXTS):
            self.outside_links.append(place)
        return False

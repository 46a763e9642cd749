"""Random trees of folders: links, loops, folders that cannot be opened, bins, broken files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tagger.files import Skipped, has_photo_extension

BINS = ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "__MACOSX", ".Trash-1000", ".git")
NAMES = ("cat", "dog", "été", "2024", *BINS)


def make_too_deep(parent: Path) -> Path:
    """A folder that nobody can open, not even root: its path is too long for the system."""
    folder = os.open(parent, os.O_RDONLY)
    path = parent
    try:
        longest = os.pathconf(parent, "PC_PATH_MAX")
        while len(os.fsencode(path)) <= longest:
            # The folder that holds it can be opened, by any spelling.
            name = "d" * (100 if len(os.fsencode(path)) < longest - 240 else 250)
            os.mkdir(name, dir_fd=folder)
            inner = os.open(name, os.O_RDONLY, dir_fd=folder)
            os.close(folder)
            folder, path = inner, path / name
    finally:
        os.close(folder)
    return path


@dataclass
class Tree:
    """A tree to write: each node has the number of its parent, 0 the root and 1 what is outside.

    `folders` have a name, `links` the number of the folder that they lead to, `photos` may be
    broken. `too_deep` are folders with one in them that cannot be opened.
    """

    folders: list[tuple[int, str]] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)
    photos: list[tuple[int, str, bool]] = field(default_factory=list)
    too_deep: list[int] = field(default_factory=list)

    def write(self, base: Path, content: list[bytes]) -> Path:
        """Write the tree; its root. No two photos have the same content."""
        paths = [base / "root", base / "outside"]
        for path in paths:
            path.mkdir(parents=True)
        for number, (parent, name) in enumerate(self.folders):
            path = paths[parent % len(paths)] / name
            if path.exists():
                path = path.with_name(f"{name}{number}")
            path.mkdir()
            paths.append(path)
        for number, (parent, target) in enumerate(self.links):
            link = paths[parent % len(paths)] / f"link{number}"
            link.symlink_to(paths[target % len(paths)])
        for number, (parent, name, is_broken) in enumerate(self.photos):
            data = b"broken" if is_broken else content[number % len(content)]
            path = paths[parent % len(paths)] / name.format(number)
            path.write_bytes(data + b"\0" * number)
        for parent in self.too_deep:
            folder = paths[parent % len(paths)] / "deep"
            if not folder.exists():
                folder.mkdir()
                make_too_deep(folder)
        return paths[0]


_number = st.integers(0, 9)
_photo_name = st.sampled_from(["{}.jpg", "p{}.PNG", ".{}.jpg", "._{}.png", "{}.txt"])

trees = st.builds(
    Tree,
    folders=st.lists(st.tuples(_number, st.sampled_from(NAMES)), max_size=10),
    links=st.lists(st.tuples(_number, _number), max_size=6),
    photos=st.lists(st.tuples(_number, _photo_name, st.booleans()), max_size=12),
    too_deep=st.lists(_number, max_size=1),
)


def reachable_photos(root: Path) -> set[str]:
    """Every photo that any way leads to, without links: what a careful person would find."""
    photos: set[str] = set()
    entered: set[str] = set()
    pending = [os.path.realpath(root)]
    while pending:
        folder = pending.pop()
        if folder in entered:
            continue
        entered.add(folder)
        for name, path in _list(folder):
            if os.path.isdir(path):
                pending.append(os.path.realpath(path))
            elif has_photo_extension(name):
                photos.add(os.path.realpath(path))
    return photos


def _list(folder: str) -> Iterator[tuple[str, str]]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    yield from ((name, os.path.join(folder, name)) for name in names)


def is_skipped(photo: str, root: Path, skipped: Skipped) -> bool:
    """Whether a photo lies in something that was left out and named."""
    paths = [path for path, _ in (*skipped.unopened, *skipped.links)]
    paths += [*skipped.own_folders, *skipped.hidden_photos]  # photos of repeats are read
    real = [os.path.realpath(root / path) for path in paths]
    return any(photo == path or photo.startswith(f"{path}{os.sep}") for path in real)

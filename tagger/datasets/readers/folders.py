"""Label folders: one for each label, nested to any depth, also below `train/`, `val/`, `test/`."""

from __future__ import annotations

from pathlib import Path

from tagger.datasets.readers.listing import Listing
from tagger.datasets.sample import Sample
from tagger.datasets.splits import SPLIT_NAMES
from tagger.images.decode import find_photos

FORMAT = "folders"


def read(root: Path) -> Listing:
    """Every photo in a label folder; without such folders, a listing without labels."""
    by_label: dict[str, list[tuple[str, Path]]] = {}
    for parent, split in _split_folders(root):
        for folder in subfolders(parent):
            photos = [(split, path) for path in find_photos(folder)]
            if photos:
                by_label.setdefault(folder.name, []).extend(photos)
    names = tuple(sorted(by_label))
    samples = tuple(
        Sample(path, (index,), split)
        for index, name in enumerate(names)
        for split, path in by_label[name]
    )
    return Listing(FORMAT, names, "single", samples)


def count_label_folders(root: Path) -> int:
    """The number of label folders, with or without photos."""
    return sum(len(subfolders(parent)) for parent, _ in _split_folders(root))


def subfolders(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted, without hidden ones."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _split_folders(root: Path) -> list[tuple[Path, str]]:
    """The folders that contain label folders, each with its split."""
    folders = subfolders(root)
    splits = [(f, SPLIT_NAMES[f.name.lower()]) for f in folders if f.name.lower() in SPLIT_NAMES]
    if any(split == "train" and subfolders(folder) for folder, split in splits):
        return splits
    if len(folders) == 1 and subfolders(folders[0]):  # an archive's single outer folder
        return _split_folders(folders[0])
    return [(root, "train")]

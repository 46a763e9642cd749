"""Labels as folders: one each, nested as deep as you like, under `train/`, `val/`, `test/`."""

from __future__ import annotations

from pathlib import Path

from tagger.datasets.readers.listing import Listing
from tagger.datasets.sample import Sample
from tagger.datasets.splits import SPLIT_NAMES
from tagger.images import decode

WRITTEN_AS = "folders"


def read(root: Path) -> Listing:
    """Every photo in a label's folder; no labels where there is no such folder."""
    by_label: dict[str, list[tuple[str, Path]]] = {}
    for top, split in _split_folders(root):
        for folder in label_folders(top):
            photos = [(split, path) for path in decode.find_photos(folder)]
            if photos:
                by_label.setdefault(folder.name, []).extend(photos)
    names = tuple(sorted(by_label))
    samples = tuple(
        Sample(path, (index,), split)
        for index, name in enumerate(names)
        for split, path in by_label[name]
    )
    return Listing(WRITTEN_AS, names, "single", samples)


def count_label_folders(root: Path) -> int:
    """How many folders could be a label's, with photos or without."""
    return sum(len(label_folders(top)) for top, _ in _split_folders(root))


def label_folders(folder: Path) -> list[Path]:
    """The folders in it, sorted, hidden ones left out."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _split_folders(root: Path) -> list[tuple[Path, str]]:
    """Folders that hold label folders, with their split."""
    folders = label_folders(root)
    splits = [(f, SPLIT_NAMES[f.name.lower()]) for f in folders if f.name.lower() in SPLIT_NAMES]
    if any(split == "train" and label_folders(folder) for folder, split in splits):
        return splits
    if len(folders) == 1 and label_folders(folders[0]):  # an archive's single outer folder
        return _split_folders(folders[0])
    return [(root, "train")]

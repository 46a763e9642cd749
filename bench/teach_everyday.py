"""Teach the bundled model `everyday`: gather its collections in one folder, and train on them.

    TAGGER_DATA=... python bench/teach_everyday.py FOLDER [--collect] [OPTIONS OF train.py]

FOLDER gets links to (or copies of) the photos of `ordinary/`, `everyday/`, `objects/` and `pets/`,
a `labels.csv` and a `captions.csv`; then `train.py` runs with the settings of the bundled model,
and any options given after them. `--collect` ends before the training; `--resume` goes on with a
training that was stopped.

A cell of `labels.csv` is 1 or 0 where somebody looked, blank where nobody did. In `ordinary/` five
people describe each photo: a tag that three of them mention is present, fewer make it more or less
likely (MENTIONED), and one that nobody mentions counts as absent. A photo of one thing shows none
of the other things, but may show any scene or plant, and people unless it is one of WITHOUT_PEOPLE.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ordinary import count_mentions, load_photos

from tagger.cli import train
from tagger.inference import vocabulary

MENTIONED = (0.0, 0.35, 0.75, 1.0, 1.0, 1.0)  # the probability of a tag that 0 to 5 people mention
PETS = 600  # photos of each of two labels; more of one style would teach the style
RENAMED = {  # columns of `everyday/` as tags
    "trees": "tree",
    "mountains": "mountain",
    "longsleeve": "long-sleeved shirt",
    "outwear": "jacket",
}
PARENTS = (  # tags that are taught through their kinds
    *("animal", "insect", "reptile", "plant", "vehicle", "aircraft", "building", "room"),
    *("furniture", "musical instrument", "food", "fruit", "vegetable", "clothing", "sport"),
)
# Labels whose photos show no people; we looked through them. A hand that holds an apple is not one.
WITHOUT_PEOPLE = {
    "everyday": frozenset(
        (
            *("kitchen", "bedroom", "bathroom", "house", "car", "clothing", "fruit", "vegetable"),
            *("packaged food", "mushroom", "daisy", "dandelion", "tulip"),
        )
    ),
    "objects": frozenset(
        (
            *("airplane", "ball", "bear", "bird", "building", "butterfly", "camera", "car"),
            *("chair", "chicken", "computer", "crab", "cup", "dolphin", "flower", "headphones"),
            *("hedgehog", "helicopter", "insect", "kangaroo", "lamp", "lobster", "motorcycle"),
            *("octopus", "piano", "plant", "pyramid", "rhinoceros", "roller skates", "scissors"),
            *("scorpion", "sign", "starfish", "strawberry", "turtle", "watch", "wild cat"),
        )
    ),
}
ABOUT = (
    "People, animals, plants, places, vehicles, sports, clothes, food and things in ordinary"
    " photos. Taught with photos that people took of their lives, each described by five others,"
    " with photos of nine collections for which some tags were looked for, and with photos of fifty"
    " kinds of single things, cats and dogs; and with the answers of ImageNet's own network, by"
    " bench/teach_everyday.py."
)
SETTINGS = (
    *("--backbone", "mobilenet_v2", "--image-size", "192", "--weights", "imagenet"),
    *("--training-size", "160", "--fine-tune", "12", "--batch-size", "56", "--patience", "12"),
    *("--learning-rate", "3e-4", "--weight-decay", "0.02", "--balance", "0.4"),
    *("--least-precision", "0.7", "--typical", "ordinary"),
    *("--distillation", "0.5", "--seed", "42", "--output", "model/everyday.h5"),
    *("--about", ABOUT),
)


@dataclass(frozen=True)
class Photo:
    """A photo of a collection under `TAGGER_DATA`; tags without a cell are unseen."""

    path: Path
    split: str
    cells: dict[str, float]
    captions: tuple[str, ...] = ()


def main() -> None:
    if not os.environ.get("TAGGER_DATA") or len(sys.argv) < 2:
        sys.exit(__doc__)
    data, folder, options = Path(os.environ["TAGGER_DATA"]), Path(sys.argv[1]), sys.argv[2:]
    tags = candidate_tags(data)
    write(
        folder,
        data,
        tags,
        [*ordinary(data, tags), *everyday(data, tags), *single_things(data, tags)],
    )
    if "--collect" not in options:
        files = (
            *("--data", str(folder), "--captions", str(folder / "captions.csv")),
            *("--unrelated", str(data / "unrelated" / "textures"), "--test", str(data / "coco128")),
        )
        sys.exit(train.main([*files, *SETTINGS, *options]))


def candidate_tags(data: Path) -> tuple[str, ...]:
    """The tags of all collections, and PARENTS."""
    mentioned = load_photos(data / "ordinary")[0].mentions
    columns = tag_columns(data).values()
    kinds = (row["label"] for row in read_rows(data / "objects"))
    return tuple(dict.fromkeys((*PARENTS, *mentioned, *columns, *sorted(set(kinds)))))


def ordinary(data: Path, tags: Sequence[str]) -> Iterator[Photo]:
    """Photos of people's lives, with captions."""
    table = vocabulary.load()
    for split in ("train", "val"):
        photos = load_photos(data / "ordinary", split)
        counts = {tag: count_mentions(tag, photos) for tag in tags}
        for tag in tags:
            for parent in table.ancestors(tag):
                if parent in counts:
                    counts[parent] = counts[parent].clip(min=counts[tag])
        for number, photo in enumerate(photos):
            cells = {tag: MENTIONED[counts[tag][number]] for tag in tags}
            yield Photo(photo.path, split, cells, photo.captions)


def everyday(data: Path, tags: Sequence[str]) -> Iterator[Photo]:
    """Photos of which some tags were looked for."""
    columns = tag_columns(data)
    for row in read_rows(data / "everyday"):
        cells = {columns[name]: float(row[name]) for name in columns if row[name]}
        labels = {tag for tag, cell in cells.items() if cell == 1}
        if labels & WITHOUT_PEOPLE["everyday"]:
            cells = no_people(tags) | cells
        cells = with_parents(cells, tags)
        yield Photo(data / "everyday" / row["image"], row["split"], cells)


def single_things(data: Path, tags: Sequence[str]) -> Iterator[Photo]:
    """Photos of one thing each."""
    for row in read_rows(data / "objects"):
        cells = only(row["label"], tags)
        if row["label"] in WITHOUT_PEOPLE["objects"]:
            cells = no_people(tags) | cells
        yield Photo(data / "objects" / row["image"], row["split"], cells)
    for label in ("cat", "dog"):
        for path in sorted((data / "pets" / "train" / label).iterdir())[:PETS]:
            yield Photo(path, "train", only(label, tags))


def only(label: str, tags: Sequence[str]) -> dict[str, float]:
    """The cells of a photo that shows one thing; of its own kinds nobody knows which it is."""
    table = vocabulary.load()
    things = {tag: 0.0 for tag in tags if table.is_thing(tag) and label not in table.ancestors(tag)}
    return with_parents(things | {label: 1.0}, tags)


def with_parents(cells: dict[str, float], tags: Sequence[str]) -> dict[str, float]:
    """The cells, with 1 for all that present tags are kinds of."""
    table = vocabulary.load()
    parents = {
        parent for tag, cell in cells.items() if cell == 1 for parent in table.ancestors(tag)
    }
    return cells | dict.fromkeys(parents.intersection(tags), 1.0)


def no_people(tags: Iterable[str]) -> dict[str, float]:
    """0 for each of `tags` that is a person."""
    table = vocabulary.load()
    return {tag: 0.0 for tag in tags if "person" in (tag, *table.ancestors(tag))}


def tag_columns(data: Path) -> dict[str, str]:
    """The tag of each column of `everyday/`."""
    names = [name for name in read_rows(data / "everyday")[0] if name not in ("image", "split")]
    return {name: RENAMED.get(name, name) for name in names}


def read_rows(collection: Path) -> list[dict[str, str]]:
    with open(collection / "labels.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(folder: Path, data: Path, tags: Sequence[str], photos: Iterable[Photo]) -> None:
    """The photos in `folder`, under their paths in `data`, and the tables of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        open(folder / "labels.csv", "w", newline="", encoding="utf-8") as labels,
        open(folder / "captions.csv", "w", newline="", encoding="utf-8") as captions,
    ):
        rows, texts = csv.writer(labels), csv.writer(captions)
        rows.writerow(["image", "split", *tags])
        texts.writerow(["image", "caption"])
        for photo in photos:
            name = photo.path.relative_to(data).as_posix()
            link(photo.path, folder / name)
            rows.writerow([name, photo.split, *(photo.cells.get(tag, "") for tag in tags)])
            texts.writerows([name, caption] for caption in photo.captions)


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        try:
            os.link(source, target)
        except OSError:  # another disk
            shutil.copyfile(source, target)


if __name__ == "__main__":
    main()

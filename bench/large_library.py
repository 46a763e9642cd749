"""Build the database of a large photo library, without the photos.

python bench/large_library.py FOLDER --photos 100000 --tags 500000

The same rows each time, distributed as in a family's library: the most frequent labels are on a
third of the photos, most on a few per cent; one photo in ten is unknown, a few are untagged, one
in twenty has a tag by a person, one in a hundred is deleted. A database with the same numbers of
photos and tags is reused.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, func, insert, select

from tagger.concurrency import chunks
from tagger.library.database import schema
from tagger.library.database.database import Database, sqlite_url
from tagger.text import fold

_WORDS = (
    "person outdoors indoors sky tree building food table car flower dog water cat street plant"
    " chair beach mountain bird bicycle sea boat grass snow window bottle cup sunset train horse"
    " bed book laptop phone sofa cake bus bridge garden forest river clock pizza airplane fruit"
    " motorcycle cow sheep bag umbrella bench kite teddy_bear wine_glass skateboard elephant"
    " castle lighthouse"
)
LABELS = _WORDS.split()
OWN_LABELS = tuple(
    f"{who}'s {what}" for who in ("Ada", "Zoë", "Straßer") for what in ("40th", "dog")
)
NAMES = (
    "IMG_{:04}.jpg",
    "DSC{:05}.JPG",
    "2019 Rügen {:03}.jpg",
    "画像_{:04}.png",
    "holiday ({}).jpg",
)
FOLDERS = ("2016/Zoo", "2017/Garden", "2018/Wedding", "2019/Rügen", "2021/Mountains", "2024/Phone")
UNKNOWN, UNTAGGED, REVIEWED, DELETED = 0.10, 0.02, 0.05, 0.01  # shares of photos
EVENNESS = 4  # added to the rank in Zipf's law, so that labels are less unequal
BATCH = 10_000  # rows per INSERT statement
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 700
CAMERA_YEARS = 18
IMPORT, EDITING, DELETION = 1, 2, 3  # ids of the operations

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the database of a large photo library.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--tags", type=int, default=500_000)
    options = parser.parse_args()
    began = time.perf_counter()
    url = build(options.folder, options.photos, options.tags)
    print(f"{url}: {options.photos:,} photos, {options.tags:,} tags")
    print(f"{time.perf_counter() - began:.1f} s")


def build(folder: Path, photos: int, tags: int) -> str:
    """The URL of the folder's database, built if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    url = sqlite_url(folder / "catalogue.db")
    database = Database.open(url)
    try:
        with database.write_transaction() as connection:
            rows = [count(connection, table) for table in (schema.photos, schema.tags)]
            if rows == [0, 0]:
                fill(connection, Library.generate(photos, tags))
            elif rows != [photos, tags]:
                raise SystemExit(f"{url}: has {rows[0]:,} photos and {rows[1]:,} tags already")
    finally:
        database.close()
    return url


def count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@dataclass(frozen=True)
class Library:
    """Arrays over the photos: the number of tags by the model, and the states."""

    tag_counts: NDArray[np.int64]
    unknown: NDArray[np.bool_]
    reviewed: NDArray[np.bool_]
    deleted: NDArray[np.bool_]

    @classmethod
    def generate(cls, photos: int, tags: int) -> Library:
        rng = np.random.default_rng(0)
        draws = rng.random(photos)
        unknown = draws < UNKNOWN
        tagged = np.flatnonzero(draws >= UNKNOWN + UNTAGGED)
        reviewed = np.zeros(photos, dtype=bool)
        reviewed[rng.choice(photos, min(tags, round(photos * REVIEWED)), replace=False)] = True
        by_model = tags - int(reviewed.sum())
        first = tagged[:by_model]  # at least one tag each, as far as the tags go
        more = rng.multinomial(by_model - len(first), np.full(len(first), 1 / max(1, len(first))))
        tag_counts = np.zeros(photos, dtype=np.int64)
        tag_counts[first] = 1 + more
        if tag_counts.max() > len(LABELS):
            raise SystemExit(f"{tags:,} tags are too many for {photos:,} photos")
        return cls(tag_counts, unknown & ~reviewed, reviewed, rng.random(photos) < DELETED)

    def __len__(self) -> int:
        return len(self.tag_counts)


def fill(connection: Connection, library: Library) -> None:
    connection.execute(insert(schema.runs), list(runs(len(library))))
    digest = "0" * 64
    model = {"id": 1, "name": "everyday", "sha256": digest, "first_used_at": FIRST_DAY}
    connection.execute(insert(schema.models), [model])
    names = [*(name.replace("_", " ") for name in LABELS), *OWN_LABELS]
    labels = [{"id": i, "name": n, "folded": fold(n)} for i, n in enumerate(names, 1)]
    connection.execute(insert(schema.labels), labels)
    tagged = list(tags(library))
    write(connection, schema.photos, photos(library, tagged))
    write(connection, schema.predictions, predictions(library, tagged))
    write(connection, schema.verdicts, verdicts(tagged))
    write(connection, schema.tags, (tag for photo_tags in tagged for tag in photo_tags))
    write(connection, schema.presences, presences(library))


def write(connection: Connection, table: Table, rows: Iterator[Row]) -> None:
    for batch in chunks(rows, BATCH):
        connection.execute(insert(table), batch)


def runs(photos: int) -> Iterator[Row]:
    kinds = {IMPORT: "import", EDITING: "edit", DELETION: "delete"}
    for number, kind in kinds.items():
        yield {
            "id": number,
            "kind": kind,
            "title": f"Bench: {kind}",
            "status": "done",
            "options": {},
            "total": photos,
            "done": photos,
            "created_at": FIRST_DAY,
            "finished_at": FIRST_DAY,
        }


def tags(library: Library) -> Iterator[list[Row]]:
    """The tags of each photo: the model's by score, then those by a person."""
    rng = np.random.default_rng(1)
    shares = 1 / np.arange(1 + EVENNESS, len(LABELS) + 1 + EVENNESS)
    for start in range(0, len(library), BATCH):
        counts = library.tag_counts[start : start + BATCH].tolist()
        # The largest of these are drawn without replacement, weighted by share (Gumbel trick).
        drawn = np.argsort(-np.log(shares) - rng.gumbel(size=(len(counts), len(LABELS))), axis=1)
        scores = (0.5 + rng.beta(2, 1.5, drawn.shape) / 2).round(6)
        rows = zip(counts, drawn.tolist(), scores.tolist(), strict=True)
        for photo, (count, order, scores_of_photo) in enumerate(rows, start + 1):
            best = sorted(scores_of_photo[:count], reverse=True)
            decided = zip(order[:count], best, strict=True)
            photo_tags = [tag(photo, label + 1, score=score) for label, score in decided]
            if library.reviewed[photo - 1]:
                own = 1 + len(LABELS) + int(rng.integers(len(OWN_LABELS)))
                photo_tags.append(tag(photo, own, score=None))
            yield photo_tags


def tag(photo: int, label: int, score: float | None) -> Row:
    return {
        "photo_id": photo,
        "label_id": label,
        "score": score,
        "threshold": None if score is None else 0.5,
        "by_person": score is None,
        "model_id": None if score is None else 1,
        "run_id": EDITING if score is None else IMPORT,
        "made_at": FIRST_DAY,
    }


def photos(library: Library, tagged: list[list[Row]]) -> Iterator[Row]:
    rng = np.random.default_rng(2)
    seconds = np.sort(rng.integers(0, DAYS * 86_400, len(library))).tolist()
    for index, photo_tags in enumerate(tagged):
        draws = int(rng.integers(1_000_000))
        added = FIRST_DAY + timedelta(seconds=seconds[index])
        taken = added - timedelta(minutes=draws % (CAMERA_YEARS * 365) * 1440 + draws % 1440)
        name = NAMES[draws % len(NAMES)].format(draws % 10_000)
        sure = confidence(photo_tags)
        scores = [1.0 if tag["by_person"] else tag["score"] for tag in photo_tags]
        analysed = bool(library.unknown[index] or library.tag_counts[index])
        yield {
            "id": index + 1,
            "sha256": f"{index:064x}",
            "name": name,
            "name_folded": fold(name),
            "path": f"/home/ada/Pictures/{FOLDERS[draws % len(FOLDERS)]}/{index:06}/{name}",
            "stored": False,
            "size": 2_000_000 + draws,
            "width": 4000,
            "height": 3000,
            "added_at": added,
            "taken_at": taken.replace(tzinfo=None) if draws % 10 else None,
            "dated_at": (taken if draws % 10 else added).replace(tzinfo=None),
            "rating": draws % 6 if draws % 20 == 0 else 0,
            "added_by": IMPORT,
            "deleted_by": DELETION if library.deleted[index] else None,
            "unknown": bool(library.unknown[index]),
            "reviewed": bool(library.reviewed[index]),
            "confidence": sure if analysed else None,
            "doubt": 1 - sure + bool(library.unknown[index]) if analysed else None,
            "model_id": 1 if analysed else None,
            "model_count": 1 if analysed else 0,
            "tag_count": len(photo_tags),
            "highest": max(scores, default=None),
            "lowest": min(scores, default=None),
        }


def confidence(photo_tags: list[Row]) -> float:
    """The highest score of the model's tags."""
    return max((tag["score"] for tag in photo_tags if tag["score"] is not None), default=0.3)


def predictions(library: Library, tagged: list[list[Row]]) -> Iterator[Row]:
    for index, photo_tags in enumerate(tagged):
        decided = [tag for tag in photo_tags if tag["score"] is not None]
        if not decided and not library.unknown[index]:
            continue
        scored = [[LABELS[tag["label_id"] - 1], tag["score"]] for tag in decided]
        yield {
            "photo_id": index + 1,
            "model_id": 1,
            "run_id": IMPORT,
            "made_at": FIRST_DAY,
            "label": scored[0][0] if scored else None,
            "confidence": confidence(photo_tags),
            "reason": None if scored else "uncertain",
            "ood_score": 0.5,
            "tags": [[*pair, 0.5] for pair in scored],
            "scores": scored[:5],
        }


def verdicts(tagged: list[list[Row]]) -> Iterator[Row]:
    for photo_tags in tagged:
        for tag in photo_tags:
            if tag["by_person"]:
                yield {
                    "photo_id": tag["photo_id"],
                    "label_id": tag["label_id"],
                    "present": True,
                    "run_id": EDITING,
                    "made_at": FIRST_DAY,
                }


def presences(library: Library) -> Iterator[Row]:
    for index, deleted in enumerate(library.deleted.tolist(), 1):
        ended = DELETION if deleted else None
        origin = {"run_id": IMPORT}
        yield {"photo_id": index, **origin, "ended_by": ended}


if __name__ == "__main__":
    main()

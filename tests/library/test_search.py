"""Searches over real rows: each is checked by hand, or against the same question put to Python.

With TAGGER_TEST_DATABASE they run on that database, which has to be empty, instead of SQLite.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, insert, update

from tagger.errors import QueryError
from tagger.library.database import schema
from tagger.library.records import Sort
from tagger.library.search import planner
from tagger.library.search.grammar import (
    And,
    Condition,
    Everything,
    Flag,
    Label,
    Not,
    Or,
    Query,
    date_range,
    fold,
    parse,
)

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


@dataclass
class Made:
    """A photo to put in; `tags` with their scores, None where a person gave it."""

    name: str = "photo.jpg"
    tags: dict[str, float | None] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()  # by a person, and scored by a model too
    added: datetime = NOON
    taken: datetime | None = None
    folder: str = "/photos"
    model: str | None = "everyday"
    confidence: float | None = 0.5
    doubt: float | None = 0.5
    unknown: bool = False
    reviewed: bool = False
    deleted: bool = False
    run: int = 1

    def by_person(self, label: str) -> bool:
        return self.tags[label] is None or label in self.confirmed

    def scores(self) -> list[float]:
        return [1.0 if self.by_person(t) else score or 0.0 for t, score in self.tags.items()]


def put_in(connection: Connection, made: Sequence[Made]) -> None:
    """Rows as an import, a model and people would have left them; ids count from 1."""
    for number in sorted({photo.run for photo in made} | {1}):
        begin(connection, number)
    model_ids = {name: i for i, name in enumerate(sorted({p.model for p in made if p.model}), 1)}
    for name, number in model_ids.items():
        row = {"id": number, "name": name, "sha256": name, "first_used_at": NOON}
        connection.execute(insert(schema.models).values(row))
    names = sorted({tag for photo in made for tag in photo.tags}, reverse=True)
    label_ids = {name: number for number, name in enumerate(names, 1)}
    for name, number in label_ids.items():
        row = {"id": number, "name": name, "folded": fold(name)}
        connection.execute(insert(schema.labels).values(row))
    rows = [
        {
            "id": number,
            "sha256": str(number),
            "name": photo.name,
            "name_folded": fold(photo.name),
            "path": f"{photo.folder}/{photo.name}",
            "stored": False,
            "size": 1,
            "width": 1,
            "height": 1,
            "added_by": photo.run,
            "added_at": photo.added,
            "taken_at": photo.taken,
            "deleted_by": 1 if photo.deleted else None,
            "unknown": photo.unknown,
            "reviewed": photo.reviewed,
            "confidence": photo.confidence,
            "doubt": photo.doubt,
            "model_id": model_ids[photo.model] if photo.model else None,
            "tag_count": len(photo.tags),
            "highest": max(photo.scores(), default=None),
            "lowest": min(photo.scores(), default=None),
        }
        for number, photo in enumerate(made, 1)
    ]
    connection.execute(insert(schema.photos), rows)
    presences = [{"photo_id": number, "run_id": photo.run} for number, photo in enumerate(made, 1)]
    connection.execute(insert(schema.presences), presences)
    tags = [
        {
            "photo_id": number,
            "label_id": label_ids[label],
            "score": score,
            "by_person": photo.by_person(label),
            "run_id": photo.run,
            "made_at": NOON,
        }
        for number, photo in enumerate(made, 1)
        for label, score in photo.tags.items()
    ]
    if tags:
        connection.execute(insert(schema.tags), tags)


def begin(connection: Connection, run: int) -> None:
    row = {"id": run, "kind": "edit", "title": "", "status": "done", "options": {}}
    connection.execute(insert(schema.runs).values(**row, created_at=NOON))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Of an empty catalogue."""
    file = tmp_path_factory.mktemp("search") / "catalogue.db"
    engine = create_engine(os.environ.get("TAGGER_TEST_DATABASE") or f"sqlite:///{file}")
    schema.metadata.create_all(engine)
    yield engine
    schema.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """What is put in is taken back after the test."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def found(connection: Connection, query: str, sort: Sort = "oldest") -> list[int]:
    """The ids of all photos found, which every way to ask agrees on."""
    page, total = planner.find_page(connection, query, sort, 0, 10_000)
    assert len(page) == total == planner.count_photos(connection, query)
    assert sorted(page) == planner.find_ids(connection, query)
    return page


def test_and_binds_tighter_than_or_and_not_tighter_still(connection: Connection) -> None:
    put_in(
        connection,
        [
            Made(tags={"a": 0.9}),
            Made(tags={"a": 0.9, "b": 0.9}),
            Made(tags={"c": 0.9}),
            Made(tags={"b": 0.9, "c": 0.9}),
            Made(),
        ],
    )
    assert found(connection, "a OR b c") == [1, 2, 4]
    assert found(connection, "(a OR b) c") == [4]
    assert found(connection, "b c OR a") == [1, 2, 4]
    assert found(connection, "NOT a c") == [3, 4]
    assert found(connection, "NOT (a c)") == [1, 2, 3, 4, 5]
    assert found(connection, "NOT a OR b") == [2, 3, 4, 5]
    assert found(connection, "-a -b") == [3, 5]
    assert found(connection, "NOT NOT a") == [1, 2]
    assert found(connection, "(a b) OR (b c)") == [2, 4]
    assert found(connection, "") == [1, 2, 3, 4, 5]


def test_a_score_is_of_the_tags_beside_it(connection: Connection) -> None:
    put_in(
        connection,
        [
            Made(tags={"sea": 0.9, "dog": 0.3}),
            Made(tags={"sea": 0.6, "dog": 0.9}),
            Made(tags={"mountains": 0.8}),
            Made(tags={"sea": None}),  # given by a person
            Made(tags={"sea": 0.2}, confirmed=("sea",)),
            Made(tags={"dog": 0.85}),
            Made(),
        ],
    )
    assert found(connection, "sea score>=0.8") == [1, 4, 5]
    assert found(connection, "score>=80% sea") == [1, 4, 5]
    assert found(connection, "(sea OR mountains) score>=0.8") == [1, 3, 4, 5]
    assert found(connection, "(sea OR mountains) score>0.8") == [1, 4, 5]
    assert found(connection, "sea score<0.8") == [2]
    assert found(connection, "sea score:1") == [4, 5]
    assert found(connection, "sea dog score>=0.3") == [1, 2]
    assert found(connection, "sea dog score>=0.5") == [2]
    assert found(connection, "(sea score>=0.5) (dog score<0.5)") == [1]
    assert found(connection, "(sea OR dog score>=0.8) score<0.95") == [1, 2, 6]
    # Without a tag to be about: any tag, one tag that is all of it.
    assert found(connection, "score>=0.85") == [1, 2, 4, 5, 6]
    assert found(connection, "score>0.5 score<0.8") == [2]
    assert found(connection, "score<0.25 OR score>=0.95") == [4, 5]
    # NOT is about the tags beside it too; alone, it is every other photo.
    assert found(connection, "sea NOT score>=0.8") == [2]
    assert found(connection, "NOT score>=0.8") == [7]
    assert found(connection, "name:photo NOT score>=0.8") == [7]
    assert found(connection, "NOT sea score>=0.8") == [3, 6]
    assert found(connection, "NOT (sea score>=0.8)") == [2, 3, 6, 7]
    assert found(connection, "sea (score<0.7 OR score>0.95)") == [2, 4, 5]


def test_a_tag_without_a_score_counts_as_sure(connection: Connection) -> None:
    put_in(connection, [Made(tags={"sea": None}), Made(tags={"sea": 0.5})])
    connection.execute(update(schema.tags).values(by_person=False))
    assert found(connection, "sea score>=0.8") == [1]
    assert found(connection, "sea NOT score>=0.8") == [2]
    assert found(connection, "NOT score<0.8") == [1]


def test_who_gave_a_tag(connection: Connection) -> None:
    put_in(
        connection,
        [
            Made(tags={"cat": 0.9}),
            Made(tags={"cat": None}),
            Made(tags={"cat": 0.9, "dog": None}),
            Made(tags={"cat": 0.9}, confirmed=("cat",)),
            Made(),
        ],
    )
    assert found(connection, "by:person") == [2, 3, 4]
    assert found(connection, "by:model") == [1, 3]
    assert found(connection, "cat by:person") == [2, 4]
    assert found(connection, "cat by:model") == [1, 3]
    assert found(connection, "cat NOT by:person") == [1, 3]
    assert found(connection, "by:person score>=0.9") == [2, 3, 4]
    assert found(connection, "NOT by:person") == [1, 5]
    assert found(connection, "NOT by:person NOT by:model") == [5]


def test_a_tag_is_matched_whole_and_in_any_case(connection: Connection) -> None:
    names = ("Dog", "dogs", "hot dog", "Straße", "CAFÉ", "100%", "100x", "a_b", "axb", "\\", "猫")
    put_in(connection, [Made(tags={name: 0.9}) for name in names])
    assert found(connection, "dog") == found(connection, "DOG") == [1]
    assert found(connection, '"hot dog"') == [3]
    assert found(connection, "STRASSE") == found(connection, "straße") == [4]
    assert found(connection, "café") == found(connection, "cafe\u0301") == [5]
    assert found(connection, "cafe") == []
    assert found(connection, "100%") == [6]
    assert found(connection, "a_b") == [8]
    assert found(connection, "\\") == [10]
    assert found(connection, "猫") == [11]


def test_a_star_stands_for_any_text_and_nothing_else_does(connection: Connection) -> None:
    names = ("dog", "hot dog", "dogs", "100%", "100x", "a_b", "axb", "a*b", "\\x")
    put_in(connection, [*(Made(tags={name: 0.9}) for name in names), Made()])
    assert found(connection, "dog*") == [1, 3]
    assert found(connection, "*dog") == [1, 2]
    assert found(connection, "*dog*") == [1, 2, 3]
    assert found(connection, "D*G") == [1]
    assert found(connection, "1*%") == [4]
    assert found(connection, "a_*") == [6]
    assert found(connection, "a*b") == [6, 7, 8]
    assert found(connection, '"a*b"') == [8]
    assert found(connection, "\\*") == [9]
    assert found(connection, "*") == found(connection, "**") == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert found(connection, "* score>0.95") == []
    assert found(connection, "NOT *") == [10]


def test_states(connection: Connection) -> None:
    put_in(
        connection,
        [
            Made(tags={"unknown": 0.9}),
            Made(unknown=True),
            Made(reviewed=True, tags={"dog": None}),
            Made(model=None),
        ],
    )
    assert found(connection, "unknown") == [2]
    assert found(connection, '"unknown"') == [1]
    assert found(connection, "tagged") == [1, 3]
    assert found(connection, "untagged") == [2, 4]
    assert found(connection, "reviewed") == [3]
    assert found(connection, "NOT reviewed untagged") == [2, 4]


def test_a_name_has_the_text_in_it_whatever_it_is(connection: Connection) -> None:
    names = ("Holiday.JPG", "my holiday 2.jpg", "100%.jpg", "100x.jpg", "a_b.png", "axb.png")
    names += ("back\\slash.gif", "STRASSE.jpg", "Rügen.jpg", "o'brien; DROP TABLE photos.jpg")
    put_in(connection, [Made(name=name) for name in names])
    assert found(connection, "name:holiday") == found(connection, "name:HOLIDAY") == [1, 2]
    assert found(connection, 'name:"holiday 2"') == [2]
    assert found(connection, "name:0%") == [3]
    assert found(connection, "name:%") == [3]
    assert found(connection, "name:_") == [5]
    assert found(connection, "name:\\") == [7]
    assert found(connection, "name:straße") == [8]
    assert found(connection, "name:RÜGEN") == found(connection, "name:ru\u0308gen") == [9]
    assert found(connection, 'name:"*"') == []
    assert found(connection, 'name:"\'brien; drop table"') == [10]
    assert found(connection, "'; DROP TABLE photos; --x") == []
    assert found(connection, "name:'||name||'") == []
    assert len(found(connection, "")) == 10


def test_a_folder_is_part_of_the_path_but_not_the_name(connection: Connection) -> None:
    folders = ("/photos/2024/Sea", "/photos/2024", "/photos/20245", "/other/100%", "/other/100x")
    put_in(connection, [Made(name="sea.jpg", folder=folder) for folder in folders])
    assert found(connection, "folder:/photos/2024") == [1, 2, 3]
    assert found(connection, "folder:/photos/2024/") == [1, 2]
    assert found(connection, "folder:sea") == [1]
    assert found(connection, "folder:PHOTOS") == [1, 2, 3]
    assert found(connection, "folder:0%") == [4]
    assert found(connection, "folder:.jpg") == []


def test_with_an_asterisk_a_name_is_told_from_end_to_end(connection: Connection) -> None:
    names = ("IMG_1.jpg", "img_22.JPG", "IMGX.jpg", "old IMG_1.jpg", "IMG_1.jpg.png", "a*b.gif")
    put_in(connection, [Made(name=name) for name in names])
    assert found(connection, "name:img_*.jpg") == [1, 2]
    assert found(connection, "name:img*") == [1, 2, 3, 5]
    assert found(connection, "name:*.jpg") == [1, 2, 3, 4]
    assert found(connection, "name:*_*g") == [1, 2, 4, 5]
    assert found(connection, "name:*") == [1, 2, 3, 4, 5, 6]
    assert found(connection, "name:img*2*") == [2]
    assert found(connection, 'name:"*"') == [6]
    assert found(connection, "-name:*.jpg") == [5, 6]


def test_with_an_asterisk_a_folder_is_told_from_its_beginning(connection: Connection) -> None:
    folders = ("/photos/2024/raw", "/photos/2024", "/photos/2025/raw/x", "/old/photos", "/a*b")
    put_in(connection, [Made(name="raw.jpg", folder=folder) for folder in folders])
    assert found(connection, "folder:/photos/*/raw") == [1, 3]
    assert found(connection, "folder:/PHOTOS/20*") == [1, 2, 3]
    assert found(connection, "folder:/photos/2024/*") == [1, 2]
    assert found(connection, "folder:*/photos") == [1, 2, 3, 4]
    assert found(connection, "folder:*raw") == [1, 3]
    assert found(connection, "folder:*/raw/") == [1, 3]
    assert found(connection, "folder:photos*") == []
    assert found(connection, "folder:*") == [1, 2, 3, 4, 5]
    assert found(connection, 'folder:"a*b"') == [5]


def test_dates_are_whole_periods(connection: Connection) -> None:
    def at(*parts: int) -> datetime:
        return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]

    moments = [
        at(2025, 12, 31, 23, 59, 59, 999999),
        at(2026, 1, 1),
        at(2026, 1, 1, 23, 59, 59, 999999),
        at(2026, 1, 2),
        at(2026, 1, 31, 23, 59, 59),
        at(2026, 2, 1),
        at(2027, 1, 1),
    ]
    made = [Made(added=moment, taken=moment.replace(tzinfo=None)) for moment in moments]
    put_in(connection, [*made, Made(added=at(1999, 1, 1))])
    assert found(connection, "added>2026-01-01") == [4, 5, 6, 7]
    for name, rest in (("added", [8]), ("taken", [])):
        assert found(connection, f"{name}>2026-01-01") == [4, 5, 6, 7]
        assert found(connection, f"{name}>=2026-01-01") == [2, 3, 4, 5, 6, 7]
        assert found(connection, f"{name}:2026-01-01") == [2, 3]
        assert found(connection, f"{name}:2026-01") == [2, 3, 4, 5]
        assert found(connection, f"{name}:2026") == [2, 3, 4, 5, 6]
        assert found(connection, f"{name}<2026-01-01") == [*rest, 1]
        assert found(connection, f"{name}<=2026-01-01") == [*rest, 1, 2, 3]
        assert found(connection, f"{name}>2026") == [7]
        assert found(connection, f"{name}<=2026-01") == [*rest, 1, 2, 3, 4, 5]
    assert found(connection, "NOT taken<2027") == [8, 7]  # nobody knows when the eighth was
    assert found(connection, "NOT taken>=2026") == [8, 1]
    assert found(connection, "added>0001 added<9998") == [8, 1, 2, 3, 4, 5, 6, 7]


def test_time_added_is_compared_in_utc(connection: Connection) -> None:
    east = datetime.fromisoformat("2026-01-02T01:00:00+02:00")  # the day before, in UTC
    put_in(connection, [Made(added=east)])
    assert found(connection, "added:2026-01-01") == [1]
    assert found(connection, "added:2026-01-02") == []


def test_model_and_id(connection: Connection) -> None:
    put_in(connection, [Made(model="Pets"), Made(model="everyday"), Made(model=None)])
    assert found(connection, "model:pets") == [1]
    assert found(connection, "model:pet") == []
    assert found(connection, "NOT model:pets") == [2, 3]
    assert found(connection, "id:2 OR id:3") == [2, 3]
    assert found(connection, "id:999999999") == []


def test_a_run_finds_what_it_changed(connection: Connection) -> None:
    put_in(connection, [Made(tags={"dog": 0.9}) for _ in range(6)])
    begin(connection, 2)
    begin(connection, 3)
    said = {"label_id": 1, "present": True, "made_at": NOON, "run_id": 2}
    connection.execute(insert(schema.verdicts).values(photo_id=1, **said))
    connection.execute(insert(schema.verdicts).values(photo_id=2, **said, ended_by=3))
    model = {"model_id": 1, "confidence": 0.9, "tags": [], "scores": [], "made_at": NOON}
    answer = {**model, "run_id": 2}
    connection.execute(insert(schema.predictions).values(photo_id=3, **answer))
    here = {"run_id": 2, "ended_by": 3}
    connection.execute(insert(schema.presences).values(photo_id=4, **here))
    assert found(connection, "run:1") == [1, 2, 3, 4, 5, 6]
    assert found(connection, "run:2") == [1, 2, 3, 4]
    assert found(connection, "run:3") == [2, 4]
    assert found(connection, "NOT run:2 dog") == [5, 6]
    assert found(connection, "run:4") == []


def test_deleted_photos_are_never_found(connection: Connection) -> None:
    made = [Made(tags={"dog": 0.9, "cat": None}), Made(tags={"dog": 0.9}), Made(unknown=True)]
    gone = [
        Made(tags={"dog": 0.9, "emu": None}, unknown=True, reviewed=True, deleted=True),
        Made(tags={"cat": None}, deleted=True),
    ]
    put_in(connection, [*made, *gone])
    assert found(connection, "") == [1, 2, 3]
    assert found(connection, "dog") == [1, 2]
    assert found(connection, "NOT dog") == [3]
    assert found(connection, "NOT reviewed") == [1, 2, 3]
    assert found(connection, "dog OR unknown") == [1, 2, 3]
    assert found(connection, "dog name:photo") == [1, 2]
    assert found(connection, "dog NOT cat") == [2]
    assert found(connection, "by:person") == [1]
    assert found(connection, "score>=0.5") == [1, 2]
    assert found(connection, "id:4") == []
    assert found(connection, "run:1") == [1, 2, 3]
    assert planner.count_labels(connection, "") == [("dog", 2), ("cat", 1)]
    assert planner.count_labels(connection, "dog") == [("dog", 2), ("cat", 1)]
    assert planner.count_labels(connection, "emu OR unknown") == []


def test_labels_are_counted_most_frequent_first_then_by_name(connection: Connection) -> None:
    tags = [{"b": 0.9, "a": 0.9}, {"c": None, "b": 0.2}, {"d": 0.5}, {}]
    put_in(connection, [Made(tags=dict(some)) for some in tags])
    counts = planner.count_labels
    assert counts(connection, "") == [("b", 2), ("a", 1), ("c", 1), ("d", 1)]
    assert counts(connection, "a OR d") == [("a", 1), ("b", 1), ("d", 1)]
    assert counts(connection, "NOT b") == [("d", 1)]
    assert counts(connection, "c OR name:nothing") == [("b", 1), ("c", 1)]
    assert counts(connection, "b score>0.5") == [("a", 1), ("b", 1)]
    assert counts(connection, "untagged") == counts(connection, "nothing") == []


def test_every_order_and_nulls_last(connection: Connection) -> None:
    def day(number: int) -> datetime:
        return NOON + timedelta(days=number)

    put_in(
        connection,
        [
            Made(name="b", added=day(2), taken=None, confidence=None, doubt=0.1),
            Made(name="C", added=day(1), taken=datetime(2020, 1, 1), confidence=0.9, doubt=None),
            Made(name="a", added=day(3), taken=datetime(2021, 1, 1), confidence=0.2, doubt=1.5),
            Made(name="a", added=day(3), taken=datetime(2021, 1, 1), confidence=0.2, doubt=1.5),
        ],
    )
    assert found(connection, "", "newest") == [4, 3, 1, 2]
    assert found(connection, "", "oldest") == [2, 1, 3, 4]
    assert found(connection, "", "taken") == [4, 3, 2, 1]
    assert found(connection, "", "name") == [3, 4, 1, 2]
    assert found(connection, "", "surest") == [2, 4, 3, 1]
    assert found(connection, "", "doubtful") == [4, 3, 1, 2]


@pytest.mark.parametrize("text", ["a AND", "colour:red", "a\x00", '"', "x" * 1001])
def test_a_bad_query_is_refused_everywhere(connection: Connection, text: str) -> None:
    for ask in (planner.find_ids, planner.count_photos, planner.count_labels):
        with pytest.raises(QueryError):
            ask(connection, text)
    with pytest.raises(QueryError):
        planner.find_page(connection, text, "newest", 0, 48)


# The same questions put to a few thousand photos and, in Python, to the list they were made of.

WORDS = ("Dog", "dogs", "cat", "sea", "100%", "Straße")
SCORES = (None, 0.0, 0.25, 0.5, 0.75, 0.8, 1.0)


def make_many() -> list[Made]:
    rng = np.random.default_rng(0)

    def one() -> Made:
        words = [word for word in WORDS if rng.random() < 0.3]
        tags = {word: SCORES[rng.integers(len(SCORES))] for word in words}
        when = datetime(2024, 1, 1) + timedelta(days=int(rng.integers(900)))
        return Made(
            name=str(rng.choice(["IMG_1.jpg", "Holiday%.jpg", "holiday_2.PNG", "ÅRE.jpg"])),
            tags=tags,
            confirmed=tuple(word for word in words if rng.random() < 0.1),
            added=when.replace(tzinfo=UTC) + timedelta(days=int(rng.integers(30))),
            taken=when if rng.random() < 0.8 else None,
            folder=str(rng.choice(["/photos/2024", "/photos/Sea", "/100%"])),
            model=str(rng.choice(["pets", "everyday"])) if rng.random() < 0.9 else None,
            confidence=None if rng.random() < 0.1 else float(rng.choice(SCORES[1:])),
            doubt=None if rng.random() < 0.1 else float(rng.choice(SCORES[1:])),
            unknown=rng.random() < 0.1,
            reviewed=rng.random() < 0.2,
            deleted=rng.random() < 0.05,
            run=int(rng.integers(1, 4)),
        )

    return [one() for _ in range(planner.MAX_SORTED + 1000)]


class Many:
    """A library of a few thousand, and what it was made of, without the deleted, by id."""

    def __init__(self, connection: Connection, made: Sequence[Made]) -> None:
        self.connection = connection
        self.made = {i: photo for i, photo in enumerate(made, 1) if not photo.deleted}


@pytest.fixture
def many(connection: Connection) -> Many:
    made = make_many()
    put_in(connection, made)
    if connection.dialect.name == "postgresql":  # it would see to that itself, in a while
        connection.exec_driver_sql("ANALYZE")
    return Many(connection, made)


def holds(tree: Query, number: int, photo: Made, scope: tuple[Query, ...] = ()) -> bool:
    """The grammar's meaning, for one photo."""
    match tree:
        case Everything():
            return True
        case Flag(name):
            states = {"unknown": photo.unknown, "reviewed": photo.reviewed}
            return {**states, "tagged": bool(photo.tags), "untagged": not photo.tags}[name]
        case Label():
            called = [tag for tag in photo.tags if alike(tree, tag)]
            return any(all(counts(s, photo, tag) for s in scope) for tag in called)
        case Not(term):
            return not holds(term, number, photo)
        case Or(terms):
            return any(holds(term, number, photo, scope) for term in terms)
        case And(terms):
            asked = any(map(asks, terms))
            own = [t for t in terms if about_tags(t) and (asked or not isinstance(t, Not))]
            rest = [t for t in terms if not any(t is o for o in own)]
            scope = (*scope, *own)
            some = any(all(counts(s, photo, tag) for s in scope) for tag in photo.tags)
            return (asked or not own or some) and all(
                holds(term, number, photo, scope) for term in rest
            )
        case Condition("score" | "by"):
            return any(all(counts(s, photo, tag) for s in (tree, *scope)) for tag in photo.tags)
        case Condition("name", _, value, True):
            return whole(fold(value), fold(photo.name))
        case Condition("folder", _, value, True):
            above = value.lower().removesuffix("*") if value.endswith("/*") else value.lower()
            parts = photo.folder.lower().split("/")
            folders = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
            return any(whole(above.removesuffix("/"), folder) for folder in folders)
        case Condition(name, comparison, value):
            return in_field(name, comparison, value, number, photo)
    raise AssertionError(tree)


def alike(label: Label, tag: str) -> bool:
    pattern, text = fold(label.name), fold(tag)
    return whole(pattern, text) if label.wildcard else pattern == text


def whole(pattern: str, text: str) -> bool:
    """Whether a text is as a pattern says from end to end, `*` being any text."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL))


def asks(tree: Query) -> bool:
    return isinstance(tree, Label) or (isinstance(tree, And | Or) and any(map(asks, tree.terms)))


def about_tags(tree: Query) -> bool:
    match tree:
        case Condition(name):
            return name in ("score", "by")
        case Not(term):
            return about_tags(term)
        case And(terms) | Or(terms):
            return all(map(about_tags, terms))
    return False


def counts(tree: Query, photo: Made, tag: str) -> bool:
    match tree:
        case Condition("by", _, who):
            return photo.by_person(tag) == (who == "person")
        case Condition("score", comparison, value):
            score = photo.tags[tag]
            return compared(
                1.0 if score is None or photo.by_person(tag) else score, comparison, float(value)
            )
        case Not(term):
            return not counts(term, photo, tag)
        case And(terms):
            return all(counts(term, photo, tag) for term in terms)
        case Or(terms):
            return any(counts(term, photo, tag) for term in terms)
    raise AssertionError(tree)


def compared(left: float, comparison: str, right: float) -> bool:
    return {
        "<": left < right,
        "<=": left <= right,
        "=": left == right,
        ">=": left >= right,
        ">": left > right,
    }[comparison]


def in_field(name: str, comparison: str, value: str, number: int, photo: Made) -> bool:
    match name:
        case "name":
            return fold(value) in fold(photo.name)
        case "folder":
            lower = value.lower()
            return lower in (photo.folder + ("/" if lower.endswith("/") else "")).lower()
        case "model":
            return photo.model is not None and photo.model.lower() == value.lower()
        case "run":
            return photo.run == int(value)
        case "id":
            return number == int(value)
    moment = photo.taken if name == "taken" else photo.added.replace(tzinfo=None)
    if moment is None:
        return False
    begin, end = date_range(value)
    return {
        "<": moment < begin,
        "<=": moment < end,
        "=": begin <= moment < end,
        ">=": moment >= begin,
        ">": moment >= end,
    }[comparison]


COMPARISONS = st.sampled_from(("<", "<=", "=", ">=", ">"))
TERMS: st.SearchStrategy[Query] = st.one_of(
    st.builds(Label, st.sampled_from((*WORDS, "DOG", "STRASSE", "none", "100_"))),
    st.builds(Label, st.sampled_from(("*", "d*", "*a*", "*%", "1*0*", "_*")), st.just(True)),
    st.builds(Flag, st.sampled_from(("unknown", "untagged", "tagged", "reviewed"))),
    st.builds(
        Condition, st.just("score"), COMPARISONS, st.sampled_from(("0", "0.25", "0.8", "0.9", "1"))
    ),
    st.builds(Condition, st.just("by"), st.just("="), st.sampled_from(("person", "model"))),
    st.builds(
        Condition,
        st.sampled_from(("added", "taken")),
        COMPARISONS,
        st.sampled_from(("2024", "2025-02", "2025-06-15")),
    ),
    st.builds(
        Condition,
        st.just("name"),
        st.just("="),
        st.sampled_from(("holiday", "%", "_", "åre", "PNG")),
    ),
    st.builds(
        Condition,
        st.just("folder"),
        st.just("="),
        st.sampled_from(("sea", "/photos/", "%", "holiday")),
    ),
    st.builds(
        Condition,
        st.sampled_from(("name", "folder")),
        st.just("="),
        st.sampled_from(("*", "*.PNG", "*o*", "holi*", "/photos/*", "/*/sea", "*0%", "*/")),
        st.just(True),
    ),
    st.builds(Condition, st.just("model"), st.just("="), st.sampled_from(("Pets", "other"))),
    st.builds(Condition, st.just("run"), st.just("="), st.sampled_from(("1", "3", "9"))),
    st.builds(Condition, st.just("id"), st.just("="), st.sampled_from(("1", "17", "99999"))),
)


def _several(terms: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    some = st.lists(terms, min_size=2, max_size=3).map(tuple)
    return st.builds(And, some) | st.builds(Or, some) | st.builds(Not, terms)


TREES = st.recursive(TERMS, _several, max_leaves=6)
MANY = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@MANY
@given(tree=TREES, sort=st.sampled_from(get_args(Sort)), start=st.integers(0, 3000))
def test_the_database_means_what_the_grammar_means(
    many: Many, tree: Query, sort: Sort, start: int
) -> None:
    connection, made = many.connection, many.made
    right = {number for number, photo in made.items() if holds(tree, number, photo)}
    everything, total = planner.find_page(connection, tree, sort, 0, 10_000)
    assert len(everything) == total and set(everything) == right
    assert planner.find_page(connection, tree, sort, start, 7) == (
        everything[start : start + 7],
        total,
    )
    assert planner.find_ids(connection, tree) == sorted(right)
    labels = Counter(tag for number in right for tag in made[number].tags)
    expected = sorted(labels.items(), key=lambda pair: (-pair[1], pair[0]))
    assert planner.count_labels(connection, tree) == expected


@MANY
@given(tree=TREES)
def test_not_is_every_other_photo(many: Many, tree: Query) -> None:
    connection, made = many.connection, many.made
    both = planner.count_photos(connection, tree) + planner.count_photos(connection, Not(tree))
    assert both == len(made)
    assert planner.count_photos(connection, And((tree, Not(tree)))) == 0 or about_tags(tree)


@MANY
@given(st.lists(st.sampled_from(("dog", "name:", "'", "%", "_", "*", '"', " ")) | st.text()))
def test_any_text_finds_photos_or_is_a_query_error(many: Many, pieces: list[str]) -> None:
    connection, made = many.connection, many.made
    text = "".join(pieces)
    try:
        tree = parse(text)
    except QueryError:
        assume(False)
    right = [number for number, photo in made.items() if holds(tree, number, photo)]
    assert planner.find_ids(connection, text) == right


def test_pages_follow_each_other_in_every_order(
    many: Many,
) -> None:
    connection = many.connection
    for sort in get_args(Sort):
        for query in ("", "cat", "NOT (cat sea)", "score>=0.5"):
            whole, total = planner.find_page(connection, query, sort, 0, 10_000)
            assert len(whole) == len(set(whole)) == total
            pages = [
                number
                for start in range(0, total + 500, 500)
                for number in planner.find_page(connection, query, sort, start, 500)[0]
            ]
            assert pages == whole


def test_photos_that_are_all_at_the_far_end_are_found(connection: Connection) -> None:
    some = planner.MAX_SORTED + 500
    far = [Made(tags={"dog": 0.9}, added=NOON) for _ in range(some)]
    close = [Made(added=NOON + timedelta(days=1)) for _ in range(some)]
    put_in(connection, [*far, *close])
    dogs = list(range(1, some + 1))
    assert planner.find_page(connection, "dog", "oldest", 0, 48) == (dogs[:48], some)
    assert planner.find_page(connection, "dog", "newest", 0, 48) == (dogs[:-49:-1], some)
    assert planner.find_page(connection, "dog", "newest", some - 5, 48) == (dogs[4::-1], some)
    assert planner.find_page(connection, "dog", "newest", some, 48) == ([], some)
    assert planner.find_page(connection, "dog", "newest", 0, 0) == ([], some)

"""Conditions of queries: which photos match, checked on a few rows."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, insert, update

from tagger.library.database import schema
from tagger.library.records import Sort
from tagger.library.search import planner
from tagger.library.search.grammar import parse
from tests.library.conftest import NOON, VOCABULARY, PhotoSpec, insert_operation, insert_photos


def find(connection: Connection, query: str, sort: Sort = "oldest") -> list[int]:
    """The ids of all matches; page, count and list of ids must agree."""
    tree = parse(query)
    page, total = planner.find_page(connection, tree, VOCABULARY, sort, 0, 10_000)
    assert len(page) == total == planner.count_photos(connection, tree, VOCABULARY)
    assert sorted(page) == planner.find_ids(connection, tree, VOCABULARY)
    return page


def test_not_binds_tighter_than_and_which_binds_tighter_than_or(connection: Connection) -> None:
    insert_photos(
        connection,
        [
            PhotoSpec(tags={"a": 0.9}),
            PhotoSpec(tags={"a": 0.9, "b": 0.9}),
            PhotoSpec(tags={"c": 0.9}),
            PhotoSpec(tags={"b": 0.9, "c": 0.9}),
            PhotoSpec(),
        ],
    )
    assert find(connection, "a OR b c") == [1, 2, 4]
    assert find(connection, "(a OR b) c") == [4]
    assert find(connection, "b c OR a") == [1, 2, 4]
    assert find(connection, "NOT a c") == [3, 4]
    assert find(connection, "NOT (a c)") == [1, 2, 3, 4, 5]
    assert find(connection, "NOT a OR b") == [2, 3, 4, 5]
    assert find(connection, "-a -b") == [3, 5]
    assert find(connection, "NOT NOT a") == [1, 2]
    assert find(connection, "(a b) OR (b c)") == [2, 4]
    assert find(connection, "") == [1, 2, 3, 4, 5]


def test_a_score_applies_to_the_tags_of_its_group(connection: Connection) -> None:
    insert_photos(
        connection,
        [
            PhotoSpec(tags={"sea": 0.9, "dog": 0.3}),
            PhotoSpec(tags={"sea": 0.6, "dog": 0.9}),
            PhotoSpec(tags={"mountains": 0.8}),
            PhotoSpec(tags={"sea": None}),  # by a person
            PhotoSpec(tags={"sea": 0.2}, confirmed=("sea",)),
            PhotoSpec(tags={"dog": 0.85}),
            PhotoSpec(),
        ],
    )
    assert find(connection, "sea score>=0.8") == [1, 4, 5]
    assert find(connection, "score>=80% sea") == [1, 4, 5]
    assert find(connection, "(sea OR mountains) score>=0.8") == [1, 3, 4, 5]
    assert find(connection, "(sea OR mountains) score>0.8") == [1, 4, 5]
    assert find(connection, "sea score<0.8") == [2]
    assert find(connection, "sea score:1") == [4, 5]
    assert find(connection, "sea dog score>=0.3") == [1, 2]
    assert find(connection, "sea dog score>=0.5") == [2]
    assert find(connection, "(sea score>=0.5) (dog score<0.5)") == [1]
    assert find(connection, "(sea OR dog score>=0.8) score<0.95") == [1, 2, 6]
    # In a group without a tag: any tag that meets all conditions.
    assert find(connection, "score>=0.85") == [1, 2, 4, 5, 6]
    assert find(connection, "score>0.5 score<0.8") == [2]
    assert find(connection, "score<0.25 OR score>=0.95") == [4, 5]
    # NOT applies to the tags of the group as well; alone, it matches all other photos.
    assert find(connection, "sea NOT score>=0.8") == [2]
    assert find(connection, "NOT score>=0.8") == [7]
    assert find(connection, "name:photo NOT score>=0.8") == [7]
    assert find(connection, "NOT sea score>=0.8") == [3, 6]
    assert find(connection, "NOT (sea score>=0.8)") == [2, 3, 6, 7]
    assert find(connection, "sea (score<0.7 OR score>0.95)") == [2, 4, 5]


def test_a_tag_without_a_score_counts_as_one(connection: Connection) -> None:
    insert_photos(connection, [PhotoSpec(tags={"sea": None}), PhotoSpec(tags={"sea": 0.5})])
    connection.execute(update(schema.tags).values(by_person=False))
    assert find(connection, "sea score>=0.8") == [1]
    assert find(connection, "sea NOT score>=0.8") == [2]
    assert find(connection, "NOT score<0.8") == [1]


def test_by_selects_tags_of_people_or_models(connection: Connection) -> None:
    insert_photos(
        connection,
        [
            PhotoSpec(tags={"cat": 0.9}),
            PhotoSpec(tags={"cat": None}),
            PhotoSpec(tags={"cat": 0.9, "dog": None}),
            PhotoSpec(tags={"cat": 0.9}, confirmed=("cat",)),
            PhotoSpec(),
        ],
    )
    assert find(connection, "by:person") == [2, 3, 4]
    assert find(connection, "by:model") == [1, 3]
    assert find(connection, "cat by:person") == [2, 4]
    assert find(connection, "cat by:model") == [1, 3]
    assert find(connection, "cat NOT by:person") == [1, 3]
    assert find(connection, "by:person score>=0.9") == [2, 3, 4]
    assert find(connection, "NOT by:person") == [1, 5]
    assert find(connection, "NOT by:person NOT by:model") == [5]


def test_a_tag_matches_whole_names_in_any_case(connection: Connection) -> None:
    names = ("Dog", "dogma", "hot dog", "Straße", "RÜGEN", "100%", "100x", "a_b", "axb", "\\", "猫")
    insert_photos(connection, [PhotoSpec(tags={name: 0.9}) for name in names])
    assert find(connection, "dog") == find(connection, "DOG") == [1]
    assert find(connection, '"hot dog"') == [3]
    assert find(connection, "STRASSE") == find(connection, "straße") == [4]
    assert find(connection, "rügen") == find(connection, "ru\u0308gen") == [5]
    assert find(connection, "rugen") == []
    assert find(connection, "100%") == [6]
    assert find(connection, "a_b") == [8]
    assert find(connection, "\\") == [10]
    assert find(connection, "猫") == [11]


def test_a_word_finds_its_synonyms_and_what_is_below(connection: Connection) -> None:
    names = ("person", "Man", "kids", "dog", "golden_retriever", "puppy", "hot dog", "football")
    insert_photos(connection, [*(PhotoSpec(tags={name: 0.9}) for name in names), PhotoSpec()])
    assert find(connection, "people") == find(connection, "tag:PERSON") == [1, 2, 3]
    assert find(connection, "child") == find(connection, '"little girl"') == [3]
    assert find(connection, "animal") == find(connection, "dogs") == [4, 5, 6]
    assert find(connection, '"golden retrievers"') == [5]
    assert find(connection, "-animal") == [1, 2, 3, 7, 8, 9]
    assert find(connection, "food OR man") == [2, 7]
    assert find(connection, "sport") == [8]
    assert find(connection, "soccer") == []
    assert find(connection, "giraffe") == []
    assert find(connection, "giraffe OR people -kid") == [1, 2]


def test_the_scores_of_a_group_apply_to_all_that_a_word_finds(connection: Connection) -> None:
    tags: list[dict[str, float | None]] = [
        {"dog": 0.9, "cat": 0.3},
        {"cat": 0.9, "tree": 0.2},
        {"dog": 0.4, "tree": 0.9},
        {"poodle": None},
    ]
    insert_photos(connection, [PhotoSpec(tags=each) for each in tags])
    assert find(connection, "animal score>=0.8") == [1, 2, 4]
    assert find(connection, "animal score<0.5") == [1, 3]
    assert find(connection, "pets by:person") == [4]
    assert find(connection, "animal plant score>=0.8") == []
    assert find(connection, "animal (plant score>=0.8)") == [3]


def test_an_exact_tag_leaves_the_vocabulary_out(connection: Connection) -> None:
    names = ("dog", "dogs", "poodle", "do*")
    insert_photos(connection, [PhotoSpec(tags={name: 0.9}) for name in names])
    assert find(connection, "tag==DOG") == [1]
    assert find(connection, "-tag==dog dog") == [2, 3]
    assert find(connection, "tag==do*") == [4]
    assert find(connection, "tag==animal") == []


def test_a_label_of_a_words_own_name_always_counts(connection: Connection) -> None:
    names = ("plane", "airplane", "spade", "Hammer")
    insert_photos(connection, [PhotoSpec(tags={name: 0.9}) for name in names])
    assert find(connection, "plane") == [1, 2]
    assert find(connection, "airplane") == [2]
    assert find(connection, "tool") == [1, 3, 4]


def test_words_that_find_many_labels_can_be_combined(connection: Connection) -> None:
    tags = [tag for tag in VOCABULARY.entries if "animal" in VOCABULARY.ancestors(tag)]
    assert len(tags) > 500
    insert_photos(connection, [*(PhotoSpec(tags={tag: 0.9}) for tag in tags), PhotoSpec()])
    assert find(connection, "animal") == list(range(1, len(tags) + 1))
    assert find(connection, "NOT animal") == [len(tags) + 1]
    many = " OR ".join(("animal", "people", "food", "clothing", "vehicles", "sport", "tool"))
    assert len(find(connection, f"({many}) -poodle")) == len(tags) - 4


def test_only_an_asterisk_is_a_wildcard(connection: Connection) -> None:
    names = ("dog", "hot dog", "dogs", "100%", "100x", "a_b", "axb", "a*b", "\\x")
    insert_photos(connection, [*(PhotoSpec(tags={name: 0.9}) for name in names), PhotoSpec()])
    assert find(connection, "dog*") == [1, 3]
    assert find(connection, "*dog") == [1, 2]
    assert find(connection, "*dog*") == [1, 2, 3]
    assert find(connection, "D*G") == [1]
    assert find(connection, "1*%") == [4]
    assert find(connection, "a_*") == [6]
    assert find(connection, "a*b") == [6, 7, 8]
    assert find(connection, '"a*b"') == [8]
    assert find(connection, "\\*") == [9]
    assert find(connection, "*") == find(connection, "**") == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert find(connection, "* score>0.95") == []
    assert find(connection, "NOT *") == [10]


def test_states_of_photos(connection: Connection) -> None:
    insert_photos(
        connection,
        [
            PhotoSpec(tags={"unknown": 0.9}),
            PhotoSpec(unknown=True),
            PhotoSpec(reviewed=True, tags={"dog": None}),
            PhotoSpec(model=None),
        ],
    )
    assert find(connection, "unknown") == [2]
    assert find(connection, '"unknown"') == [1]
    assert find(connection, "tagged") == [1, 3]
    assert find(connection, "untagged") == [2, 4]
    assert find(connection, "reviewed") == [3]
    assert find(connection, "NOT reviewed untagged") == [2, 4]


def test_a_name_contains_the_text_literally(connection: Connection) -> None:
    names = ("Holiday.JPG", "my holiday 2.jpg", "100%.jpg", "100x.jpg", "a_b.png", "axb.png")
    names += ("back\\slash.gif", "STRASSE.jpg", "Rügen.jpg", "o'brien; DROP TABLE photos.jpg")
    insert_photos(connection, [PhotoSpec(name=name) for name in names])
    assert find(connection, "name:holiday") == find(connection, "name:HOLIDAY") == [1, 2]
    assert find(connection, 'name:"holiday 2"') == [2]
    assert find(connection, "name:0%") == [3]
    assert find(connection, "name:%") == [3]
    assert find(connection, "name:_") == [5]
    assert find(connection, "name:\\") == [7]
    assert find(connection, "name:straße") == [8]
    assert find(connection, "name:RÜGEN") == find(connection, "name:ru\u0308gen") == [9]
    assert find(connection, 'name:"*"') == []
    assert find(connection, 'name:"\'brien; drop table"') == [10]
    assert find(connection, "'; DROP TABLE photos; --x") == []
    assert find(connection, "name:'||name||'") == []
    assert len(find(connection, "")) == 10


def test_a_folder_matches_the_path_without_the_file_name(connection: Connection) -> None:
    folders = ("/photos/2024/Sea", "/photos/2024", "/photos/20245", "/other/100%", "/other/100x")
    insert_photos(connection, [PhotoSpec(name="sea.jpg", folder=folder) for folder in folders])
    assert find(connection, "folder:/photos/2024") == [1, 2, 3]
    assert find(connection, "folder:/photos/2024/") == [1, 2]
    assert find(connection, "folder:sea") == [1]
    assert find(connection, "folder:PHOTOS") == [1, 2, 3]
    assert find(connection, "folder:0%") == [4]
    assert find(connection, "folder:.jpg") == []


def test_a_name_with_an_asterisk_matches_as_a_whole(connection: Connection) -> None:
    names = ("IMG_1.jpg", "img_22.JPG", "IMGX.jpg", "old IMG_1.jpg", "IMG_1.jpg.png", "a*b.gif")
    insert_photos(connection, [PhotoSpec(name=name) for name in names])
    assert find(connection, "name:img_*.jpg") == [1, 2]
    assert find(connection, "name:img*") == [1, 2, 3, 5]
    assert find(connection, "name:*.jpg") == [1, 2, 3, 4]
    assert find(connection, "name:*_*g") == [1, 2, 4, 5]
    assert find(connection, "name:*") == [1, 2, 3, 4, 5, 6]
    assert find(connection, "name:img*2*") == [2]
    assert find(connection, 'name:"*"') == [6]
    assert find(connection, "-name:*.jpg") == [5, 6]


def test_a_folder_with_an_asterisk_matches_from_the_start(connection: Connection) -> None:
    folders = ("/photos/2024/raw", "/photos/2024", "/photos/2025/raw/x", "/old/photos", "/a*b")
    insert_photos(connection, [PhotoSpec(name="raw.jpg", folder=folder) for folder in folders])
    assert find(connection, "folder:/photos/*/raw") == [1, 3]
    assert find(connection, "folder:/PHOTOS/20*") == [1, 2, 3]
    assert find(connection, "folder:/photos/2024/*") == [1, 2]
    assert find(connection, "folder:*/photos") == [1, 2, 3, 4]
    assert find(connection, "folder:*raw") == [1, 3]
    assert find(connection, "folder:*/raw/") == [1, 3]
    assert find(connection, "folder:photos*") == []
    assert find(connection, "folder:*") == [1, 2, 3, 4, 5]
    assert find(connection, 'folder:"a*b"') == [5]


def test_dates_are_compared_as_whole_periods(connection: Connection) -> None:
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
    specs = [PhotoSpec(added=moment, taken=moment.replace(tzinfo=None)) for moment in moments]
    insert_photos(connection, [*specs, PhotoSpec(added=at(1999, 1, 1))])
    assert find(connection, "added>2026-01-01") == [4, 5, 6, 7]
    for name, rest in (("added", [8]), ("taken", [])):
        assert find(connection, f"{name}>2026-01-01") == [4, 5, 6, 7]
        assert find(connection, f"{name}>=2026-01-01") == [2, 3, 4, 5, 6, 7]
        assert find(connection, f"{name}:2026-01-01") == [2, 3]
        assert find(connection, f"{name}:2026-01") == [2, 3, 4, 5]
        assert find(connection, f"{name}:2026") == [2, 3, 4, 5, 6]
        assert find(connection, f"{name}<2026-01-01") == [*rest, 1]
        assert find(connection, f"{name}<=2026-01-01") == [*rest, 1, 2, 3]
        assert find(connection, f"{name}>2026") == [7]
        assert find(connection, f"{name}<=2026-01") == [*rest, 1, 2, 3, 4, 5]
    assert find(connection, "NOT taken<2027") == [8, 7]  # the eighth has no date
    assert find(connection, "NOT taken>=2026") == [8, 1]
    everything = [8, 1, 2, 3, 4, 5, 6, 7]
    for period in ("0001", "0001-01", "0001-01-01"):
        assert find(connection, f"taken:{period}") == find(connection, f"added:{period}") == []
        assert find(connection, f"taken>={period}") == [1, 2, 3, 4, 5, 6, 7]
        assert find(connection, f"added>={period}") == find(connection, f"NOT taken:{period}")
        assert find(connection, f"NOT taken:{period}") == everything
        assert find(connection, f"NOT taken>={period}") == [8]
        assert find(connection, f"taken<={period}") == find(connection, f"taken<{period}") == []
    assert find(connection, "added>0001 added<9998") == [8, 1, 2, 3, 4, 5, 6, 7]


def test_time_added_is_compared_in_utc(connection: Connection) -> None:
    east = datetime.fromisoformat("2026-01-02T01:00:00+02:00")  # the day before, in UTC
    insert_photos(connection, [PhotoSpec(added=east)])
    assert find(connection, "added:2026-01-01") == [1]
    assert find(connection, "added:2026-01-02") == []


def test_model_and_id_match_exactly(connection: Connection) -> None:
    insert_photos(connection, [PhotoSpec(model=name) for name in ("Pets", "everyday", None)])
    assert find(connection, "model:pets") == [1]
    assert find(connection, "model:pet") == []
    assert find(connection, "NOT model:pets") == [2, 3]
    assert find(connection, "id:2 OR id:3") == [2, 3]
    assert find(connection, "id:999999999") == []


def test_ratings_and_captions_are_found(connection: Connection) -> None:
    texts = [None, "Straße im Regen", "100% rain", None]
    specs = [PhotoSpec(rating=r, caption=t) for r, t in zip((0, 3, 5, 5), texts, strict=True)]
    insert_photos(connection, specs)
    assert find(connection, "rating>=3") == [2, 3, 4]
    assert find(connection, "rating:0") == find(connection, "-rating>0") == [1]
    assert find(connection, "is:favourite") == find(connection, "favourite") == [3, 4]
    assert find(connection, "NOT favourite caption:STRASSE") == [2]
    assert find(connection, 'caption:"0% r"') == [3]
    assert find(connection, "caption:*rain") == [3]
    assert find(connection, "-caption:rain") == [1, 2, 4]


def test_run_finds_the_photos_that_an_operation_changed(connection: Connection) -> None:
    insert_photos(connection, [PhotoSpec(tags={"dog": 0.9}) for _ in range(6)])
    insert_operation(connection, 2)
    insert_operation(connection, 3)
    annotation = {"label_id": 1, "present": True, "made_at": NOON, "run_id": 2}
    connection.execute(insert(schema.verdicts).values(photo_id=1, **annotation))
    connection.execute(insert(schema.verdicts).values(photo_id=2, **annotation, ended_by=3))
    model = {"model_id": 1, "confidence": 0.9, "tags": [], "scores": [], "made_at": NOON}
    prediction = {**model, "run_id": 2}
    is_before = schema.predictions.c.photo_id == 3
    connection.execute(update(schema.predictions).where(is_before).values(ended_by=2))
    connection.execute(insert(schema.predictions).values(photo_id=3, **prediction))
    presence = {"run_id": 2, "ended_by": 3}
    connection.execute(insert(schema.presences).values(photo_id=4, **presence))
    assert find(connection, "run:1") == [1, 2, 3, 4, 5, 6]
    assert find(connection, "run:2") == [1, 2, 3, 4]
    assert find(connection, "run:3") == [2, 4]
    assert find(connection, "NOT run:2 dog") == [5, 6]
    assert find(connection, "run:4") == []


def test_deleted_photos_never_match(connection: Connection) -> None:
    present = [
        PhotoSpec(tags={"dog": 0.9, "cat": None}),
        PhotoSpec(tags={"dog": 0.9}),
        PhotoSpec(unknown=True),
    ]
    deleted = [
        PhotoSpec(tags={"dog": 0.9, "emu": None}, unknown=True, reviewed=True, deleted=True),
        PhotoSpec(tags={"cat": None}, deleted=True),
    ]
    insert_photos(connection, [*present, *deleted])
    assert find(connection, "") == [1, 2, 3]
    assert find(connection, "dog") == [1, 2]
    assert find(connection, "NOT dog") == [3]
    assert find(connection, "NOT reviewed") == [1, 2, 3]
    assert find(connection, "dog OR unknown") == [1, 2, 3]
    assert find(connection, "dog name:photo") == [1, 2]
    assert find(connection, "dog NOT cat") == [2]
    assert find(connection, "by:person") == [1]
    assert find(connection, "score>=0.5") == [1, 2]
    assert find(connection, "id:4") == []
    assert find(connection, "run:1") == [1, 2, 3]
    assert planner.count_labels(connection, parse(""), VOCABULARY) == [("dog", 2), ("cat", 1)]
    assert planner.count_labels(connection, parse("dog"), VOCABULARY) == [("dog", 2), ("cat", 1)]
    assert planner.count_labels(connection, parse("emu OR unknown"), VOCABULARY) == []


def test_photos_without_a_date_match_no_date(connection: Connection) -> None:
    insert_photos(connection, [PhotoSpec(), PhotoSpec(taken=datetime(1, 1, 1)), PhotoSpec()])
    for query in ("taken:0001", "taken:0001-01", "taken:0001-01-01", "taken>=0001", "taken<=9998"):
        assert find(connection, query) == [2], query
    assert find(connection, "-taken:0001") == [1, 3]

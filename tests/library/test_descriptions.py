"""Descriptions in queries: found, combined, ranked, limited, and answered for plain words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.errors import QueryError
from tagger.library import descriptions
from tagger.library.library import Library
from tagger.library.records import Photo
from tagger.tagger import Tagger
from tests.conftest import draw_png, import_folder

PHOTOS = 120  # forty of each shape


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory, shapes: Path, worded: Path
) -> Iterator[Library]:
    """A library of drawn shapes, in folders of these names; no test changes it."""
    library = Library.open(tmp_path_factory.mktemp("drawn") / "library")
    library.set_active_model(str(worded))
    import_folder(library, shapes, model=str(worded))
    yield library
    library.close()


def shape_of(photo: Photo) -> str:
    return photo.path.parent.name


def test_a_description_finds_photos_that_look_like_it(drawn: Library) -> None:
    for text, shape in (("a ball", "disc"), ("box", "square"), ("zebras", "stripes")):
        page = drawn.search(f'like:"{text}"', limit=200)
        assert page.total == len(page.photos) == drawn.count(f'like:"{text}"')
        assert [shape_of(photo) for photo in page.photos[:10]] == [shape] * 10
        assert 30 <= page.total <= 50
        likeness = [page.likeness[photo.id] for photo in page.photos]
        assert likeness == sorted(likeness, reverse=True) and likeness[-1] >= 0.5
        assert page.description is not None and page.description.model == "worded"
        assert not page.description.whole_query and not page.description.unknown_words
        assert page.description.left_out == page.description.not_compared == 0


def test_descriptions_are_combined_with_other_terms(drawn: Library) -> None:
    discs = set(drawn.find_ids("like:ball"))
    stripes = set(drawn.find_ids("like:zebra"))
    in_folder = set(drawn.find_ids("folder:/disc"))
    assert discs and stripes and discs != in_folder
    everything = set(drawn.find_ids())
    expected = {
        "like:ball folder:/disc": discs & in_folder,
        "-like:ball": everything - discs,
        "NOT (like:ball OR like:zebra)": everything - discs - stripes,
        "like:ball OR folder:/disc": discs | in_folder,
        "like:ball -like:zebra": discs - stripes,
        "like:ball like:zebra": discs & stripes,
        "NOT NOT like:ball": discs,
        "(like:ball OR like:zebra) -folder:/disc": (discs | stripes) - in_folder,
        "like:ball name:nothing": set(),
    }
    for query, ids in expected.items():
        assert set(drawn.find_ids(query)) == ids, query
        assert drawn.count(query) == len(ids), query
        page = drawn.search(query, limit=500)
        assert {photo.id for photo in page.photos} == ids, query
        assert {photo.id for photo in drawn.photos(query)} == ids, query
    assert sum(count for _, count in drawn.label_counts("like:ball")) <= len(discs)


def test_the_order_is_by_likeness_unless_another_is_wanted(drawn: Library) -> None:
    by_likeness = [photo.id for photo in drawn.search("like:ball", limit=200).photos]
    assert [p.id for p in drawn.search("like:ball", "likeness", limit=200).photos] == by_likeness
    assert [photo.id for photo in drawn.photos("like:ball")] == by_likeness
    newest = [photo.id for photo in drawn.search("like:ball", "newest", limit=200).photos]
    assert newest == sorted(by_likeness, reverse=True)
    assert [p.id for p in drawn.search("like:ball", offset=5, limit=4).photos] == by_likeness[5:9]
    # photos without a rank follow, the newest first
    page = drawn.search("like:ball OR folder:/stripes", limit=200).photos
    assert [photo.id for photo in page[: len(by_likeness)]] == by_likeness
    rest = [photo.id for photo in page[len(by_likeness) :]]
    assert rest and rest == sorted(rest, reverse=True)
    assert [p.id for p in drawn.search("-like:ball").photos] == [
        p.id for p in drawn.search("-like:ball", "newest").photos
    ]


def test_the_best_are_kept_and_the_rest_counted(
    drawn: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [photo.id for photo in drawn.search("like:ball", limit=200).photos]
    monkeypatch.setattr(descriptions, "MAX_LIKE", 10)
    page = drawn.search("like:ball", limit=200)
    assert [photo.id for photo in page.photos] == whole[:10]
    assert page.total == 10
    assert page.description is not None and page.description.left_out == len(whole) - 10
    negated = drawn.search("-like:ball", limit=200)  # leaves out every photo that is like it
    assert negated.total == PHOTOS - len(whole)
    assert negated.description is not None and negated.description.left_out == 0


def test_unknown_words_are_passed_over_and_named(drawn: Library) -> None:
    page = drawn.search('like:"a purple ball" -like:"huge boxes"')
    assert page.description is not None
    assert page.description.unknown_words == ("purple", "huge")
    assert page.total > 0


@pytest.mark.parametrize(
    ("query", "position", "message"),
    [
        ("like:purple", 5, "the model knows none of these words: purple"),
        ('dog -like:"the of a"', 10, "there is no word to look for"),
        ("like:ball like:собака", 15, "the model knows none of these words: собака"),
        ("like:!", 5, "there is no word to look for"),
    ],
)
def test_a_description_without_a_known_word_is_an_error_at_its_position(
    drawn: Library, query: str, position: int, message: str
) -> None:
    for search in (drawn.search, drawn.count, drawn.find_ids, drawn.label_counts):
        with pytest.raises(QueryError) as raised:
            search(query)
        assert message in str(raised.value) and raised.value.position == position


@pytest.mark.parametrize("query", ["ball", "a picture of balls", '"ball"', "ball and circle"])
def test_words_that_are_no_tags_are_answered_by_description(drawn: Library, query: str) -> None:
    page = drawn.search(query, limit=200)
    assert page.description is not None and page.description.whole_query
    assert page.total == drawn.count(query) > 30
    assert [shape_of(photo) for photo in page.photos[:10]] == ["disc"] * 10
    assert [photo.id for photo in drawn.photos(query)] == [photo.id for photo in page.photos]


@pytest.mark.parametrize(
    "query",
    [
        "disc",
        "disc -square",
        "tag:ball",
        "ball*",
        "ball OR circle",
        "-ball",
        "ball unknown",
        "purple",
    ],
)
def test_other_queries_are_not(drawn: Library, query: str) -> None:
    assert drawn.search(query).description is None
    assert drawn.count(query) == drawn.search(query).total


def test_a_tag_comes_before_a_description(drawn: Library, shapes: Path, library: Library) -> None:
    library.set_active_model(drawn.active_model())
    import_folder(library, shapes, model=drawn.active_model())
    (photo,) = library.search("folder:/stripes", limit=1).photos
    assert library.count("ball") > 30
    library.edit_tags([photo.id], add=["ball"])
    page = library.search("ball")
    assert [p.id for p in page.photos] == [photo.id] and page.description is None


def test_deleted_photos_never_count(
    drawn: Library, shapes: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.set_active_model(drawn.active_model())
    import_folder(library, shapes, model=drawn.active_model())
    best = [photo.id for photo in library.search("like:ball", limit=200).photos]
    deletion = library.delete(best[:3])
    monkeypatch.setattr(descriptions, "MAX_LIKE", 5)
    page = library.search("like:ball")
    assert [photo.id for photo in page.photos] == best[3:8]
    assert page.description is not None
    assert (page.description.left_out, page.description.not_compared) == (len(best) - 8, 0)
    library.undo(deletion)
    assert [photo.id for photo in library.search("like:ball").photos] == best[:5]
    library.delete(best[:3])
    library.purge()
    assert [photo.id for photo in library.search("like:ball").photos] == best[3:8]


def test_a_photo_added_alone_gets_a_vector_whatever_model_tags_it(
    library: Library, worded: Path, pets: Tagger
) -> None:
    library.set_active_model(str(worded))
    photo = library.add_photo("disc.png", draw_png(3), pets).photo
    assert photo.model == "pets"
    page = library.search("like:ball")
    assert [p.id for p in page.photos] == [photo.id]
    assert page.description is not None and page.description.not_compared == 0
    other = library.add_photo("other.png", draw_png(4), Tagger.load(worded)).photo
    ((neighbour, similarity),) = library.find_similar_to(photo)
    assert neighbour.id == other.id and similarity > 0.5
    vector = library.embed(draw_png(3))
    assert vector is not None
    assert library.find_similar(*vector)[0][0].id == photo.id


def test_photos_without_a_vector_are_counted(library: Library, shapes: Path, worded: Path) -> None:
    import_folder(library, shapes / "disc")  # by a model without words, while there is none with
    library.set_active_model(str(worded))
    page = library.search("like:ball")
    assert page.total == 0
    assert page.description is not None and page.description.not_compared == 40
    assert library.find_similar_to(next(library.photos()))  # in the space of the other model
    import_folder(library, shapes / "square", model=str(worded))
    page = library.search("like:box")
    assert page.total > 30
    assert page.description is not None and page.description.not_compared == 40


def test_without_a_model_that_knows_words_the_query_says_so(library: Library, pets: Tagger) -> None:
    library.add_photo("disc.png", draw_png(3), pets)
    library.set_active_model("pets")
    assert library.space() is None and library.embed(draw_png(3)) is None
    with pytest.raises(QueryError, match="no model here understands descriptions") as raised:
        library.search("cat OR like:ball")
    assert raised.value.position == 12
    page = library.search("a ball")
    assert page.total == 0 and page.description is None

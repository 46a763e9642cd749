"""Descriptions in queries: found, combined, ranked, limited, and answered for plain words."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.errors import OptionError, QueryError
from tagger.jobs.requests import RetagRequest, submit
from tagger.library import descriptions
from tagger.library.library import Library
from tagger.library.records import Photo
from tagger.tagger import Tagger
from tests.conftest import draw_png, import_folder
from tests.words import copy_to_other_space

PHOTOS = 120  # forty of each shape


@pytest.fixture(scope="module")
def drawn(
    tmp_path_factory: pytest.TempPathFactory, shapes: Path, worded: Path
) -> Iterator[Library]:
    """A library of drawn shapes, in folders of these names; no test changes it."""
    library = Library.open(tmp_path_factory.mktemp("drawn") / "library")
    library.use_model(str(worded))
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
        assert 30 <= page.total <= 60
        likeness = [page.likeness[photo.id] for photo in page.photos]
        assert likeness == sorted(likeness, reverse=True) and likeness[-1] >= 0.5
        assert page.description is not None and page.description.model == "worded"
        assert page.description.fallback is None and not page.description.unknown_words
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


def test_the_likeness_to_several_descriptions_is_one_of_theirs(drawn: Library) -> None:
    first, second = 'like:"ball ball ball zebra"', 'like:"ball ball ball ball box"'
    striped, square = (drawn.search(like, limit=200).likeness for like in (first, second))
    both = striped.keys() & square.keys()
    assert len(both) > 10 and striped.keys() - both and square.keys() - both
    least = {id: min(striped[id], square[id]) for id in both}
    best = {
        id: max(likeness[id] for likeness in (striped, square) if id in likeness)
        for id in striped.keys() | square.keys()
    }
    expected = {
        f"{first} OR {second}": best,
        f"{first} {second}": least,
        f"NOT (-{first} OR -{second})": least,
        f"NOT (-{first} -{second})": best,
        f"{first} (folder:/ OR {second})": striped | least,
        f"{first} -{second}": {id: striped[id] for id in striped.keys() - both},
    }
    for query, likeness in expected.items():
        page = drawn.search(query, limit=200)
        assert page.likeness == pytest.approx(likeness), query
        ordered = [page.likeness[photo.id] for photo in page.photos]
        assert ordered == sorted(ordered, reverse=True)


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


def test_the_best_are_kept_of_those_that_match_the_whole_query(
    drawn: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [photo.id for photo in drawn.search("like:ball", limit=200).photos]
    elsewhere = set(drawn.find_ids("folder:/square OR folder:/stripes"))
    stripes = set(drawn.find_ids("like:zebra"))
    monkeypatch.setattr(descriptions, "MAX_LIKE", 5)

    def search(query: str) -> tuple[list[int], int]:
        page = drawn.search(query, limit=200)
        assert page.total == len(page.photos) == drawn.count(query)
        assert sorted(photo.id for photo in page.photos) == drawn.find_ids(query)
        assert page.description is not None
        return [photo.id for photo in page.photos], page.description.left_out

    last = whole[-1]
    assert search(f"like:ball id:{last}") == ([last], 0)
    few = whole[-4:]
    assert search(f"like:ball ({' OR '.join(f'id:{n}' for n in few)})") == (few, 0)
    many = whole[10:20]
    assert search(f"like:ball ({' OR '.join(f'id:{n}' for n in many)})") == (many[:5], 5)
    # what matches without a description is not left out
    ids, left_out = search("like:ball OR folder:/square OR folder:/stripes")
    assert ids[:5] == whole[:5] and set(ids) == {*whole[:5], *elsewhere}
    assert left_out == len(set(whole[5:]) - elsewhere)
    ids, left_out = search("like:ball OR like:zebra")
    assert len(ids) == 5 and left_out == len({*whole} | stripes) - 5
    ids, left_out = search("like:ball -like:zebra")
    assert ids == [n for n in whole if n not in stripes][:5]
    assert left_out == len(set(whole) - stripes) - 5


def test_unknown_words_are_passed_over_and_named(drawn: Library) -> None:
    page = drawn.search('like:"a purple ball" -like:"huge boxes"')
    assert page.description is not None
    assert page.description.unknown_words == ("purple", "huge")
    assert page.total > 0


@pytest.mark.parametrize(
    ("query", "position", "message"),
    [
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


@pytest.mark.parametrize(
    ("query", "fallback"),
    [
        ("ball", "like:ball"),
        ("a picture of balls", 'like:"a picture of balls"'),
        ('"ball" circle', 'like:"ball circle"'),
        ("circle and ball", 'like:"circle and ball"'),
        ("dogs or balls", 'like:"dogs or balls"'),
        ("a ball not in a zebra", 'like:"a ball not in a zebra"'),
        ("unknown ball", 'like:"unknown ball"'),
        ("ball added>2001", "like:ball AND added>2001"),
        ("a ball folder:/disc", 'like:"a ball" AND folder:/disc'),
        ("ball -(square or stripes)", "like:ball AND NOT (square OR stripes)"),
    ],
)
def test_words_that_are_no_tags_are_answered_by_description(
    drawn: Library, query: str, fallback: str
) -> None:
    page = drawn.search(query, limit=200)
    assert page.description is not None and page.description.fallback == fallback
    assert page.total == len(page.photos) == drawn.count(fallback) > 0
    assert [photo.id for photo in page.photos] == [photo.id for photo in drawn.photos(fallback)]
    assert shape_of(page.photos[0]) in ("disc", "stripes")
    # only a search can say so: nothing is exported or edited by words that find no tag
    assert drawn.count(query) == 0
    assert list(drawn.photos(query)) == drawn.find_ids(query) == drawn.label_counts(query) == []
    with pytest.raises(OptionError, match="nothing in the library matches"):
        submit(drawn, RetagRequest(query))


@pytest.mark.parametrize(
    "query",
    [
        "disc",
        "disc -square",
        "disc or ball",
        "tag:ball",
        "tag==ball",
        "ball*",
        "ball OR circle",
        "(ball)",
        "-ball",
        "ball score>0.5",
        "ball by:person",
        "ball -like:zebra",
        "unknown untagged",
        "purple",
        "the",
        f'"{"ball " * 199}"',  # too long with "like" in front
        " and ".join(["ball"] * 60),  # too many words where "and" is one
    ],
)
def test_tags_operators_and_unreadable_text_are_not_answered_by_description(
    drawn: Library, query: str
) -> None:
    page = drawn.search(query, limit=200)
    assert page.description is None or page.description.fallback is None
    assert drawn.count(query) == page.total == len(page.photos)


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("balls", ("ball",)),  # the tag that the word means
        ("disc and a ball", ("ball",)),
        ("a ball not in a zebra", ("ball", "zebra")),
        ("disc square", ()),  # no photo has both
        ("ball -(square or stripes)", ("ball",)),
    ],
)
def test_the_tags_that_no_photo_has_are_named(
    drawn: Library, query: str, missing: tuple[str, ...]
) -> None:
    page = drawn.search(query)
    assert page.description is not None and page.description.fallback is not None
    assert page.description.understood and page.description.missing_tags == missing


def test_words_that_neither_tags_nor_the_model_know_are_named(drawn: Library) -> None:
    page = drawn.search("flurb zzq folder:/disc")
    assert page.total == 0 and page.description is not None
    assert not page.description.understood and page.description.fallback is None
    assert page.description.model == "worded"
    assert page.description.unknown_words == ("flurb", "zzq")
    assert page.description.missing_tags == ()  # nor are they known as tags
    assert drawn.search("flurb zzq", "likeness").photos == ()
    assert drawn.search("the").description is None


PLAIN_WORDS = {  # the query that they are read as, and the photos with its tags
    "a dog": ("dog", [1, 2, 3]),
    "Dogs in the snow!": ("dogs AND snow", [1, 3]),
    "two dogs in the snow": ("dogs AND snow", [1, 3]),
    "golden retriever in the snow": ('"golden retriever" AND snow', [3]),
    "a dog or cat": ("dog OR cat", [1, 2, 3, 4]),  # by itself "cat" alone
    "a dog or a cat in the snow": ("(dog OR cat) AND snow", [1, 3]),
    "the dogs OR the kitten": ("dogs OR kitten", [1, 2, 3, 4]),
    "the cat score>=1": ("cat AND score>=1", [4]),
    "a snow -(golden retriever)": ("snow AND NOT (golden AND retriever)", [1, 3]),
    "snow with Große Straße": ("snow AND tag==Große_Straße", [1]),
}


@pytest.fixture
def of_dogs(library: Library, pets: Tagger, worded: Path) -> Library:
    """Photos 1 to 4 with tags of a person."""
    library.use_model(str(worded))
    tags = (["dog", "snow", "Große_Straße"], ["dog"], ["golden retriever", "snow"], ["cat"])
    for number, names in enumerate(tags):
        photo = library.add_photo(f"{number}.png", draw_png(number), pets).photo
        library.edit_tags([photo.id], add=names)
    return library


@pytest.mark.parametrize("query", PLAIN_WORDS)
def test_plain_words_are_read_as_the_tags_that_they_name(of_dogs: Library, query: str) -> None:
    tag_query, ids = PLAIN_WORDS[query]
    page = of_dogs.search(query, "oldest")
    assert page.tag_query == tag_query and page.description is None
    assert [photo.id for photo in page.photos] == of_dogs.find_ids(tag_query) == ids
    assert page.total == len(ids) and page.matching_tags.keys() == set(ids)


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ("dogs playing in the snow", ()),  # no tag says "playing", nor is it missed as one
        ("a dog in the snow with a zebra", ("zebra",)),
        ("a cat in the snow", ()),  # no photo has both
        ("the flurb", ()),
    ],
)
def test_plain_words_that_tags_do_not_say_are_a_description(
    of_dogs: Library, query: str, missing: tuple[str, ...]
) -> None:
    page = of_dogs.search(query)
    assert page.tag_query is None
    assert page.description is not None and page.description.missing_tags == missing


def test_a_tag_that_is_a_stop_word_counts(of_dogs: Library) -> None:
    of_dogs.edit_tags([2], add=["A"])
    page = of_dogs.search("a dog")
    assert [photo.id for photo in page.photos] == [2] and page.description is None
    assert [photo.id for photo in of_dogs.search("the a").photos] == [2]


def test_a_tag_comes_before_a_description(drawn: Library, shapes: Path, library: Library) -> None:
    library.use_model(drawn.active_model())
    import_folder(library, shapes, model=drawn.active_model())
    (photo,) = library.search("folder:/stripes", limit=1).photos
    assert library.search("ball").total > 30
    library.edit_tags([photo.id], add=["ball"])
    page = library.search("ball")
    assert [p.id for p in page.photos] == [photo.id] and page.description is None


def test_deleted_photos_never_count(
    drawn: Library, shapes: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.use_model(drawn.active_model())
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
    library.trash.empty()
    assert [photo.id for photo in library.search("like:ball").photos] == best[3:8]


def test_a_photo_added_alone_gets_a_vector_whatever_model_tags_it(
    library: Library, worded: Path, pets: Tagger
) -> None:
    library.use_model(str(worded))
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


def test_a_vector_is_of_the_model_that_made_it(
    library: Library, worded: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copy(worded, tmp_path / "own.h5"))
    library.use_model(str(model))
    space = library.space()
    assert space is not None
    copy_to_other_space(worded, model)  # meanwhile
    _, sha256 = descriptions.embed(space, draw_png(3))
    assert sha256 == Tagger.load(model).space != space.sha256


@pytest.mark.parametrize("limit", [0, descriptions.MAX_LOOKED_UP])
def test_photos_without_a_vector_are_counted(
    library: Library, shapes: Path, worded: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(descriptions, "MAX_LOOKED_UP", limit)
    import_folder(library, shapes / "disc")  # by a model without words, while there is none with
    library.use_model(str(worded))
    page = library.search("like:ball")
    assert page.total == 0
    assert page.description is not None and page.description.not_compared == 40
    assert library.find_similar_to(next(library.photos()))  # in the space of the other model
    import_folder(library, shapes / "square", model=str(worded))
    page = library.search("like:box")
    assert page.total > 30
    assert page.description is not None and page.description.not_compared == 40
    library.delete(library.find_ids("folder:/disc OR folder:/square")[39:50])
    page = library.search("like:box")
    assert page.description is not None and page.description.not_compared == 39
    library.trash.empty()
    page = library.search("like:box")
    assert page.description is not None and page.description.not_compared == 39


def test_a_photo_comes_with_the_tags_it_is_found_for(library: Library, pets: Tagger) -> None:
    photos = [library.add_photo(f"{n}.png", draw_png(n), pets).photo for n in range(4)]
    library.edit_tags([photos[0].id], add=["poodle", "Man", "tree"])
    library.edit_tags([photos[1].id], add=["beagle", "poodle"])
    library.edit_tags([photos[2].id], add=["tree"])

    def search(query: str) -> list[tuple[str, ...]]:
        page = library.search(query, "oldest")
        return [page.matching_tags.get(photo.id, ()) for photo in page.photos]

    assert search("dogs") == [("poodle",), ("beagle", "poodle")]
    assert search("animal people") == [("Man", "poodle")]
    assert search("tag==beagle OR tree") == [("tree",), ("beagle",), ("tree",)]
    assert search("poo* -beagle") == [("poodle",)]
    assert search("(dog score>=1) OR id:4") == [("poodle",), ("beagle", "poodle"), ()]
    assert search("dog by:model") == []
    assert search("") == search("by:person OR -by:person") == [()] * 4


def test_a_broken_model_is_no_model_that_knows_no_words(
    library: Library, worded: Path, pets: Tagger, tmp_path: Path
) -> None:
    model = tmp_path / "own.h5"
    shutil.copy(worded, model)
    library.use_model(str(model))
    photo = library.add_photo("disc.png", draw_png(3), Tagger.load(model)).photo
    model.write_bytes(model.read_bytes()[:5_000])
    with pytest.raises(QueryError, match=r"own\.h5: .*(broken|damaged|not)") as raised:
        library.search("cat OR like:ball")
    assert raised.value.position == 12
    assert str(tmp_path) not in str(raised.value)
    assert library.search("ball").total == 0  # tags can be searched for
    assert library.find_similar_to(photo) == []
    other = library.add_photo("other.png", draw_png(4), pets).photo
    assert library.find_similar_to(other) == []
    model.unlink()
    with pytest.raises(QueryError, match="no model here understands descriptions"):
        library.search("like:ball")


def test_without_a_model_that_knows_words_the_query_says_so(library: Library, pets: Tagger) -> None:
    library.add_photo("disc.png", draw_png(3), pets)
    library.use_model("pets")
    assert library.space() is None and library.embed(draw_png(3)) is None
    with pytest.raises(QueryError, match="no model here understands descriptions") as raised:
        library.search("cat OR like:ball")
    assert raised.value.position == 12
    page = library.search("a ball")
    assert page.total == 0 and page.description is None

"""The Search page: queries, suggestions, results as grid and table."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from frontend.ui.tiles import make_tiles
from tagger.jobs import worker
from tagger.jobs.requests import EMBED_TITLE, submit_embedding
from tagger.library import operations
from tagger.library.history import fields
from tagger.library.library import Library
from tests.frontend.pages import (
    HOSTILE,
    act,
    button_keys,
    gallery_ids,
    grid_data,
    message,
    open_page,
    page_text,
    press,
    search_box_data,
    search_for,
    unescape,
)

KEY = "search-gallery"


def test_a_query_finds_and_counts_photos(six_photos: Library) -> None:
    app = open_page("search")
    assert "**6 photos** found" in page_text(app)
    search_for(app, "cat OR name:006")
    assert "**3 photos** found" in page_text(app)
    assert app.query_params == {"q": "cat OR name:006"}
    assert sorted(gallery_ids(app, KEY)) == [3, 4, 6]
    search_for(app, "sofa")
    assert "**0 photos** found" in page_text(app)
    assert grid_data(app, KEY)["empty"] == "No photos match."


def test_example_queries_use_the_librarys_tags(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["golden retriever"])
    six_photos.edit_tags([1, 2, 3], add=["golden retriever"])
    app = open_page("search")
    examples = [key.removeprefix("search-example-") for key in button_keys(app) if "example" in key]
    assert '"golden retriever" AND NOT cat' in examples
    for example in examples:
        app = press(open_page("search"), f"search-example-{example}")
        assert search_box_data(app)["query"] == example
        assert not app.error
        assert six_photos.count(example) == len(gallery_ids(app, KEY))


def test_a_syntax_error_is_shown_with_a_caret(six_photos: Library) -> None:
    app = open_page("search", q="dog AND (cat")
    assert "Missing closing bracket" in page_text(app)
    (code,) = app.code
    assert code.value == "dog AND (cat\n        ^"
    assert code.language in ("plaintext", "", None)
    assert [component.key for component in app.main.get("bidi_component")] == ["search-box"]
    search_for(app, "dog")
    assert "**2 photos** found" in page_text(app)


def test_a_misspelt_tag_is_corrected_with_a_click(six_photos: Library) -> None:
    six_photos.edit_tags([5], add=[HOSTILE[5]])
    app = open_page("search", q="dgo AND name:001")
    assert "No photo has the tag “dgo”. Did you mean" in page_text(app)
    press(app, "search-meant-dgo-dog")
    assert search_box_data(app)["query"] == "dog AND name:001"
    assert "**1 photo** found" in page_text(app)
    assert "Did you mean" not in page_text(app)
    app = open_page("search", q=f'"{HOSTILE[5][:-1]}"')
    (suggestion,) = (button for button in app.button if "search-meant" in (button.key or ""))
    assert "**bold**" not in suggestion.label
    press(app, str(suggestion.key))
    assert "**1 photo** found" in page_text(app)


def test_the_tags_that_a_word_finds_are_listed(six_photos: Library) -> None:
    six_photos.edit_tags([5], add=["person"])
    six_photos.edit_tags([6], add=["Man", "**kid**"])
    app = open_page("search", q="people -(animal OR cat)")
    assert "**2 photos** found" in page_text(app)
    (caption,) = app.main.caption
    assert unescape(caption.value) == "people: person, Man · animal: dog, cat"
    search_for(app, "cat -man")
    assert "**2 photos** found" in page_text(app)
    assert not app.main.caption
    search_for(app, "tag==person OR nosuch")
    assert "**1 photo** found" in page_text(app)
    assert not app.main.caption


def test_a_long_list_of_tags_is_cut(six_photos: Library) -> None:
    dogs = ("Saluki", "borzoi", "pug", "beagle", "collie", "Airedale", "boxer", "husky", "kelpie")
    six_photos.edit_tags([5], add=dogs)
    (caption,) = open_page("search", q="dogs").main.caption
    text = unescape(caption.value)
    assert text.startswith("dogs: dog, husky, ")  # the nearest first
    assert text.count(",") == 7
    assert text.endswith(" and 2 more")


def test_a_librarys_own_vocabulary_is_used_at_once(six_photos: Library) -> None:
    app = open_page("search", q="household")
    assert "**0 photos** found" in page_text(app)
    file = six_photos.home / "vocabulary.csv"
    file.write_text("tag,parents,synonyms\ncat,household,\nhousehold,,\n")
    assert "household: cat" in page_text(app.run())
    file.write_text("tag,parents,synonyms\ncat,nosuch,\n")
    assert "vocabulary.csv, line 2: the parent 'nosuch' is not a tag" in page_text(app.run())


def test_a_kind_without_photos_offers_the_tag_above_it(six_photos: Library) -> None:
    app = open_page("search", q="poodle")
    assert "More general than “poodle”" in page_text(app)
    press(app, "search-meant-poodle-dog")
    assert search_box_data(app)["query"] == "dog"
    assert "**2 photos** found" in page_text(app)


@pytest.mark.parametrize("query", [*HOSTILE, "tag:" * 50, "((((", "\u202e", "x" * 1001])
def test_hostile_queries_show_results_or_an_error(six_photos: Library, query: str) -> None:
    app = open_page("search", q=query)
    assert bool(app.error) != bool("photos** found" in page_text(app))
    raw = "\n".join(element.value for element in app.markdown)
    assert query not in raw
    assert six_photos.count() == 6


def test_the_table_shows_names_and_tags_as_text(six_photos: Library) -> None:
    six_photos.edit_tags([1], add=["=cmd()", "<b>x</b>"])
    app = open_page("search", sort="name", **{"as": "Table"})
    (table,) = app.dataframe
    rows = table.value
    assert list(rows["Photo"]) == [f"00{number}.png" for number in range(1, 7)]
    assert rows["Tags"][0] == "<b>x</b>, =cmd(), dog"
    assert rows["Tags"][5] == "No tags"
    assert rows["Confidence"][0] == pytest.approx(0.9)
    app.main.segmented_control[0].set_value("Grid").run()
    assert app.query_params == {"sort": "name"}


def test_results_are_edited_and_the_last_edit_is_undone(six_photos: Library) -> None:
    app = act(open_page("search", q="dog"), "tag", [1, 2], "search", add=["sea"])
    assert message(app, "search") == "Added sea to 2 photos"
    act(app, "delete", [1], "search")
    assert (gallery_ids(app, KEY), message(app, "search")) == (
        [2],
        "Deleted 1 photo from the library",
    )
    act(app, "undo", page="search")
    assert sorted(gallery_ids(app, KEY)) == [1, 2]


def test_an_edit_of_which_nothing_is_left_is_passed_over(six_photos: Library) -> None:
    app = act(open_page("search"), "tag", [1], "search", add=["sea"])
    act(app, "rate", [1], "search", rating=3)
    with six_photos.database.write_transaction() as connection:
        operation_id = operations.create(connection, "import", "Read ratings from files")
        fields.save(connection, operation_id, [1], "rating", 4)
    elsewhere = act(open_page("search"), "undo", page="search")
    question = grid_data(elsewhere, KEY)["message"]
    assert question["text"] == "Undo “Rated 1 photo with 3 stars”?", "nobody knows yet"
    act(elsewhere, "undo", page="search", operation=question["operation"])
    assert "nothing is left to undo" in message(elsewhere, "search")
    act(elsewhere, "undo", page="search")
    assert message(elsewhere, "search") == "Undo “Added sea to 1 photo”?"
    act(app, "undo", page="search")
    assert message(app, "search") == "Undone: Added sea to 1 photo"
    assert (six_photos.count("sea"), six_photos.photo(1).rating) == (0, 4)


def test_a_row_of_the_table_opens_its_photo(six_photos: Library) -> None:
    app = open_page("search", q="dog OR cat", sort="name", **{"as": "Table"})
    data = grid_data(app, KEY)
    assert (data["tiles"], data["opened"]) == (False, None)


def test_a_description_is_answered_and_explained(drawn_shapes: Library) -> None:
    app = open_page("search", q='like:"a purple ball"')
    total = drawn_shapes.count("like:ball")
    assert f"**{total} photos** found by description" in page_text(app)
    assert "worded doesn’t know: purple." in page_text(app)
    best = [photo.id for photo in drawn_shapes.search("like:ball", limit=total).photos]
    assert list(gallery_ids(app, KEY)) == best
    page = drawn_shapes.load_matches("like:ball", best[:1])
    (tile,) = make_tiles(page)
    assert tile["caption"] == "by description"
    assert [box.value for box in app.selectbox if box.label == "Sort"] == ["likeness"]
    app = open_page("search", q="like:ball", sort="newest")
    newest = sorted(drawn_shapes.find_ids("like:ball"), reverse=True)
    assert list(gallery_ids(app, KEY)) == newest


def test_tags_are_offered_for_a_description_that_finds_nothing(drawn_shapes: Library) -> None:
    drawn_shapes.edit_tags(drawn_shapes.find_ids("")[:2], add=["picture"])
    app = open_page("search", q='like:"two picture"')  # of no shape
    assert grid_data(app, KEY)["total"] == 0
    app.button(key="search-by-tags").click().run()
    assert search_box_data(app)["query"] == "two picture"
    assert "2 photos" in page_text(app) and "Searched for: picture" in page_text(app)


def test_each_photo_says_why_it_was_found(drawn_shapes: Library) -> None:
    first, second = drawn_shapes.find_ids("folder:/stripes")[:2]
    drawn_shapes.edit_tags([first], add=["a tree", "poodle", "Man"])
    drawn_shapes.edit_tags([second], add=["beagle"])
    page = drawn_shapes.load_matches("dog OR people OR like:zebra", [first])
    (tile,) = make_tiles(page)
    assert tile["tag"] == "Man ✓ · poodle ✓" and not tile["confirmed"]
    assert tile["caption"] == "by description"
    assert sorted(gallery_ids(open_page("search", q="dog"), KEY)) == sorted([first, second])
    tiles = make_tiles(drawn_shapes.load_matches("dog", [first, second]))
    assert [tile["tag"] for tile in tiles] == ["poodle", "beagle"]
    app = open_page("search", q="dog", sort="oldest", **{"as": "Table"})
    assert list(app.dataframe[0].value["Match"]) == ["poodle", "beagle"]


def test_words_taken_as_a_description_are_exported_as_one(drawn_shapes: Library) -> None:
    app = open_page("search", q="zebras or a zebra")
    photos = list(drawn_shapes.photos('like:"zebras or a zebra"'))
    assert f"**{len(photos)} photos** found by description" in page_text(app)
    press(app, "leaving-zip")
    (path,) = (drawn_shapes.home / "exports").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name != "labels.csv"]
    ids = {int(Path(name).name.partition("-")[0]) for name in names}
    assert ids == {photo.id for photo in photos if photo.tags} != set()


def test_words_without_tags_are_taken_as_a_description(drawn_shapes: Library) -> None:
    app = open_page("search", q="zebras")
    assert "found by description" in page_text(app)
    assert "No photo has the tag “zebra”. These photos match the description." in page_text(app)
    assert "Did you mean" not in page_text(app)
    search_for(app, "disc")
    assert "found by description" not in page_text(app)
    search_for(app, "like:purple")
    assert "The model knows none of these words: purple" in page_text(app)
    assert app.code[0].value == "like:purple\n     ^"


def test_partial_matches_are_offered_instead_of_nothing(drawn_shapes: Library) -> None:
    drawn_shapes.edit_tags(drawn_shapes.find_ids()[:2], add=["sea"])
    zebras = drawn_shapes.search("zebra").total
    app = open_page("search", q="zebra sea added<2000")
    assert grid_data(app, KEY)["total"] == 0 and "Partial matches:" in page_text(app)
    labels = [unescape(button.label) for button in app.main.button]
    assert f"zebra: {zebras} by description" in labels and "sea: 2 by tag" in labels
    app = press(app, "search-part-sea")
    assert search_box_data(app)["query"] == "sea" and "**2 photos** found" in page_text(app)


def test_plain_words_that_name_tags_are_shown_as_a_query(drawn_shapes: Library) -> None:
    drawn_shapes.edit_tags(drawn_shapes.find_ids("folder:/stripes")[:1], add=["dog", "snow"])
    app = open_page("search", q="the dogs in the snow")
    assert "**1 photo** found" in page_text(app) and "by description" not in page_text(app)
    assert "Searched for: dogs AND snow" in page_text(app)
    press(app, "leaving-zip")
    (path,) = (drawn_shapes.home / "exports").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        assert len([name for name in archive.namelist() if name != "labels.csv"]) == 1


def test_what_was_not_understood_is_named(drawn_shapes: Library) -> None:
    app = open_page("search", q="flurb zzq")
    assert "**0 photos** found" in page_text(app)
    assert "found by description" not in page_text(app)
    sentence = (
        "No photo has tags for all of these words. worded doesn’t know these words: flurb, zzq."
    )
    assert sentence in page_text(app)
    search_for(app, "disc square")
    assert "No photo has tags for all of these words" in page_text(app)
    search_for(app, "ball name:nothing")
    assert "No photo has the tag “ball”, and none matches the description." in page_text(app)


def test_a_word_that_the_description_understood_is_not_corrected(drawn_shapes: Library) -> None:
    drawn_shapes.edit_tags(drawn_shapes.find_ids("folder:/stripes")[:1], add=["animal", "bellz"])
    app = open_page("search", q="zebra")
    assert "found by description" in page_text(app)
    assert not [key for key in button_keys(app) if "search-meant" in key]
    search_for(app, "zebra ballz")
    assert [key for key in button_keys(app) if "search-meant" in key] == [
        "search-meant-ballz-bellz"
    ]
    search_for(app, "zebra name:nothing")
    assert "More general than “zebra”" in page_text(app)
    assert "search-meant-zebra-animal" in button_keys(app)


def test_photos_that_descriptions_cannot_find_yet_are_counted(
    six_photos: Library, worded: Path
) -> None:
    app = open_page("search")
    assert not [key for key in button_keys(app) if "like:" in key]
    search_for(app, "like:ball")
    assert "No model here understands descriptions" in page_text(app)
    six_photos.use_model(str(worded))
    app = open_page("search", q="like:ball")
    assert "6 photos can’t be found by description yet" in page_text(app)
    job_id = submit_embedding(six_photos)
    assert job_id is not None
    worker.run(six_photos, job_id)
    app = open_page("search", q="like:ball")
    assert "can’t be found by description yet" not in page_text(app)
    assert "search-example-dogs on a beach" in button_keys(open_page("search"))
    app = open_page("activity")
    assert EMBED_TITLE in page_text(app)

"""The tags that a description names, with the built-in vocabulary."""

from __future__ import annotations

import pytest

from tagger.errors import DescriptionError
from tagger.inference import vocabulary
from tagger.inference.named_tags import NamedTags, name_tags
from tagger.inference.words import MAX_TEXT

LABELS = ("dog", "cat", "person", "woman", "child", "snow", "beach", "swimming pool", "T-shirt")


def name(text: str, labels: tuple[str, ...] = LABELS) -> NamedTags:
    return name_tags(text, labels, vocabulary.load())


def meanings(text: str) -> list[set[str]]:
    """The labels of each term, for a description that tags say in full."""
    named = name(text)
    assert named.is_complete and not named.unnamed_words
    return [set(term.labels) for term in named.terms]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("dog", [{"dog"}]),
        ("DOGS", [{"dog"}]),
        ("a woman with her dog in the snow", [{"woman"}, {"dog"}, {"snow"}]),
        ("people", [{"person", "woman", "child"}]),
        ("kids on a beach", [{"child"}, {"beach"}]),
        ("an animal", [{"dog", "cat"}]),
        ("the swimming pools", [{"swimming pool"}]),
        ("t shirt", [{"T-shirt"}]),
        ("t-shirts, dog!", [{"T-shirt"}, {"dog"}]),
        ("cats or dogs", [{"cat", "dog"}]),
        ("a dog or a cat in the snow", [{"dog", "cat"}, {"snow"}]),
        ("or a dog", [{"dog"}]),
        ("dog and dog", [{"dog"}]),
        ("two dogs and 3 cats", [{"dog"}, {"cat"}]),
    ],
)
def test_words_mean_labels(text: str, labels: list[set[str]]) -> None:
    assert meanings(text) == labels


def test_the_nearest_label_comes_first() -> None:
    (term,) = name("people").terms
    assert term.words == "people" and term.labels[0] == "person"
    (term,) = name("cats or dogs").terms
    assert (term.words, term.labels) == ("cats or dogs", ("cat", "dog"))


@pytest.mark.parametrize(
    ("text", "unnamed"),
    [
        ("flurb", ("flurb",)),
        ("kids playing football", ("playing", "football")),
        ("dog without snow", ("without",)),
        ("dog not in snow", ("not",)),
        ("giraffe", ("giraffe",)),
        ("a hot dog", ("hot dog",)),  # no dog
        ("собака dog", ("собака",)),
    ],
)
def test_words_that_are_no_tags_leave_the_description_open(
    text: str, unnamed: tuple[str, ...]
) -> None:
    named = name(text)
    assert named.unnamed_words == unnamed and not named.is_complete
    assert named.match(LABELS) == ()


@pytest.mark.parametrize("text", ["", "the of a", "?"])
def test_a_text_without_content_names_nothing(text: str) -> None:
    assert name(text) == NamedTags((), ())
    assert not name(text).is_complete


def test_a_photo_matches_if_it_has_a_tag_for_each_term() -> None:
    named = name("people in the snow")
    assert named.match(["snow", "dog", "child", "woman"]) == ("snow", "child", "woman")
    assert named.match(["snow", "dog"]) == named.match(["person"]) == named.match([]) == ()


def test_labels_outside_the_vocabulary_are_named_by_their_own_words() -> None:
    labels = ("Große_Straße", "model 7b", "dog")
    assert [term.labels for term in name("Große Straße", labels).terms] == [("Große_Straße",)]
    assert [term.labels for term in name("a dog on model 7B", labels).terms] == [
        ("dog",),
        ("model 7b",),
    ]


def test_a_long_text_is_an_error() -> None:
    with pytest.raises(DescriptionError, match="at most 1,000 characters"):
        name("d" * (MAX_TEXT + 1))

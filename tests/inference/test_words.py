"""Words: tokens of a text, descriptions and photos as vectors, words passed over, likeness."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tagger.errors import DescriptionError, OptionError
from tagger.inference.words import MAX_TEXT, Words, find_stem, likeness, split_words, tokenize

TOKENS = ("dog", "~dog", "run", "~run", "snow", "beach", "in", "kayak", "~surf")
DIMENSIONS, FEATURES = 16, 40


@pytest.fixture
def words() -> Words:
    rng = np.random.default_rng(5)
    return Words(
        tokens=TOKENS,
        vectors=rng.normal(size=(len(TOKENS), DIMENSIONS)).astype(np.float16),
        text_bias=rng.normal(scale=0.1, size=DIMENSIONS).astype(np.float32),
        projection=rng.normal(size=(FEATURES, DIMENSIONS)).astype(np.float16),
        photo_bias=rng.normal(size=DIMENSIONS).astype(np.float32),
        background=rng.normal(size=(60, DIMENSIONS)).astype(np.float16),
        floor=2.0,
    )


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Two DOGS, running!", ["two", "~two", "dogs", "~dog", "running", "~run"]),
        ("the dog's bone", ["the", "dogs", "~dog", "bone", "~bon"]),
        ("dog\u2019s", ["dogs", "~dog"]),
        ("a t-shirt_of 2024", ["a", "t", "~t", "shirt", "~shirt", "of", "2024", "~2024"]),
        ("\uff24\uff2f\uff27", ["dog", "~dog"]),  # full-width letters
        ("Café jalapeño Straße", ["cafe", "~caf", "jalapeno", "~jalapeno", "strasse", "~strass"]),
        ("…! \U0001f415 ", []),
        ("", []),
    ],
)
def test_a_text_becomes_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@pytest.mark.parametrize(
    "forms",
    [
        ("run", "runs", "running", "runner", "runners"),
        ("smile", "smiles", "smiling", "smiled"),
        ("dress", "dresses", "dressed", "dressing"),
        ("puppy", "puppies"),
        ("carry", "carries", "carried", "carrying"),
        ("beach", "beaches"),
        ("box", "boxes"),
        ("fall", "falls", "falling"),
        ("house", "houses"),
    ],
)
def test_the_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({find_stem(form) for form in forms}) == 1


@pytest.mark.parametrize(
    "word", ["king", "string", "spring", "bus", "glass", "red", "tennis", "1s"]
)
def test_words_that_only_look_like_a_form_stay(word: str) -> None:
    assert find_stem(word) == word


def test_words_of_other_scripts_stay_whole() -> None:
    assert split_words("собака हिन्दी 犬が走る dog") == ["собака", "हिन्दी", "犬が走る", "dog"]


def test_a_description_is_the_unit_sum_of_its_words(words: Words) -> None:
    description = words.describe("dogs in snow")
    rows = [TOKENS.index(token) for token in ("~dog", "in", "snow")]
    expected = words.vectors[rows].astype(np.float32).sum(axis=0) + words.text_bias
    assert description.vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    assert description.vector.dtype == np.float32
    assert description.unknown_words == ()


def test_unknown_words_are_passed_over_and_named(words: Words) -> None:
    description = words.describe("The purple dog and a purple собака on the t-shirt")
    assert description.unknown_words == ("purple", "собака", "shirt")
    assert np.array_equal(description.vector, words.describe("dog").vector)


def test_a_form_that_was_never_taught_counts_as_its_stem(words: Words) -> None:
    assert np.array_equal(words.describe("kayaking").vector, words.describe("kayak").vector)
    assert np.array_equal(words.describe("surf").vector, words.describe("surfers").vector)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty description"),
        ("  \n", "an empty description"),
        ("!?", "there is no word to look for"),
        ("the of a", "there is no word to look for"),
        ("in the", "there is no word to look for"),  # known, but a stop word
        ("purple elephants", "knows none of these words: purple, elephants; "),
        ("собака", "knows none of these words: собака; "),
        ("one2 two2 six2 four2 five2 ten2 eight2", "five2 and 2 more; "),
        ("x" * MAX_TEXT, f"none of these words: {'x' * 40}; "),
        ("x" * (MAX_TEXT + 1), "at most 1,000 characters; this has 1,001"),
    ],
)
def test_a_description_without_a_known_word_is_an_error(
    words: Words, text: str, message: str
) -> None:
    with pytest.raises(DescriptionError, match=re.escape(message)):
        words.describe(text)


@pytest.mark.parametrize("text", [None, b"dog", 7, ["dog"], ("dog", "snow")])
def test_a_description_is_a_text(words: Words, text: Any) -> None:
    with pytest.raises(DescriptionError, match=rf"a text \(str\); this is {type(text).__name__}"):
        words.describe(text)


def test_words_are_shown_without_their_numbers(words: Words) -> None:
    assert repr(words) == "Words(floor=2.0)"
    text = repr(words.describe("purple dog"))
    assert text == "Description(text='purple dog', unknown_words=('purple',))"


def test_photos_are_unit_vectors_of_the_same_space(words: Words) -> None:
    features = np.random.default_rng(6).normal(size=(7, FEATURES)).astype(np.float32)
    vectors = words.embed_photos(features)
    assert vectors.shape == (7, DIMENSIONS) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    expected = features[3] @ words.projection.astype(np.float32) + words.photo_bias
    assert vectors[3] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def test_likeness_is_counted_in_deviations_of_the_background(words: Words) -> None:
    description = words.describe("dog")
    background = words.background.astype(np.float32) @ description.vector
    median = np.median(background)
    deviation = (median - np.quantile(background, 0.05)) / 1.645  # of a normal distribution
    cosines = np.array([median, median + 3 * deviation])
    assert words.likeness(description.vector, cosines) == pytest.approx([0, 3], abs=1e-2)
    assert np.isfinite(likeness(cosines, np.zeros(5))).all()


def test_a_common_thing_is_as_alike_as_a_rare_one() -> None:
    rng = np.random.default_rng(0)
    without, having = rng.normal(0, 0.1, 1000), rng.normal(0.8, 0.1, 400)
    rare = likeness(having, np.concatenate([without, having[:5]])).mean()
    common = likeness(having, np.concatenate([without, having])).mean()
    assert common == pytest.approx(rare, rel=0.4)


@pytest.mark.parametrize(
    "changed",
    [
        {"vectors": np.zeros((3, DIMENSIONS), np.float16)},
        {"vectors": np.zeros((len(TOKENS), DIMENSIONS), np.float32)},
        {"text_bias": np.zeros(DIMENSIONS + 1, np.float32)},
        {"projection": np.full((FEATURES, DIMENSIONS), np.nan, np.float16)},
        {"background": np.zeros((0, DIMENSIONS), np.float16)},
        {"tokens": ("dog",) * len(TOKENS)},
        {"tokens": ("Dog", *TOKENS[1:])},
        {"floor": float("nan")},
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    words: Words, changed: dict[str, object]
) -> None:
    with pytest.raises(OptionError, match="words"):
        replace(words, **changed)  # type: ignore[arg-type]

"""Cards: what tagging, lists and pages need must be there; the rest can be shown and sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.inference.card import MAX_DEPTH, MAX_IMAGE_SIZE, MAX_VALUES, Card, parse_card


def make_card(**changed: Any) -> Card:
    card: Card = {
        "kind": "single",
        "labels": ["cat", "dog"],
        "image_size": 64,
        "backbone": "tiny",
        "about": "pets",
        "digests": {"network": "a", "keras_arrays": "b", "reference": "c", "words": "d"},
        "decision": {
            "temperature": 1.5,
            "thresholds": {"cat": 0.5, "dog": 1},
            "familiarity": {"threshold": 0.1, "validation_strangeness": [0.1, 0.2]},
        },
        "words": {"floor": 2.5},
    }
    return card | changed


def parse(card: object) -> Card:
    return parse_card(json.dumps(card).encode())


def test_a_card_is_as_it_was_written() -> None:
    extra = {"scores": {"validation": {"accuracy": 0.5, "photos": 12}}, "weakest": ["ünï", "🐈"]}
    assert parse(make_card(**extra)) == make_card(**extra)
    assert parse(make_card(words=None))["words"] is None
    without = make_card()
    without["decision"]["familiarity"] = None
    assert parse(without) == without


NEEDED = (
    *("kind", "labels", "image_size", "backbone", "digests", "decision"),
    *("digests.network", "digests.keras_arrays", "digests.reference", "digests.words"),
    *("decision.temperature", "decision.thresholds", "decision.thresholds.dog"),
    *("decision.familiarity.threshold", "decision.familiarity.validation_strangeness"),
    "words.floor",
)


@pytest.mark.parametrize("field", NEEDED)
@pytest.mark.parametrize("value", ["missing", None, True])
def test_a_needed_field_that_is_missing_or_of_another_kind_is_named(
    field: str, value: object
) -> None:
    *parents, name = field.split(".")
    card = make_card()
    part = card
    for parent in parents:
        part = part[parent]
    if value == "missing":
        del part[name]
    else:
        part[name] = value
    with pytest.raises((ValueError, OptionError)) as error:
        parse(card)
    assert name in str(error.value)


@pytest.mark.parametrize("image_size", [0, -1, MAX_IMAGE_SIZE + 1, 24_000, 64.0, "64"])
def test_an_impossible_image_size_is_refused(image_size: object) -> None:
    with pytest.raises(ValueError, match="image_size"):
        parse(make_card(image_size=image_size))


@pytest.mark.parametrize(
    "about",
    ["NaN", "-Infinity", "1e999", "-1e999", "1" + "0" * 40, "1" + "0" * 5000, '"\\ud800"', "["],
)
def test_what_cannot_be_shown_or_sent_is_refused(about: str) -> None:
    text = json.dumps(make_card(about="HERE")).replace('"HERE"', about)
    with pytest.raises(ValueError):
        parse_card(text.encode())


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
@pytest.mark.parametrize("brackets", ["[]", ['{"a":', "}"]])
def test_endless_nesting_is_refused(depth: int, brackets: str) -> None:
    inside = "" if brackets == "[]" else "1"
    nested = brackets[0] * depth + inside + brackets[1] * depth
    text = json.dumps(make_card(about="HERE")).replace('"HERE"', nested)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_card(text.encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"null", b"\xff\xfe{}", b"{", b'{"a":1,}'])
def test_anything_but_an_object_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_card(text)


CHANGES: tuple[Callable[[list[str]], list[str]], ...] = (
    lambda labels: labels,
    lambda labels: labels * 2,
    lambda labels: ["cat"] * len(labels),
)


@pytest.mark.parametrize("change", CHANGES)
def test_many_labels_are_counted_in_linear_time(change: Callable[[list[str]], list[str]]) -> None:
    labels = change([f"label {number}" for number in range(100_000)])
    decision = {"temperature": 1.0, "thresholds": dict.fromkeys(labels, 0.5)}
    started = time.process_time()
    try:
        parse(make_card(labels=labels, decision=decision))
    except OptionError as error:
        assert len(str(error)) < 1000 and "named twice" in str(error)
    assert time.process_time() - started < 20


@pytest.mark.parametrize("distances", [[[0.1, 0.2]], ["0.1"], [None], [{}]])
def test_distances_that_are_no_numbers_are_refused(distances: object) -> None:
    card = make_card()
    card["decision"]["familiarity"]["validation_strangeness"] = distances
    with pytest.raises(ValueError, match="the familiarity in its card"):
        parse(card)


@pytest.mark.parametrize("value", ["{}", "0", "[]"])
def test_a_card_that_would_fill_the_memory_is_refused_before_it_is_read(value: str) -> None:
    with pytest.raises(ValueError, match="more than 1,000,000 values"):
        parse_card(f"[{','.join([value] * (MAX_VALUES + 1))}]".encode())

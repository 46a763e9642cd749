"""Listings: what remarks say, and which split a name tells."""

from __future__ import annotations

import pytest

from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.splits import split_in_filename, split_named
from tagger.errors import OptionError
from tagger.text import count_noun


@pytest.mark.parametrize(
    ("remark", "told"),
    [
        (Remark("entry", "lacks an id", "lack an id", ("a",)), "1 entry lacks an id: left out"),
        (
            Remark("entry", "lacks an id", "lack an id", ("a", "b")),
            "2 entries lack an id: left out",
        ),
        (Remark("row", "repeats", "repeat", ("a",), "counted once"), "1 row repeats: counted once"),
        (Remark("row", "is odd", "are odd", ("a",) * 1200), "1,200 rows are odd: left out"),
    ],
)
def test_a_remark_counts_and_says_what_was_done(remark: Remark, told: str) -> None:
    assert remark.sentence() == told


def test_things_are_counted() -> None:
    assert [count_noun(n, "photo") for n in (0, 1, 2)] == ["0 photos", "1 photo", "2 photos"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Train2017", "train"),
        (" VALID ", "val"),
        ("validation", "val"),
        ("testing", "test"),
        ("training day", None),
        ("", None),
        ("2017", None),
    ],
)
def test_a_split_by_its_name(name: str, split: str | None) -> None:
    assert split_named(name) == split


def test_a_split_among_other_words() -> None:
    assert (
        split_in_filename("instances_val2017") == "val"
        and split_in_filename("my-test.set") == "test"
    )
    assert split_in_filename("untrained") is None


def test_names_that_no_model_could_hold_are_refused() -> None:
    with pytest.raises(OptionError):
        Listing("CSV", ("", "x"), "multi", ())

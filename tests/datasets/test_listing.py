"""Listings: sentences of remarks, and valid label names."""

from __future__ import annotations

import pytest

from tagger.datasets.readers.listing import Listing, Remark
from tagger.datasets.splits import split_in_filename, split_named
from tagger.errors import OptionError


@pytest.mark.parametrize(
    ("remark", "message"),
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
def test_a_remark_counts_its_cases(remark: Remark, message: str) -> None:
    assert remark.sentence() == message


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
def test_a_name_gives_a_split(name: str, split: str | None) -> None:
    assert split_named(name) == split


def test_a_word_of_a_file_name_gives_a_split() -> None:
    assert (
        split_in_filename("instances_val2017") == "val"
        and split_in_filename("my-test.set") == "test"
    )
    assert split_in_filename("untrained") is None


def test_an_invalid_label_name_is_an_error() -> None:
    with pytest.raises(OptionError):
        Listing("CSV", ("", "x"), "multi", ())

"""Label names: their order, their rules, what the rest is called."""

from __future__ import annotations

from typing import Any

import pytest

from tagger.errors import OptionError
from tagger.labels import LabelSet, normalize_label


def test_names_keep_their_order() -> None:
    labels = LabelSet(("dog", "cat", "猫"))
    assert labels.names == ("dog", "cat", "猫")
    assert len(labels) == 3
    assert labels.kind == "single"


@pytest.mark.parametrize(
    ("names", "kind", "why"),
    [
        ((), "single", "at least one name"),
        (("cat", ""), "single", "cannot be blank: ''"),
        (("cat", " \t"), "single", "cannot be blank"),
        (("cat", None), "single", "cannot be blank: None"),
        (("cat", "dog", "cat", "dog"), "single", "named twice: cat, dog"),
        (("cat",), "both", "'both': use 'single' or 'multi'"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused(names: Any, kind: Any, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        LabelSet(names, kind)


@pytest.mark.parametrize(
    ("names", "description"),
    [
        (("cat",), "not cat"),
        (("cat", "dog"), "not cat or dog"),
        (("cat", "dog", "hen"), "not cat, dog or hen"),
        (("cat", "dog", "hen", "pig"), "none of 4 labels"),
    ],
)
def test_what_a_photo_of_something_else_is_called(names: tuple[str, ...], description: str) -> None:
    assert LabelSet(names).describe_rest() == description


@pytest.mark.parametrize(
    ("name", "label"),
    [
        (" cat\t", "cat"),
        ("cafe\u0301", "caf\u00e9"),
        ("two\r\nlines\u2028\x85of text", "two lines of text"),
        ("c\u00ada\u200bt\ufeff", "cat"),
        ("cat\u200d", "cat"),
        ("a  b", "a b"),
        ("a\u00a0b\u3000\tc", "a b c"),
        ("a b\u200e", "a b"),
        ("\u200f\u05d0\u05d1\u2067", "\u05d0\u05d1"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\u200b \u200d\n", ""),
    ],
)
def test_names_that_look_alike_are_one_label(name: str, label: str) -> None:
    assert normalize_label(name) == label

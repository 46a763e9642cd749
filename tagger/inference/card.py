"""The card of a model file: its JSON is parsed and checked, since it may be anybody's.

What tagging, lists and pages need must be there and of its type; everything else is kept as it is,
as long as it can be shown and sent: finite numbers, valid text, no endless nesting.
"""

from __future__ import annotations

import json
import math
from typing import Any

from tagger.labels import LabelSet

Card = dict[str, Any]

MAX_DEPTH = 32  # of lists and objects within each other
MAX_VALUES = 1_000_000  # each takes about a hundred bytes of memory, many times its text
MAX_IMAGE_SIZE = 1024  # pixels a side
_MAX_INTEGER = 2**63
_NAMES = {str: "text", int: "a whole number", dict: "an object", list: "a list"}


def parse_card(text: bytes) -> Card:
    """The card from its JSON. Raises ValueError or OptionError for one that cannot be used."""
    if sum(map(text.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"its card has more than {MAX_VALUES:,} values")
    try:
        card = json.loads(
            text.decode(),
            parse_constant=_parse_float,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except RecursionError:
        raise ValueError("its card is nested too deeply") from None
    if not isinstance(card, dict):
        raise ValueError("its card is not an object")
    _check_depth(card)
    if b"\\ud" in text.lower():  # an escaped surrogate, which alone is no text
        json.dumps(card, ensure_ascii=False).encode()
    _check_fields(card)
    return card


def get_field(part: Card, name: str, kind: type, where: str = "its card") -> Any:
    """A field of a card that is needed. Raises ValueError if it is missing or of another type."""
    value = part.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        problem = "has no" if value is None else "has another kind of"
        raise ValueError(f"{where} {problem} {name}, which is {_NAMES[kind]}")
    return value


def get_number(part: Card, name: str, where: str = "its card") -> float:
    """A number of a card that is needed. Raises ValueError if it is missing or no number."""
    value = part.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{where} has no {name}, which is a number")
    return float(value)


def _check_fields(card: Card) -> None:
    """Raise unless there is all that tagging, lists and pages read without asking."""
    get_field(card, "backbone", str)
    image_size = get_field(card, "image_size", int)
    if not 0 < image_size <= MAX_IMAGE_SIZE:
        raise ValueError(f"its image_size is {image_size}: 1 to {MAX_IMAGE_SIZE} is allowed")
    labels = LabelSet(tuple(get_field(card, "labels", list)), get_field(card, "kind", str))
    digests = get_field(card, "digests", dict)
    for name in ("network", "keras_arrays"):
        get_field(digests, name, str, "the digests in its card")
    decision = get_field(card, "decision", dict)
    get_number(decision, "temperature", "the decision in its card")
    thresholds = get_field(decision, "thresholds", dict)
    for label in labels.names:
        get_number(thresholds, label, "the thresholds in its card")
    if decision.get("familiarity") is not None:
        familiarity = get_field(decision, "familiarity", dict, "the decision in its card")
        get_number(familiarity, "threshold", "the familiarity in its card")
        where = "the familiarity in its card"
        for distance in get_field(familiarity, "validation_strangeness", list, where):
            get_number({"distance": distance}, "distance", where)
        get_field(digests, "reference", str, "the digests in its card")
    if card.get("words") is not None:
        get_number(get_field(card, "words", dict), "floor", "the words in its card")
        get_field(digests, "words", str, "the digests in its card")


def _check_depth(card: Card) -> None:
    level: list[Any] = [card]
    for _ in range(MAX_DEPTH):
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in children for child in items if isinstance(child, dict | list)]
        if not level:
            return
    raise ValueError("its card is nested too deeply")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"its card has a number that is not finite: {text[:20]}")
    return number


def _parse_int(text: str) -> int:
    number = int(text)
    if abs(number) >= _MAX_INTEGER:
        raise ValueError(f"its card has a number that is too large: {text[:20]}…")
    return number

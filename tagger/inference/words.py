"""Words: descriptions and photos as unit vectors of one space, compared by cosine. NumPy only.

The text side is a bag of words: the vectors of a description's words are added up. The photo side
is a linear map of the network's pooled features. How alike a description and a photo are is told
in standard deviations over a background of photos, since cosines of a common word and of a rare
one are not comparable.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.errors import DescriptionError, OptionError
from tagger.inference.decision import Floats, unit_vectors

MAX_TEXT = 1000  # characters of a description
MAX_DIMENSIONS = 2048
STEM = "~"  # before a stem that stands for several words: "~run" for running, runs, runner
_STOP_WORDS = """
    a an the and or of in on at by to from for with without as into onto off out up down over under
    near is are was were be been being has have had do does did it its this that these those there
    here their his her my your our they he she we you i some any very
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())  # they say nothing without other words
_TOKEN = re.compile(rf"{STEM}?[a-z0-9]+")
_TOKENS = re.compile(rf"(?:{STEM}?[a-z0-9]+\n)*+{STEM}?[a-z0-9]+")
_WORD = re.compile(r"[a-z0-9]+")
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼ`´＇"))
_PHOTO_SIDE = ("projection", "photo_bias")  # fields
_LOW, _LOW_DEVIATIONS = 0.05, 1.645  # of a normal distribution's values, and how far below its mean
_LISTED = 5  # words in a message
_SHOWN = 40  # characters of a word in a message


@dataclass(frozen=True)
class Description:
    """A description as a unit vector, float32 `(D,)`.

    `unknown_words` are those that the model does not know, in order; they were passed over.
    """

    text: str
    vector: NDArray[np.float32] = field(repr=False)
    unknown_words: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Words:
    """What a model knows of words: tokens with their vectors, and the photo side of their space.

    `tokens` (V) are words and, with STEM in front, stems; `vectors` (V, D) their vectors, and
    `text_bias` (D,) is added to every description. A photo's vector is its features (F,) times
    `projection` (F, D), plus `photo_bias` (D,). `background` (R, D) are the vectors of ordinary
    photos, with which every likeness is compared; `floor` is the likeness from which on a photo
    counts as what is described. Raises OptionError for arrays that do not belong together.
    """

    tokens: tuple[str, ...] = field(repr=False)
    vectors: NDArray[np.float16] = field(repr=False)
    text_bias: NDArray[np.float32] = field(repr=False)
    projection: NDArray[np.float16] = field(repr=False)
    photo_bias: NDArray[np.float32] = field(repr=False)
    background: NDArray[np.float16] = field(repr=False)
    floor: float

    def __post_init__(self) -> None:
        dimensions = self.text_bias.shape[-1] if self.text_bias.ndim else 0
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise OptionError(
                f"{dimensions} dimensions of words: 1 to {MAX_DIMENSIONS} are allowed"
            )
        half, single = np.dtype(np.float16), np.dtype(np.float32)
        expected: dict[str, tuple[NDArray[Any], np.dtype[Any], tuple[int, ...]]] = {
            "vectors": (self.vectors, half, (len(self.tokens), dimensions)),
            "text_bias": (self.text_bias, single, (dimensions,)),
            "projection": (self.projection, half, (*self.projection.shape[:1], dimensions)),
            "photo_bias": (self.photo_bias, single, (dimensions,)),
            "background": (self.background, half, (*self.background.shape[:1], dimensions)),
        }
        for name, (array, dtype, shape) in expected.items():
            if array.dtype != dtype or array.shape != shape or not array.size:
                raise OptionError(
                    f"words: {name} is {array.dtype} {array.shape}, not {dtype} {shape}"
                )
            if not _is_finite(array):
                raise OptionError(f"words: {name} has numbers that are not finite")
        different = len(set(self.tokens)) == len(self.tokens)
        if not different or not _TOKENS.fullmatch("\n".join(self.tokens)):
            raise OptionError("words: tokens are different words of a to z and 0 to 9")
        if not np.isfinite(self.floor):
            raise OptionError(f"words: the floor is {self.floor}, not a number")

    @property
    def dimensions(self) -> int:
        """D, the length of a vector."""
        return len(self.text_bias)

    def describe(self, text: str) -> Description:
        """The vector of a description, and the words that were passed over.

        Raises DescriptionError for a text that is empty or too long, or has no word the model
        knows, and for anything but a text.
        """
        rows: list[int] = []
        unknown: list[str] = []
        has_content = False
        for word in split_words(text):
            own = self._rows(word)
            rows += own
            is_content = not is_stop_word(word)
            has_content |= bool(own) and is_content
            if not own and is_content and word not in unknown:
                unknown.append(word)
        if not has_content:
            raise DescriptionError(_explain_unknown(text, unknown), tuple(unknown))
        return Description(text, self.embed_tokens(rows), tuple(unknown))

    def embed_tokens(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """The unit vector `(D,)` of a text of these `tokens`, given by number."""
        summed = self.vectors[rows].sum(axis=0, dtype=np.float32) + self.text_bias
        return np.asarray(unit_vectors(summed[None])[0], np.float32)

    def embed_photos(self, features: Floats) -> NDArray[np.float32]:
        """Unit vectors `(N, D)` of photos, from the network's pooled `features (N, F)`."""
        projected = np.asarray(features, np.float32) @ self._projection + self.photo_bias
        return np.asarray(unit_vectors(projected), np.float32)

    def likeness(self, text: Floats, cosines: Floats) -> Floats:
        """How much photos look like a text, from its vector `(D,)` and their cosines `(N,)`.

        See `likeness`; at `floor` or above a photo counts as what is described.
        """
        return likeness(cosines, self._background @ text)

    @cached_property
    def digests(self) -> tuple[str, str]:
        """SHA-256 of everything here, and of the photo side alone, which makes photos' vectors."""
        every = hashlib.sha256(repr(float(self.floor)).encode())
        every.update("\n".join(self.tokens).encode())
        photo_side = hashlib.sha256()
        for name in (each.name for each in fields(self)):
            array = getattr(self, name)
            if isinstance(array, np.ndarray):
                header, data = _describe_array(name, array), array.tobytes()
                for digest in (every, photo_side) if name in _PHOTO_SIDE else (every,):
                    digest.update(header)
                    digest.update(data)
        return every.hexdigest(), photo_side.hexdigest()

    def _rows(self, word: str) -> list[int]:
        """The rows of a word and its stem, or of another form of it; empty for an unknown word."""
        rows = [self._index[token] for token in word_tokens(word) if token in self._index]
        return rows or self._forms.get(find_stem(word), [])

    @cached_property
    def _index(self) -> dict[str, int]:
        return {token: row for row, token in enumerate(self.tokens)}

    @cached_property
    def _forms(self) -> dict[str, list[int]]:
        """By stem the row of a word with that stem, the first in order."""
        forms: dict[str, list[int]] = {}
        for token, row in self._index.items():
            if not token.startswith(STEM):
                forms.setdefault(find_stem(token), [row])
        return forms

    @cached_property
    def _projection(self) -> NDArray[np.float32]:
        return self.projection.astype(np.float32)

    @cached_property
    def _background(self) -> NDArray[np.float32]:
        return self.background.astype(np.float32)


def _describe_array(name: str, array: NDArray[Any]) -> bytes:
    return f"{name} {array.shape} {array.dtype}".encode()


def _is_finite(array: NDArray[Any]) -> bool:
    """Whether all numbers are, also for float16, which NumPy takes longer to look at."""
    if array.dtype == np.float16:
        exponents = array.view(np.uint16) & 0x7C00
        return bool((exponents != 0x7C00).all())
    return bool(np.isfinite(array).all())


def likeness(cosines: Floats, background: Floats) -> Floats:
    """How many deviations the `cosines (N,)` are above the median of the `background (R,)`.

    Both are cosines with the same description. The deviation is that of a normal distribution
    with the background's lower quantiles: the upper ones are of photos that show what is
    described, and the more there are, the further they would push it.
    """
    low, median = np.quantile(background, (_LOW, 0.5))
    deviation = max(float(median - low) / _LOW_DEVIATIONS, 1e-6)
    scores: Floats = (cosines - float(median)) / deviation
    return scores


def tokenize(text: str) -> list[str]:
    """The tokens of a text in order: its words, each followed by its stem."""
    return [token for word in split_words(text) for token in word_tokens(word)]


def split_words(text: str) -> list[str]:
    """The words of a text, normalized (NFKC), case-folded, without apostrophes and accents.

    Words that are not of a to z and 0 to 9 then, such as those in other scripts, stay as they are:
    no model knows them. Raises DescriptionError for a text that is too long, or no text.
    """
    if not isinstance(text, str):
        raise DescriptionError(f"a description is a text (str); this is {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise DescriptionError(
            f"a description has at most {MAX_TEXT:,} characters; this has {len(text):,}"
        )
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    if folded.isascii():
        return _WORD.findall(folded)
    is_part = {c: c.isalnum() or unicodedata.category(c).startswith("M") for c in set(folded)}
    words = "".join(c if is_part[c] else " " for c in folded).split()
    return [_strip_accents(word) for word in words]


def is_stop_word(word: str) -> bool:
    """Whether a word of `split_words` says nothing alone: one of STOP_WORDS, or a letter."""
    return word in STOP_WORDS or (len(word) == 1 and word.isascii())


def word_tokens(word: str) -> tuple[str, ...]:
    """A word as a token, and its stem: ("running", "~run")."""
    return (word,) if word in STOP_WORDS else (word, STEM + find_stem(word))


def is_token(text: str) -> bool:
    """Whether a model can know a word: it is of a to z and 0 to 9, with STEM in front or not."""
    return _TOKEN.fullmatch(text) is not None


def find_stem(word: str) -> str:
    """A word without the endings -s, -ing, -ed, -er and -e: "run" for running and runners.

    The stem stands for the forms of a word, and need not be one: "smil" for smile and smiling.
    """
    if len(word) < 4 or not word.isascii() or not word.isalpha():
        return word
    stem = word
    if stem.endswith("ies"):
        stem = stem[:-3] + "y"
    elif stem.endswith(("sses", "shes", "ches", "xes", "zes")):
        stem = stem[:-2]
    elif stem.endswith("s") and not stem.endswith(("ss", "us", "is")):
        stem = stem[:-1]
    for ending in ("ing", "ed", "er"):
        rest = stem.removesuffix(ending)
        if rest != stem and _is_syllable(rest) and not stem.endswith("eed"):
            stem = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    if stem.endswith("i"):  # carri(ed) as carry
        stem = stem[:-1] + "y"
    return stem[:-1] if stem.endswith("e") and len(stem) > 3 else stem


def _is_syllable(text: str) -> bool:
    return len(text) > 2 and any(vowel in text for vowel in "aeiouy")


def _strip_accents(word: str) -> str:
    """The word without accents if it is Latin then, else as it is."""
    parts = unicodedata.normalize("NFKD", word)
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain if _WORD.fullmatch(plain) else word


def _explain_unknown(text: str, unknown: list[str]) -> str:
    """Why a description has no word that a model knows."""
    if unknown:
        names = ", ".join(word[:_SHOWN] for word in unknown[:_LISTED])
        more = f" and {len(unknown) - _LISTED:,} more" if len(unknown) > _LISTED else ""
        return f"the model knows none of these words: {names}{more}; describe it in plain English"
    if text.strip():
        return "there is no word to look for: describe what the photo shows, as in dogs on a beach"
    return "an empty description: say what the photo shows, as in dogs on a beach"


def pack_tokens(words: Words) -> NDArray[np.uint8]:
    """The tokens as bytes, one a line."""
    return np.frombuffer("\n".join(words.tokens).encode(), np.uint8)


def unpack_tokens(data: NDArray[Any]) -> tuple[str, ...]:
    """The tokens from bytes of `pack_tokens`. Raises ValueError for anything else."""
    return tuple(data.astype(np.uint8, casting="equiv").tobytes().decode("ascii").split("\n"))

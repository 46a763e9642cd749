"""Find photos of a folder by a description, from the command line."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tagger import console, paths
from tagger.cli.predict import find_photos
from tagger.concurrency import check_workers, one_blas_thread, ordered_map
from tagger.errors import DescriptionError, ImageError, NoWordsError, OptionError
from tagger.inference import vocabulary
from tagger.inference.named_tags import NamedTags, name_tags
from tagger.inference.registry import BUNDLED_MODEL
from tagger.inference.words import Description, Words
from tagger.tagger import Tagger
from tagger.text import count_noun, escape_controls, list_first

TOP = 10  # photos listed


@dataclass(frozen=True)
class Hit:
    """A photo, its `tags` that are described, and how much it looks like the description.

    `likeness` is None for a description that tags alone answer; see `inference.words.likeness`.
    """

    path: Path
    tags: tuple[str, ...]
    likeness: float | None
    looks_like_it: bool

    @property
    def rank(self) -> tuple[bool, float]:
        """The least comes first: tags are surer than likeness, which orders photos with them."""
        return not self.tags, -(self.likeness or 0.0)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 all photos and folders read, 1 some could not be, 2 nothing could start."""
    options = parse(argv, prog)
    return console.run(lambda: find(options))


def parse(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog or "image-tagger find",
        description="Find photos by a description in English: by its tags and by likeness.",
        formatter_class=console.Help,
    )
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="a folder of photos, or a photo")
    add("words", nargs="+", metavar="DESCRIPTION", help='as in "two dogs in the snow"')
    add("--top", type=int, default=TOP, metavar="N", help="photos listed; 0: all that were found")
    add(
        "--model",
        metavar="NAME|FILE.h5",
        help="default: your own model if it understands descriptions, else the bundled one",
    )
    add("--workers", type=int, metavar="N", help="threads; default: one a core")
    add("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args(argv)


def find(options: argparse.Namespace) -> int:
    """Compare each photo with the description, and list the best."""
    if options.top < 0:
        raise OptionError(f"--top {options.top}: give 0 (all that were found) or more")
    if options.workers is not None:
        check_workers(options.workers)
    if not os.path.exists(options.folder):
        raise OptionError(f"{options.folder}: there is no such folder or photo")
    photos, unopened = find_photos([options.folder])
    tagger, words = load_model(options.model)
    text = " ".join(options.words)
    named = name_tags(text, tagger.labels.names, vocabulary.load(paths.library_home()))
    description = describe(words, text, named)
    explain(named, description)
    hits, errors = compare(tagger, words, description, named, photos, options.workers)
    listed = hits[: options.top or None]
    put_out(listed, [*errors, *unopened], options.json)
    if not options.json:
        summarize(len(hits), len(listed), len(photos) - len(errors), named.is_complete)
    return 1 if errors or unopened else 0


def load_model(name: str | None) -> tuple[Tagger, Words]:
    """The model named, or the default one, or else the bundled one, if it knows words.

    Raises NoWordsError, and ModelError as `Tagger.load` does.
    """
    tagger = Tagger.load(name, console.note)
    if tagger.words is None and name is None:
        tagger = Tagger.load(BUNDLED_MODEL)
    if tagger.words is None:
        raise NoWordsError(f"{tagger.name}: this model does not understand descriptions")
    return tagger, tagger.words


def describe(words: Words, text: str, named: NamedTags) -> Description | None:
    """The description, or that of the tags it names if they say what the model cannot read.

    None if it cannot read these either: the tags answer alone. Raises DescriptionError where they
    do not answer.
    """
    try:
        description = words.describe(text)
        if not (description.unknown_words and named.is_complete):
            return description
    except DescriptionError:
        if not named.is_complete:
            raise
    try:
        description = words.describe(" ".join(term.labels[0] for term in named.terms))
    except DescriptionError:
        return None
    return None if description.unknown_words else description


def explain(named: NamedTags, description: Description | None) -> None:
    """How the description was understood, on standard error."""
    if named.is_complete:
        wider = [term for term in named.terms if term.labels != (term.words,)]
        for term in wider:
            console.note(f"{term.words}: {list_first(term.labels)}")
    else:
        console.note(f"by description alone: no tag for {list_first(named.unnamed_words)}")
    if description is not None and description.unknown_words:
        console.note(f"words passed over: {', '.join(description.unknown_words)}")


def compare(
    tagger: Tagger,
    words: Words,
    description: Description | None,
    named: NamedTags,
    photos: Sequence[Path],
    workers: int | None,
) -> tuple[list[Hit], list[ImageError]]:
    """The photos that are described, best first, and those that cannot be read."""

    def look_at(path: Path) -> tuple[tuple[str, ...], float] | ImageError:
        try:
            ((prediction, embedding),) = tagger.tag_with_embeddings([path], top=1)
        except ImageError as error:
            return error
        tags = named.match([tag.label for tag in prediction.tags])
        return tags, 0.0 if description is None else float(embedding @ description.vector)

    readable: list[tuple[Path, tuple[str, ...], float]] = []
    errors: list[ImageError] = []
    with one_blas_thread():
        results = ordered_map(look_at, photos, workers)
        progress = console.progress(results, len(photos), "Looking")
        for path, result in zip(photos, progress, strict=True):
            if isinstance(result, ImageError):
                errors.append(result)
            else:
                readable.append((path, *result))
    if description is None:
        hits = [Hit(path, tags, None, False) for path, tags, _ in readable]
    else:
        likeness = words.likeness(description.vector, np.array([cosine for *_, cosine in readable]))
        hits = [
            Hit(path, tags, value, value >= words.floor)
            for (path, tags, _), value in zip(readable, likeness.tolist(), strict=True)
        ]
    hits = [hit for hit in hits if hit.tags or hit.looks_like_it]
    return sorted(hits, key=lambda hit: hit.rank), errors


def put_out(hits: Sequence[Hit], errors: Sequence[ImageError], as_json: bool) -> None:
    """The photos, and those that cannot be read: on standard error, or as JSON beside them."""
    for hit in hits:
        console.write(format_json(hit) if as_json else escape_controls(format_line(hit)))
    for error in errors:
        if as_json:
            console.write(_json_line(error.source, (), None, str(error)))
        else:
            console.note(str(error))


def format_line(hit: Hit) -> str:
    """Likeness, path and why the photo was found: " 5.21  dog.jpg: dog, by description"."""
    likeness = "    -" if hit.likeness is None else f"{hit.likeness:5.2f}"
    reasons = ", ".join([*hit.tags, *(["by description"] if hit.looks_like_it else [])])
    return f"{likeness}  {escape_controls(str(hit.path))}: {escape_controls(reasons)}"


def format_json(hit: Hit) -> str:
    """The same as JSON, in ASCII."""
    likeness = None if hit.likeness is None else round(hit.likeness, 4)
    return _json_line(str(hit.path), hit.tags, likeness, None)


def _json_line(path: str, tags: tuple[str, ...], likeness: float | None, error: str | None) -> str:
    return json.dumps({"path": path, "tags": tags, "likeness": likeness, "error": error})


def summarize(hits: int, listed: int, photos: int, has_tags: bool) -> None:
    """What the list leaves open, on standard error; of `photos` that could be read."""
    if not hits and photos:
        tags = " or has these tags" if has_tags else ""
        console.note(f"none of {count_noun(photos, 'photo')} looks like that{tags}")
    if hits > listed:
        console.note(f"{hits - listed:,} more: --top 0 lists all")

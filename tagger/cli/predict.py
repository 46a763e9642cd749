"""Tag photos from the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from tagger import console
from tagger.cli import output
from tagger.cli.output import Answer
from tagger.errors import ImageError, OptionError
from tagger.files import Skipped, write_atomically
from tagger.images import decode
from tagger.images.decode import EXTENSIONS
from tagger.tagger import Tagger
from tagger.text import count_noun, escape_controls


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 all tagged, 1 some photos or folders could not be read, 2 nothing started."""
    options = parse(argv, prog)
    return console.run(lambda: tag(options))


def parse(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog, description="Tag photos, or say that they are unknown."
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="photos, or folders of photos")
    add("--model", metavar="NAME|FILE.h5", help="default: your own model, else the bundled one")
    add("--top", type=int, default=5, metavar="K", help="scores in JSON and CSV; 0: all")
    add("--threshold", type=float, metavar="P", help="probability, 0 to 1, that a label needs")
    add("--workers", type=int, metavar="N", help="threads; default: one a core")
    add("--heatmap", type=Path, metavar="FILE.png", help="write the photo with its heatmap")
    add("--label", metavar="NAME", help="the label of the heatmap; default: the likeliest")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", type=Path, metavar="FILE", help="write a table")
    add("--bom", action="store_true", help="begin the table with a byte order mark, for Excel")
    return parser.parse_args(argv)


def tag(options: argparse.Namespace) -> int:
    """Tag the photos and put out each answer as it comes."""
    photos, unopened = find_photos(options.paths)
    single = len(photos) == 1 and not os.path.isdir(options.paths[0])
    check_options(options, photos, single)
    tagger = Tagger.load(options.model, console.note)
    if options.label:
        tagger.threshold(options.label)  # refuses one that is no label of the model
    answers: Iterable[Answer] = tagger.tag_many(
        photos, top=options.top or None, threshold=options.threshold, workers=options.workers
    )
    if not single:
        answers = console.progress(answers, len(photos), "Tagging")
    failed = 0
    with open_output(options, tagger, single) as put:
        for path, answer in zip(photos, answers, strict=True):
            put(path, answer)
            failed += isinstance(answer, ImageError)
        for error in unopened:
            put(Path(error.source), error)
    if options.csv:
        folders = f"; {count_noun(len(unopened), 'folder')} cannot be opened" if unopened else ""
        photo_count = f"{len(photos):,} photos, {failed:,} of them unreadable"
        console.write(f"{options.csv}: {photo_count}{folders}")
    if options.heatmap and not failed:
        write_atomically(options.heatmap, decode.encode(tagger.heatmap(photos[0], options.label)))
        console.note(f"{options.heatmap}: heatmap of {options.label or 'the likeliest label'}")
    return 1 if failed or unopened else 0


def check_options(options: argparse.Namespace, photos: Sequence[Path], single: bool) -> None:
    """OptionError for options that contradict each other, before any work."""
    if options.heatmap and not single:
        raise OptionError(f"--heatmap takes one photo; got {len(photos)}")
    if options.label and not options.heatmap:
        raise OptionError(f"--label {options.label}: is for --heatmap FILE.png")
    if options.bom and not options.csv:
        raise OptionError("--bom: is for --csv FILE")
    if options.heatmap and options.heatmap.suffix.lower() != ".png":
        raise OptionError(f"--heatmap {options.heatmap}: is a PNG; let its name end in .png")
    for target in (options.csv, options.heatmap):
        check_output(target, photos)
    if options.top < 0:
        raise OptionError(f"--top {options.top}: give 0 (every label) or more")


def find_photos(paths: Sequence[str]) -> tuple[list[Path], list[ImageError]]:
    """Files as given, and the photos in folders; and the folders that cannot be opened.

    What else is left out is said on standard error. Raises OptionError where there is nothing.
    """
    photos: list[Path] = []
    unopened: list[ImageError] = []
    for path in map(Path, paths):
        if not path.is_dir():
            photos.append(path)
            continue
        skipped = Skipped()
        photos.extend(decode.find_photos(path, skipped))
        for folder, reason in skipped.unopened:
            source = escape_controls(str(path / folder))
            unopened.append(ImageError(source, f"a folder that cannot be opened ({reason})"))
        for sentence in replace(skipped, unopened=[], repeats=[]).sentences():
            console.note(f"{path}: {sentence}")
    if not photos and not unopened:
        endings = " ".join(sorted(EXTENSIONS))
        raise OptionError(f"{', '.join(paths)}: found 0 photos; looked for {endings}")
    return photos, unopened


def check_output(target: Path | None, photos: Sequence[Path]) -> None:
    """OptionError where the output would overwrite a photo or has no folder."""
    if target is None:
        return
    if target.resolve() in {photo.resolve() for photo in photos}:
        raise OptionError(f"{target}: is one of the photos; name another file to write")
    if not target.resolve().parent.is_dir():
        raise OptionError(f"{target}: there is no folder {target.parent}")


def open_output(
    options: argparse.Namespace, tagger: Tagger, single: bool
) -> AbstractContextManager[Callable[[Path, Answer], None]]:
    """A function that puts out one photo's answer, in the form the options name."""
    if options.csv:
        return output.write_csv(options.csv, tagger, options.top, options.bom)
    if options.json:
        return nullcontext(lambda path, a: console.write(output.as_json(path, a, tagger)))
    if single:
        return nullcontext(lambda path, a: console.write(output.as_text(a, tagger)))
    return nullcontext(lambda path, a: console.write(output.as_line(path, a, tagger)))

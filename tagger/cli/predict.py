"""Tag photos from the command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tagger import console
from tagger.cli import output
from tagger.cli.output import Answer
from tagger.errors import ImageError, OptionError
from tagger.files import write_atomically
from tagger.images import decode
from tagger.images.decode import EXTENSIONS
from tagger.tagger import Tagger


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 all tagged, 1 some could not be read, 2 nothing could start."""
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
    return parser.parse_args(argv)


def tag(options: argparse.Namespace) -> int:
    """Tag the photos and put out each answer as it comes."""
    photos = find_photos(options.paths)
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
    if options.csv:
        console.write(f"{options.csv}: {len(photos):,} photos, {failed:,} of them unreadable")
    if options.heatmap and not failed:
        write_atomically(options.heatmap, decode.encode(tagger.heatmap(photos[0], options.label)))
        console.note(f"{options.heatmap}: heatmap of {options.label or 'the likeliest label'}")
    return 1 if failed else 0


def check_options(options: argparse.Namespace, photos: Sequence[Path], single: bool) -> None:
    """OptionError for options that contradict each other, before any work."""
    if options.heatmap and not single:
        raise OptionError(f"--heatmap takes one photo; got {len(photos)}")
    if options.label and not options.heatmap:
        raise OptionError(f"--label {options.label}: is for --heatmap FILE.png")
    if options.heatmap and options.heatmap.suffix.lower() != ".png":
        raise OptionError(f"--heatmap {options.heatmap}: is a PNG; let its name end in .png")
    for target in (options.csv, options.heatmap):
        check_output(target, photos)
    if options.top < 0:
        raise OptionError(f"--top {options.top}: give 0 (every label) or more")


def find_photos(paths: Sequence[str]) -> list[Path]:
    """Files as given, and the photos in folders. Raises OptionError where there are none."""
    photos: list[Path] = []
    for path in map(Path, paths):
        photos.extend(decode.find_photos(path) if path.is_dir() else [path])
    if not photos:
        endings = " ".join(sorted(EXTENSIONS))
        raise OptionError(f"{', '.join(paths)}: found 0 photos; looked for {endings}")
    return photos


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
        return output.write_csv(options.csv, tagger, options.top)
    if options.json:
        return nullcontext(lambda path, a: console.write(output.as_json(path, a, tagger)))
    if single:
        return nullcontext(lambda path, a: console.write(output.as_text(a, tagger)))
    return nullcontext(lambda path, a: console.write(output.as_line(path, a, tagger)))

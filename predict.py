"""Tag photos: python predict.py photo.jpg, or holiday/ --csv tags.csv, or --heatmap why.png."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tagger import console
from tagger.cli import output as answers
from tagger.cli.output import Answer
from tagger.errors import ImageError, OptionError, TaggerError
from tagger.files import write_atomically
from tagger.images.decode import EXTENSIONS, encode, walk
from tagger.tagger import Tagger


def main() -> int:
    """Exit status: 0 all tagged, 1 some could not be read, 2 nothing could start."""
    options = parse()
    with console.quiet_libraries():
        try:
            return tag(options)
        except KeyboardInterrupt:
            return console.INTERRUPTED
        except BrokenPipeError:  # whoever read our output has had enough of it
            return console.hang_up()
        except (TaggerError, OSError) as error:
            return console.refuse(error)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tag photos, or say that they are unknown.")
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="photos, or folders of photos")
    add("--model", metavar="NAME|FILE.h5", help="default: your own model, else the bundled one")
    add("--top", type=int, default=5, metavar="K", help="scores in JSON and CSV; 0: all")
    add("--threshold", type=float, metavar="P", help="probability, 0 to 1, that a label needs")
    add("--workers", type=int, metavar="N", help="threads; default: one a core")
    add("--heatmap", type=Path, metavar="FILE.png", help="write one photo with what counted")
    add("--label", metavar="NAME", help="what the heatmap is to show; default: the likeliest")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", type=Path, metavar="FILE", help="write a table")
    return parser.parse_args()


def tag(options: argparse.Namespace) -> int:
    photos = find_photos(options.paths)
    single = len(photos) == 1 and not os.path.isdir(options.paths[0])
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
    tagger = Tagger.load(options.model, console.note)
    if options.label:
        tagger.threshold(options.label)  # refuses one that is no label of the model
    found = tagger.tag_many(
        photos, top=options.top or None, threshold=options.threshold, workers=options.workers
    )
    shown = found if single else console.progress(found, len(photos), "Tagging")
    failed = 0
    with output(options, tagger, single) as put:
        for path, answer in zip(photos, shown, strict=True):
            put(path, answer)
            failed += isinstance(answer, ImageError)
    if options.csv:
        console.write(f"{options.csv}: {len(photos):,} photos, {failed:,} of them unreadable")
    if options.heatmap and not failed:
        write_atomically(options.heatmap, encode(tagger.heatmap(photos[0], options.label)))
        console.note(f"{options.heatmap}: what counts for {options.label or 'its best label'}")
    return 1 if failed else 0


def find_photos(paths: list[str]) -> list[Path]:
    """Files as given, and the photos in folders."""
    photos: list[Path] = []
    for path in map(Path, paths):
        photos.extend(walk(path) if path.is_dir() else [path])
    if not photos:
        looked = " ".join(sorted(EXTENSIONS))
        raise OptionError(f"{', '.join(paths)}: found 0 photos; looked for {looked}")
    return photos


def check_output(target: Path | None, photos: list[Path]) -> None:
    """Refuse, before any work, to write over a photo or where there is no folder."""
    if target is None:
        return
    if target.resolve() in {photo.resolve() for photo in photos}:
        raise OptionError(f"{target}: is one of the photos; name another file to write")
    if not target.resolve().parent.is_dir():
        raise OptionError(f"{target}: there is no folder {target.parent}")


def output(
    options: argparse.Namespace, tagger: Tagger, single: bool
) -> AbstractContextManager[Callable[[Path, Answer], None]]:
    """A function that puts out one photo's answer, in the form asked for."""
    if options.csv:
        return answers.table(options.csv, tagger, options.top)
    if options.json:
        return nullcontext(lambda path, a: console.write(answers.as_json(path, a, tagger)))
    if single:
        return nullcontext(lambda path, a: console.write(answers.as_text(a, tagger)))
    return nullcontext(lambda path, a: console.write(answers.as_line(path, a, tagger)))


if __name__ == "__main__":
    sys.exit(main())

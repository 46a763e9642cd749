"""Export a model from the command line."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tagger import console
from tagger.datasets.pixel_store import PixelStore
from tagger.export import formats, photos, verify
from tagger.inference import model_file
from tagger.inference.registry import find_model


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Exit status: 0 all kept, 1 some were not faithful, 2 nothing could start."""
    options = parse(argv, prog)
    return console.run(lambda: export(options))


def parse(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog, description="Export a model, checked on real photos."
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's name or .h5 file")
    add("formats", nargs="+", metavar="FORMAT", help=", ".join(formats.FORMATS))
    add("--photos", type=Path, required=True, metavar="FOLDER", help="photos to check with")
    add("--output", type=Path, metavar="FOLDER", help="default: beside the model")
    return parser.parse_args(argv)


def export(options: argparse.Namespace) -> int:
    """Export, verify and print what was measured."""
    formats.check_formats(options.formats)
    model = model_file.load(find_model(options.model))
    output = options.output or model.path.parent
    verify.export_paths(output / model.path.name, options.formats)
    with tempfile.TemporaryDirectory(prefix="image-tagger-") as folder:
        store = PixelStore(Path(folder) / "pixels.u8", model.image_size)
        checked = photos.load_photos(
            options.photos, model.labels, store, console.progress, console.write
        )
        formats.limit_to_one_thread()
        exports = verify.export_model(model, options.formats, checked, output, console.progress)
        store.close()
    console.write(verify.format_results(exports, model))
    return 1 if any(each.refusal for each in exports) else 0

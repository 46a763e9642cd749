"""Export a model to other runtimes, each file checked on real photos before it is kept.

    python export.py pets onnx tflite --photos dataset/
    python export.py shop.h5 saved_model tflite-int8 --photos shop/ --output there/

Photos in labelled collections tell what each export gets right; of others, how often it says
what the original says.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tagger import console
from tagger.datasets.pixel_store import PixelStore
from tagger.errors import TaggerError
from tagger.export import formats, verify
from tagger.export import photos as evidence
from tagger.inference import model_file
from tagger.inference.registry import find_model


def main() -> int:
    """Exit status: 0 all kept, 1 some were not faithful, 2 nothing could start."""
    chosen = parse()
    with console.quiet_libraries():
        try:
            return export(chosen)
        except KeyboardInterrupt:
            return console.INTERRUPTED
        except (TaggerError, OSError) as error:
            return console.refuse(error)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Export a model, checked on real photos.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's name or .h5 file")
    add("formats", nargs="+", metavar="FORMAT", help=", ".join(formats.FORMATS))
    add("--photos", type=Path, required=True, metavar="FOLDER", help="photos to check with")
    add("--output", type=Path, metavar="FOLDER", help="default: beside the model")
    return parser.parse_args()


def export(chosen: argparse.Namespace) -> int:
    formats.check_formats(chosen.formats)
    model = model_file.load(find_model(chosen.model))
    output = chosen.output or model.path.parent
    verify.export_paths(output / model.path.name, chosen.formats)
    with tempfile.TemporaryDirectory(prefix="image-tagger-") as folder:
        store = PixelStore(Path(folder) / "pixels.u8", model.image_size)
        photos = evidence.load_photos(
            chosen.photos, model.labels, store, console.progress, console.write
        )
        formats.limit_to_one_thread()
        exports = verify.export(model, chosen.formats, photos, output, console.progress)
        store.close()
    console.write(verify.format_results(exports, model))
    return 1 if any(each.refusal for each in exports) else 0


if __name__ == "__main__":
    sys.exit(main())

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

from tagger import terminal
from tagger.datasets.pixels import PixelStore
from tagger.errors import TaggerError
from tagger.export import evidence, fidelity, portable
from tagger.inference import bundle
from tagger.places import find_model


def main() -> int:
    """Exit status: 0 all kept, 1 some were not faithful, 2 nothing could start."""
    chosen = parse()
    with terminal.quiet_libraries():
        try:
            return export(chosen)
        except KeyboardInterrupt:
            return terminal.INTERRUPTED
        except (TaggerError, OSError) as error:
            return terminal.refuse(error)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Export a model, checked on real photos.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model's name or .h5 file")
    add("formats", nargs="+", metavar="FORMAT", help=", ".join(portable.FORMATS))
    add("--photos", type=Path, required=True, metavar="FOLDER", help="photos to check with")
    add("--output", type=Path, metavar="FOLDER", help="default: beside the model")
    return parser.parse_args()


def export(chosen: argparse.Namespace) -> int:
    portable.check_formats(chosen.formats)
    model = bundle.load(find_model(chosen.model))
    output = chosen.output or model.path.parent
    fidelity.export_places(output / model.path.name, chosen.formats)
    with tempfile.TemporaryDirectory(prefix="image-tagger-") as folder:
        store = PixelStore(Path(folder) / "pixels.u8", model.image_size)
        photos = evidence.gather(
            chosen.photos, model.labels, store, terminal.progress, terminal.write
        )
        portable.use_one_thread()
        exports = fidelity.export(model, chosen.formats, photos, output, terminal.progress)
        store.close()
    terminal.write(fidelity.told(exports, model))
    return 1 if any(each.refused for each in exports) else 0


if __name__ == "__main__":
    sys.exit(main())

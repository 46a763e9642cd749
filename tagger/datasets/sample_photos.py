"""Sample photos for a first try: a cat, an astronaut, a cup of coffee and a rocket.

They are part of scikit-image, so nothing is downloaded.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from tagger.errors import OptionError

# The file name in scikit-image's data folder, and the name of the copy.
PHOTOS = {
    "chelsea.png": "cat.png",
    "astronaut.png": "astronaut.png",
    "coffee.png": "coffee.png",
    "rocket.jpg": "rocket.jpg",
}


def write_samples(folder: Path) -> list[Path]:
    """Copy the sample photos into `folder`, which is created if missing; their paths.

    Raises OptionError without scikit-image.
    """
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise OptionError("the sample photos come with scikit-image: pip install scikit-image")
    source = Path(spec.submodule_search_locations[0]) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    return [
        Path(shutil.copyfile(source / original, folder / name)) for original, name in PHOTOS.items()
    ]

"""Throughput of importing a folder into an empty library, beside `predict.py` on the same folder.

python bench/importing.py --photos 2000

Both times include the start of the program. All photos differ, so that none is a duplicate.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from measuring import (
    PHOTOS,
    PREDICT,
    Run,
    at_least,
    make_parser,
    medians,
    publish,
    run,
    temporary_folder,
)

BAR = 0.6  # of predict.py's throughput
SUBMIT = (
    "import sys; from tagger.jobs.requests import ImportFolderRequest, submit;"
    "from tagger.library.library import Library;"
    "print(submit(Library.open(), ImportFolderRequest(sys.argv[1], model=sys.argv[2])))"
)
COUNT = "from tagger.library.library import Library; print(Library.open().count())"


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--photos", type=int, default=2000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--model", default="everyday", help="a model's name or file")
    options = arguments.parse_args()
    predicted: list[Run] = []
    imported: list[Run] = []
    with temporary_folder() as folder:
        photos, count = folder / "photos", str(options.photos)
        run(*PHOTOS, photos, "--photos", count, "--distinct", count)
        for _ in range(options.repeats):
            predicted.append(
                run(*PREDICT, photos, "--model", options.model, "--csv", folder / "tags.csv")
            )
            imported.append(import_once(folder, photos, options.model, options.photos))
    ours, prediction = medians(imported), medians(predicted)
    share = prediction.seconds / ours.seconds
    rows = [
        {"what": what, "seconds": median.seconds, "photos/s": options.photos / median.seconds}
        for what, median in (("predict.py", prediction), ("import", ours))
    ]
    publish(
        f"Importing {options.photos:,} photos of 500 x 375 into an empty library",
        [row | {"ratio": None, "bar": ""} for row in rows]
        + [
            {
                "what": "import / predict.py, photos/s",
                "seconds": None,
                "photos/s": None,
                "ratio": share,
                "bar": at_least(share, BAR),
            }
        ],
        {"predict.py": predicted, "import": imported},
        options.json,
    )


def import_once(folder: Path, photos: Path, model: str, count: int) -> Run:
    """Import the photos into a new library."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        os.environ["TAGGER_HOME"] = home
        os.environ.pop("TAGGER_DATABASE", None)
        planned = run(sys.executable, "-c", SUBMIT, photos, model).output.strip()
        measured = run(sys.executable, "-m", "tagger.jobs.worker", planned)
        added = int(run(sys.executable, "-c", COUNT).output)
        if added != count:
            raise SystemExit(f"imported {added} of {count} photos")
        return measured


if __name__ == "__main__":
    main()

"""How long it takes to see what changed in a watched folder.

python bench/watched.py

The files are sparse, of sizes and times as photos have them; the library has a row for each, and
for its import. Measured are a look where nothing changed and one after a thousandth of the files
each was added, written again, moved and deleted.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path

from large_library import write
from measuring import Row, Run, at_most, make_parser, publish, temporary_folder
from sqlalchemy import insert

from tagger.library.database import schema
from tagger.library.library import Library
from tagger.training.run_folder import peak_memory_mb

BAR = 5.0  # seconds
PER_FOLDER = 500
CHANGED = 1_000  # one in so many of the files, for each kind of change
IMPORT = 1  # the id of the operation


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--photos", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with temporary_folder() as folder:
        photos = (folder / "photos").resolve()
        files = make_files(photos, options.photos)
        library = Library.open(folder / "library")
        try:
            add_rows(library, files)
            library.folders.add(str(photos))
            measure(library, photos, files, options)
        finally:
            library.close()


def make_files(folder: Path, count: int) -> dict[Path, int]:
    """Files with their sizes."""
    numbers = random.Random(0)
    files = {}
    for number in range(count):
        path = folder / f"{number // PER_FOLDER:04}" / f"IMG_{number:06}.jpg"
        if number % PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        files[path] = numbers.randrange(1_000_000, 9_000_000)
        make_file(path, files[path])
    return files


def make_file(path: Path, size: int) -> None:
    """A sparse file that was written an hour ago."""
    with open(path, "wb") as file:
        file.truncate(size)
    os.utime(path, (time.time() - 3600,) * 2)


def add_rows(library: Library, files: dict[Path, int]) -> None:
    """The rows that an import leaves."""
    now = datetime.now(UTC)
    run = {"id": IMPORT, "kind": "import", "title": "Import", "status": "done", "options": {}}
    with library.database.write_transaction() as connection:
        connection.execute(insert(schema.runs).values(**run, created_at=now))
        rows = list(enumerate(files.items(), 1))
        write(
            connection,
            schema.photos,
            (
                {
                    "id": number,
                    "sha256": f"{number:064x}",
                    "name": path.name,
                    "name_folded": path.name.lower(),
                    "path": str(path),
                    "stored": False,
                    "size": size,
                    "width": 4000,
                    "height": 3000,
                    "added_at": now,
                    "dated_at": now.replace(tzinfo=None),
                    "added_by": IMPORT,
                }
                for number, (path, size) in rows
            ),
        )
        write(
            connection,
            schema.files,
            (
                {"run_id": IMPORT, "path": str(path), "name": path.name, "outcome": "added"}
                | {"photo_id": number}
                for number, (path, _) in rows
            ),
        )


def measure(
    library: Library, folder: Path, files: dict[Path, int], options: argparse.Namespace
) -> None:
    runs = {"nothing changed": [look(library) for _ in range(options.rounds)]}
    change(folder, files)
    runs["changed"] = [look(library) for _ in range(options.rounds)]
    rows: list[Row] = []
    for name, group in runs.items():
        seconds = sorted(run.seconds for run in group)
        rows.append(
            {"look": name, "changes": group[-1].output, "median": seconds[len(seconds) // 2]}
            | {"slowest": seconds[-1], "peak, MB": group[-1].peak_mb}
            | {"bar, slowest": at_most(seconds[-1], BAR)}
        )
    publish(f"A watched folder of {options.photos:,} photos, seconds", rows, runs, options.json)


def look(library: Library) -> Run:
    began = time.perf_counter()
    (changes,) = library.folders.find_changes()
    seconds = time.perf_counter() - began
    return Run(seconds, peak_memory_mb() or 0.0, changes.describe() or "none")


def change(folder: Path, files: dict[Path, int]) -> None:
    paths = list(files)
    random.Random(1).shuffle(paths)
    count = max(1, len(paths) // CHANGED)
    (folder / "moved").mkdir()
    for number, path in enumerate(paths[:count]):
        path.rename(folder / "moved" / path.name)
        paths[count + number].unlink()
        with open(paths[2 * count + number], "ab") as file:
            file.write(b"more")
        make_file(folder / f"new_{number:06}.jpg", 500_000 + number)


if __name__ == "__main__":
    main()

"""The jobs that teach: checking a labelled folder, and training on one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tagger import dataset, report, runs, training
from tagger.claims import Claim
from tagger.errors import DatasetError
from tagger.fine_tuning import Recipe
from tagger.pixels import PixelStore
from tagger.places import MODELS

Result = dict[str, Any]

CHECK_SIDE = 64  # pixels that a check keeps of each photo
_TOLD = ("validation", "test", "unknown", "photos", "problems", "seconds", "conversion")


def check(claim: Claim) -> Result:
    """Read a labelled folder: what is in it, and what is wrong with it."""
    data = Path(claim.run.options["data"])
    with tempfile.TemporaryDirectory() as folder, claim.interrupting():
        store = PixelStore(Path(folder) / "pixels.u8", CHECK_SIDE)
        try:
            found = dataset.survey(data, store, progress=claim.progress)
        except DatasetError as error:
            return {"labels": {}, "problems": [], "unreadable": [], "error": str(error)}
        finally:
            store.close()
    lacking = None
    try:
        dataset.check_enough(found)
    except DatasetError as error:
        lacking = str(error)
    return {
        "labels": found.counts(),
        "problems": found.problems.lines(),
        "unreadable": [list(row) for row in found.problems.unreadable],
        "error": lacking,
    }


def train(claim: Claim) -> Result:
    """Train a model and write its report. "Stop" ends it with the best so far."""
    given = claim.run.options

    def began(run: Path) -> None:
        claim.tell(options={**given, "folder": str(run)})

    options = training.Options(
        data=Path(given["data"]),
        output=MODELS / f"{given['name']}.h5",
        image_size=given["image_size"],
        weights=given["weights"],
        recipe=Recipe(epochs=given["epochs"], seed=given["seed"]),
        about=given["about"],
        resume="folder" in given and not (Path(given["folder"]) / runs.METRICS).is_file(),
    )
    with claim.interrupting():
        trained = training.teach(
            options, claim.progress, lambda told: claim.tell(stage=told), began
        )
    page = report.write(trained.run)
    found = {key: trained.metrics[key] for key in _TOLD}
    return {"model": str(trained.model), "report": str(page), "metrics": found}

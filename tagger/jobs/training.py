"""The jobs that teach: checking a labelled folder, and training on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tagger.audit import audit
from tagger.audit.findings import MAX_PICTURES
from tagger.errors import DatasetError
from tagger.jobs.lease import Claim
from tagger.paths import MODELS
from tagger.training import run_folder, trainer
from tagger.training.config import Hyperparameters, TrainingConfig
from tagger.training.report import html

Result = dict[str, Any]

_FINE_TUNED = ("Stopped:", "Kept", "Converting")  # how the sentences begin that come after it
_ENDLESS = {"done": 0, "total": 0}
_TOLD = ("validation", "test", "unknown", "photos", "sizes", "problems", "seconds", "conversion")


def check(claim: Claim) -> Result:
    """Examine a labelled folder: what is in it, and what is wrong with it."""
    asked = audit.AuditConfig(Path(claim.run.options["data"]), weights=audit.available_weights())
    try:
        with claim.interrupting():
            examined = audit.run_audit(asked, claim.progress)
    except DatasetError as error:
        return {"labels": {}, "problems": [], "unreadable": [], "doubts": [], "error": str(error)}
    collection, found = examined.collection, examined.findings
    return {
        "labels": collection.counts(),
        "told": collection.told(),
        "written_as": collection.written_as,
        "problems": collection.problems.lines(),
        "unreadable": [list(row) for row in collection.problems.unreadable],
        "doubts": [
            {
                "line": line,
                "photos": [[f.photo, f.details] for f in found.of_kind(kind)[:MAX_PICTURES]],
            }
            for kind, line in found.summaries().items()
        ],
        "notes": found.notes(),
        "error": examined.training_obstacle,
    }


def train(claim: Claim) -> Result:
    """Train a model and write its report. "Stop" ends it with the best so far."""
    given = claim.run.options

    def began(run: Path) -> None:
        claim.tell(options={**given, "folder": str(run)})

    options = TrainingConfig(
        data=Path(given["data"]),
        output=MODELS / f"{given['name']}.h5",
        image_size=given["image_size"],
        weights=given["weights"],
        hyperparameters=Hyperparameters(epochs=given["epochs"], seed=given["seed"]),
        about=given["about"],
        resume=_can_resume(given),
    )

    def say(told: str) -> None:
        if told.startswith(_FINE_TUNED):
            claim.settle()
        # An epoch is something got on with; of other stages nobody knows how long they take.
        claim.tell(stage=told, **({"attempts": 0} if told.startswith("Epoch") else _ENDLESS))

    with claim.interrupting():
        trained = trainer.teach(options, claim.progress, say, began)
    page = html.write(trained.run)
    found = {key: trained.metrics[key] for key in _TOLD}
    return {"model": str(trained.model), "report": str(page), "metrics": found}


def _can_resume(given: dict[str, Any]) -> bool:
    """Whether an earlier attempt at this very run left something to go on from."""
    folder = Path(given["folder"]) if "folder" in given else None
    return (
        folder is not None
        and (folder / run_folder.CONFIG).is_file()
        and not (folder / run_folder.METRICS).is_file()
    )

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
from tagger.training.events import (
    ConversionStarted,
    EpochEnded,
    EpochStarted,
    FineTuningEnded,
    ProgressEvent,
    RunFolderCreated,
)
from tagger.training.report import html

Result = dict[str, Any]

_NO_COUNT = {"done": 0, "total": 0}  # of stages whose length is unknown
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

    options = TrainingConfig(
        data=Path(given["data"]),
        output=MODELS / f"{given['name']}.h5",
        image_size=given["image_size"],
        weights=given["weights"],
        hyperparameters=Hyperparameters(epochs=given["epochs"], seed=given["seed"]),
        about=given["about"],
        resume=_can_resume(given),
    )

    with claim.interrupting():
        trained = trainer.teach(options, claim.progress, EventRecorder(claim))
    page = html.write(trained.run)
    found = {key: trained.metrics[key] for key in _TOLD}
    return {"model": str(trained.model), "report": str(page), "metrics": found}


class EventRecorder:
    """Writes a training's events into its row."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._options = {k: v for k, v in claim.run.options.items() if k != "epoch"}

    def __call__(self, event: ProgressEvent) -> None:
        columns: dict[str, Any] = {"stage": lines[-1]} if (lines := event.lines()) else {}
        match event:
            case RunFolderCreated(folder):
                self._options["folder"] = str(folder)
                columns["options"] = self._options
            case EpochStarted(epoch):
                columns |= {"options": {**self._options, "epoch": epoch}, "done": 0}
            case EpochEnded(figures) if figures.epoch:
                columns["attempts"] = 0  # the run has advanced, as an import does by a photo
            case FineTuningEnded() | ConversionStarted():
                self._claim.settle()
                columns |= {"options": self._options, **_NO_COUNT}
            case _ if lines:
                columns |= _NO_COUNT
        if columns:
            self._claim.tell(**columns)


def _can_resume(given: dict[str, Any]) -> bool:
    """Whether an earlier attempt at this very run left something to go on from."""
    folder = Path(given["folder"]) if "folder" in given else None
    return (
        folder is not None
        and (folder / run_folder.CONFIG).is_file()
        and not (folder / run_folder.METRICS).is_file()
    )

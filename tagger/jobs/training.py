"""Training jobs: checking a labelled folder, and training a model on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tagger.audit import audit
from tagger.audit.findings import MAX_PICTURES
from tagger.errors import DatasetError, OptionError
from tagger.jobs.lease import Lease
from tagger.jobs.requests import CheckRequest, TrainRequest
from tagger.paths import MODELS
from tagger.training import events, run_folder, trainer
from tagger.training.config import Hyperparameters, TrainingConfig
from tagger.training.report import html

_UNCOUNTED = {"done": 0, "total": 0}  # of stages whose length is unknown
_STAGES: dict[type[events.ProgressEvent], str] = {  # for people; loops have names of their own
    events.CollectionLoaded: "Preparing the network",
    events.FineTuningEnded: "Choosing the best version",
    events.ConversionStarted: "Making the model fast",
}
_METRICS = ("validation", "test", "unknown", "photos", "sizes", "problems", "seconds", "conversion")


def check_folder(lease: Lease, request: CheckRequest) -> dict[str, Any]:
    """Audit a labelled folder: its labels, and its problems; as plain JSON values."""
    config = audit.AuditConfig(
        Path(request.data), weights=audit.available_weights(), merge_case=request.merge_case
    )
    try:
        with lease.interruptible():
            report = audit.run_audit(config, lease.track_progress)
    except DatasetError as error:
        return {"labels": {}, "problems": [], "unreadable": [], "doubts": [], "error": str(error)}
    collection, findings = report.collection, report.findings
    return {
        "labels": collection.counts(),
        "told": collection.describe_labels(),
        "written_as": collection.label_format,
        "problems": collection.problems.lines(with_case=False),
        "unreadable": [list(row) for row in collection.problems.unread],
        "doubts": [
            {
                "line": line,
                "photos": [[f.photo, f.details] for f in findings.of_kind(kind)[:MAX_PICTURES]],
            }
            for kind, line in findings.summaries().items()
        ],
        "case_variants": [list(names) for names in collection.problems.case_variants],
        "kind": collection.labels.kind,
        "notes": findings.notes(),
        "error": report.training_obstacle,
    }


def train_model(lease: Lease, request: TrainRequest) -> dict[str, Any]:
    """Train a model and write its report; stopping keeps the best epoch so far.

    The paths of both, and figures as in `metrics.json`. Raises TaggerError.
    """
    config = TrainingConfig(
        data=Path(request.data),
        output=MODELS / f"{request.name}.h5",
        image_size=request.image_size,
        weights=request.weights,
        hyperparameters=Hyperparameters(epochs=request.epochs, seed=request.seed),
        about=request.about,
        merge_case=request.merge_case,
        none_of_these=Path(request.none_of_these) if request.none_of_these else None,
        resume=_can_resume(request),
    )
    with lease.interruptible():
        try:
            result = trainer.train(config, lease.track_progress, EventRecorder(lease, request))
        except OptionError:
            if not config.resume:
                raise
            config = replace(config, resume=False)  # what it left is damaged, or photos changed
            result = trainer.train(config, lease.track_progress, EventRecorder(lease, request))
    report = html.write(result.run_folder)
    values = result.evaluation.to_dict()
    metrics = {key: values[key] for key in _METRICS}
    return {"model": str(result.model), "report": str(report), "metrics": metrics}


class EventRecorder:
    """Writes the events of a training into the job's row."""

    def __init__(self, lease: Lease, request: TrainRequest) -> None:
        self._lease = lease
        self._request = replace(request, epoch=None)

    def __call__(self, event: events.ProgressEvent) -> None:
        stage = _STAGES.get(type(event))
        columns: dict[str, Any] = {} if stage is None else {"stage": stage}
        match event:
            case events.RunFolderCreated(folder):
                self._request = replace(self._request, folder=str(folder))
                columns["options"] = self._request.to_options()
            case events.EpochStarted(epoch):
                columns["options"] = replace(self._request, epoch=epoch).to_options()
                columns["done"] = 0
            case events.EpochEnded(figures) if figures.epoch:
                columns["attempts"] = 0  # as for an import that processed a photo
            case events.FineTuningEnded() | events.ConversionStarted():
                self._lease.ignore_stop()
                columns |= {"options": self._request.to_options(), **_UNCOUNTED}
            case _ if stage:
                columns |= _UNCOUNTED
        if columns:
            self._lease.set_columns(**columns)


def _can_resume(request: TrainRequest) -> bool:
    """Whether an earlier attempt at this job left a run folder to go on from."""
    if request.folder is None:
        return False
    folder = Path(request.folder)
    return (folder / run_folder.CONFIG).is_file() and not (folder / run_folder.METRICS).is_file()

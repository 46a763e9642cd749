"""Evaluation of a trained network on validation, test and out-of-distribution photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagger.concurrency import Progress
from tagger.datasets import evaluation_set
from tagger.datasets.dataset import Dataset, Problems
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.errors import DatasetError
from tagger.evaluation import multi_label, ood, single_label
from tagger.evaluation.calibration import Calibration
from tagger.evaluation.descriptions import DescriptionScores
from tagger.evaluation.outputs import LabelledOutputs, Vary, label_array, run_network
from tagger.evaluation.results import OodScores, Scores, to_json
from tagger.export.verify import ExportResult
from tagger.inference.decision import Decision
from tagger.inference.litert import Runtime
from tagger.labels import Kind, LabelSet
from tagger.models.convert import PrecisionCheck
from tagger.models.heads import Head
from tagger.training.checkpoints import FineTuning
from tagger.training.config import TrainingConfig
from tagger.training.events import Emit, EvaluationPhotosSkipped, UnrelatedPhotosSkipped

PART = 1000  # photos whose features are held at once, where all are not needed together


@dataclass(frozen=True)
class Evaluation:
    """Everything that metrics.json records of a training.

    `photos` counts by split and label, `sizes` by split. `typical` are the scores of the validation
    photos that the model is made for, where a folder of these is named, `descriptions` those of the
    captions of validation photos. `unknown` is None where it could not be measured, `conversion`
    where a random forest was trained. `seconds` are by stage.
    """

    model: str
    kind: Kind
    labels: Sequence[str]
    photos: Mapping[str, Mapping[str, int]]
    sizes: Mapping[str, int]
    problems: Problems
    validation: Scores
    typical: Scores | None
    descriptions: DescriptionScores | None
    test: Scores | None
    unknown: OodScores | None
    conversion: PrecisionCheck | None
    fine_tuning: FineTuning
    started_from: str
    exports: Sequence[ExportResult] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float | None = None

    @property
    def complete(self) -> bool:
        """Whether every folder and photo could be read and every export was kept."""
        refused = any(export.refusal for export in self.exports)
        return not refused and not self.problems.unread

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as in metrics.json."""
        return {part.name: to_json(getattr(self, part.name)) for part in fields(self)}


@dataclass
class Evaluator:
    """Runs a network on photos of the pixel store and scores it.

    `forest`, where there is one, takes the place of the network's head.
    """

    config: TrainingConfig
    labels: LabelSet
    store: PixelStore
    progress: Progress
    forest: Head | None = None

    def run(self, runtime: Runtime, samples: Sequence[Sample], stage: str) -> LabelledOutputs:
        """Outputs for samples, with their labels; `stage` names the loop for `progress`."""
        logits = np.empty((len(samples), runtime.label_count), np.float32)
        features = np.empty((len(samples), runtime.feature_count), np.float32)
        workers = self.config.workers
        outputs = run_network(runtime, self.store, samples, workers, self.progress, stage)
        for row, output in enumerate(outputs):
            logits[row], features[row] = output.logits, output.features
        if self.forest:
            logits = self.forest.logits(features)
        return LabelledOutputs(logits, features, label_array(samples, self.labels))

    def run_in_parts(
        self,
        runtime: Runtime,
        samples: Sequence[Sample],
        stage: str,
        vary: Vary | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Rows and features of about PART samples at a time, for more than fit into memory.

        `vary` gives a variant of each photo, which takes its place.
        """
        workers = self.config.workers
        outputs = iter(
            run_network(runtime, self.store, samples, workers, self.progress, stage, vary)
        )
        for rows in np.array_split(np.arange(len(samples)), max(1, len(samples) // PART)):
            yield rows, np.stack([next(outputs).features for _ in rows])

    def load_test_samples(self, collection: Dataset, emit: Emit) -> list[Sample]:
        """The samples of the configured test folder, or the collection's own test split.

        Raises DatasetError where all photos of the folder are in the collection.
        """
        folder = self.config.test
        if not folder:
            return collection.split("test")
        samples, unreadable = evaluation_set.load(
            folder, self.labels, self.store, self.config.workers, self.progress
        )
        in_collection = {sample.digest for sample in collection.samples}
        new = [sample for sample in samples if sample.digest not in in_collection]
        emit(EvaluationPhotosSkipped(len(unreadable), len(samples) - len(new)))
        if not new:
            raise DatasetError(f"{folder}: every photo in it is in the collection too")
        return new

    def score_test(
        self, runtime: Runtime, samples: Sequence[Sample], calibration: Calibration
    ) -> Scores | None:
        """Scores on test photos, None without any."""
        if not samples:
            return None
        outputs = self.run(runtime, samples, "Testing")
        decisions = calibration.rule.decide(outputs.logits, outputs.features)
        return self.score(samples, outputs, decisions, calibration.rule.temperature)

    def score(
        self,
        samples: Sequence[Sample],
        outputs: LabelledOutputs,
        decisions: Sequence[Decision],
        temperature: float,
    ) -> Scores:
        """Scores of decisions about labelled photos."""
        paths = [sample.path for sample in samples]
        if self.labels.kind == "multi":
            return multi_label.evaluate(self.labels, paths, outputs, decisions, temperature)
        return single_label.evaluate(self.labels, paths, outputs, decisions, temperature)

    def score_typical(
        self,
        samples: Sequence[Sample],
        outputs: LabelledOutputs,
        decisions: Sequence[Decision],
        temperature: float,
    ) -> Scores | None:
        """As `score`, of the photos in the folder of typical ones; None without such a folder."""
        if self.config.typical is None:
            return None
        rows = [row for row, sample in enumerate(samples) if self.config.is_typical(sample.path)]
        return self.score(
            [samples[row] for row in rows],
            outputs.take(np.array(rows)),
            [decisions[row] for row in rows],
            temperature,
        )

    def score_unknown(
        self,
        runtime: Runtime,
        train: LabelledOutputs,
        validation: LabelledOutputs,
        calibration: Calibration,
        emit: Emit,
    ) -> OodScores | None:
        """Scores of "unknown" on the configured unrelated photos, else on labels left out."""
        rule, config = calibration.rule, self.config
        if not config.unrelated:
            seed = config.hyperparameters.seed
            return ood.evaluate_left_out(self.labels, train, validation, rule.temperature, seed)
        unrelated = ood.run_on_folder(runtime, config.unrelated, config.workers, self.progress)
        emit(UnrelatedPhotosSkipped(unrelated.unread))
        if self.forest:
            unrelated = replace(unrelated, logits=self.forest.logits(unrelated.features))
        return ood.evaluate_unrelated(rule, validation, unrelated)

"""A network judged: what it puts out for labelled photos, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tagger.concurrency import Progress
from tagger.datasets import evaluation_set
from tagger.datasets.dataset import Collection
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.splits import Sample
from tagger.errors import DatasetError
from tagger.evaluation import single_label
from tagger.evaluation.calibration import Calibration
from tagger.evaluation.outputs import LabelledOutputs, known, outputs
from tagger.inference.litert import Runtime
from tagger.labels import LabelSet
from tagger.models.classifiers import Classifier
from tagger.training.config import TrainingConfig
from tagger.training.events import Emit, EvaluationPhotosSkipped

Seen = tuple[Sequence[Sample], LabelledOutputs]  # photos, and what the network puts out for them


@dataclass
class Judge:
    """Looks at the photos of one training; a `forest` speaks in the place of the network's head."""

    options: TrainingConfig
    labels: LabelSet
    store: PixelStore
    progress: Progress
    forest: Classifier | None = None

    def look(self, runtime: Runtime, samples: Sequence[Sample], what: str) -> LabelledOutputs:
        """What the network puts out for them, and what is known of them."""
        logits = np.empty((len(samples), runtime.label_count), np.float32)
        features = np.empty((len(samples), runtime.feature_count), np.float32)
        found = outputs(runtime, self.store, samples, self.options.workers, self.progress, what)
        for row, output in enumerate(found):
            logits[row], features[row] = output.logits, output.features
        if self.forest:
            logits = self.forest.logits(features)
        return LabelledOutputs(logits, features, known(self.labels, samples))

    def judge(
        self,
        runtime: Runtime,
        trained: LabelledOutputs,
        validation: Seen,
        tested: Sequence[Sample],
        calibration: Calibration,
    ) -> dict[str, Any]:
        """By validation photos, by photos to test on where there are any, and by unknown ones."""
        rule = calibration.rule
        judged = None
        if tested:
            found = self.look(runtime, tested, "Testing")
            decided = rule.decide(found.logits, found.features)
            paths = [sample.path for sample in tested]
            judged = single_label.judge(self.labels, paths, found, decided, rule.temperature)
        samples, held_out = validation
        paths = [sample.path for sample in samples]
        return {
            "validation": single_label.judge(
                self.labels, paths, held_out, calibration.decisions, rule.temperature
            ),
            "test": judged,
            "unknown": self._judge_unknown(runtime, trained, held_out, calibration),
        }

    def _judge_unknown(
        self,
        runtime: Runtime,
        trained: LabelledOutputs,
        held_out: LabelledOutputs,
        calibration: Calibration,
    ) -> dict[str, Any] | None:
        rule, options = calibration.rule, self.options
        if not options.unrelated:
            return single_label.judge_left_out(
                self.labels, trained, held_out, rule.temperature, options.hyperparameters.seed
            )
        strangers = single_label.look(runtime, options.unrelated, options.workers, self.progress)
        if self.forest:
            strangers = replace(strangers, logits=self.forest.logits(strangers.features))
        return single_label.judge_unrelated(rule, held_out, strangers)

    def photos_to_test(self, collection: Collection, emit: Emit) -> list[Sample]:
        """Those from elsewhere that were asked for, or the collection's own.

        Raises DatasetError where all of them were trained on.
        """
        elsewhere, workers = self.options.test, self.options.workers
        if not elsewhere:
            return collection.split("test")
        samples, unreadable = evaluation_set.load(
            elsewhere, self.labels, self.store, workers, self.progress
        )
        trained_on = {sample.digest for sample in collection.samples}
        fresh = [sample for sample in samples if sample.digest not in trained_on]
        emit(EvaluationPhotosSkipped(len(unreadable), len(samples) - len(fresh)))
        if not fresh:
            raise DatasetError(f"{elsewhere}: every photo in it is in the collection too")
        return fresh

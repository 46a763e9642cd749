"""A network judged: what it puts out for labelled photos, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tagger.concurrency import Progress
from tagger.datasets import evaluation_set
from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample
from tagger.errors import DatasetError
from tagger.evaluation import multi_label, ood, single_label
from tagger.evaluation.calibration import Calibration
from tagger.evaluation.outputs import LabelledOutputs, label_array, run_network
from tagger.evaluation.results import OodScores, Scores, to_json
from tagger.inference.decision import Decision
from tagger.inference.litert import Runtime
from tagger.labels import LabelSet
from tagger.models.heads import Head
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
    forest: Head | None = None

    def look(self, runtime: Runtime, samples: Sequence[Sample], what: str) -> LabelledOutputs:
        """What the network puts out for them, and what is known of them."""
        logits = np.empty((len(samples), runtime.label_count), np.float32)
        features = np.empty((len(samples), runtime.feature_count), np.float32)
        found = run_network(runtime, self.store, samples, self.options.workers, self.progress, what)
        for row, output in enumerate(found):
            logits[row], features[row] = output.logits, output.features
        if self.forest:
            logits = self.forest.logits(features)
        return LabelledOutputs(logits, features, label_array(samples, self.labels))

    def judge(
        self,
        runtime: Runtime,
        trained: LabelledOutputs,
        validation: Seen,
        tested: Sequence[Sample],
        calibration: Calibration,
    ) -> dict[str, Any]:
        """Scores on validation photos, on test photos if any, and on unknown photos."""
        test = None
        if tested:
            outputs = self.look(runtime, tested, "Testing")
            decisions = calibration.rule.decide(outputs.logits, outputs.features)
            test = self._score(tested, outputs, decisions, calibration.rule.temperature)
        samples, held_out = validation
        temperature = calibration.rule.temperature
        return {
            "validation": to_json(
                self._score(samples, held_out, calibration.decisions, temperature)
            ),
            "test": to_json(test),
            "unknown": to_json(self._judge_unknown(runtime, trained, held_out, calibration)),
        }

    def _score(
        self,
        samples: Sequence[Sample],
        outputs: LabelledOutputs,
        decisions: Sequence[Decision],
        temperature: float,
    ) -> Scores:
        paths = [sample.path for sample in samples]
        if self.labels.kind == "multi":
            return multi_label.evaluate(self.labels, paths, outputs, decisions, temperature)
        return single_label.evaluate(self.labels, paths, outputs, decisions, temperature)

    def _judge_unknown(
        self,
        runtime: Runtime,
        trained: LabelledOutputs,
        held_out: LabelledOutputs,
        calibration: Calibration,
    ) -> OodScores | None:
        rule, config = calibration.rule, self.options
        if not config.unrelated:
            seed = config.hyperparameters.seed
            return ood.evaluate_left_out(self.labels, trained, held_out, rule.temperature, seed)
        unrelated = ood.run_on_folder(runtime, config.unrelated, config.workers, self.progress)
        if self.forest:
            unrelated = replace(unrelated, logits=self.forest.logits(unrelated.features))
        return ood.evaluate_unrelated(rule, held_out, unrelated)

    def photos_to_test(self, collection: Dataset, emit: Emit) -> list[Sample]:
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

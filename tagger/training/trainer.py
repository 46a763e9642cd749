"""The recipe: photos → features → head → fine-tuned network → decision rule → model file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tagger.audit import findings
from tagger.concurrency import Progress, silent
from tagger.datasets import dataset
from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, tag_matrix
from tagger.datasets.splits import subsample
from tagger.errors import DatasetError
from tagger.evaluation.calibration import MAX_REFERENCE_PHOTOS, Calibration, calibrate
from tagger.evaluation.metrics import mean_average_precision
from tagger.evaluation.outputs import label_array
from tagger.export.photos import select_photos
from tagger.export.verify import export_beside, export_paths
from tagger.files import write_atomically
from tagger.images import decode
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.models import convert, heads, networks
from tagger.models.heads import MAX_HEAD_PHOTOS, LinearHead, prior_correction
from tagger.models.weights import NO_WEIGHTS, save_h5
from tagger.training import initialize, model_card, run_folder
from tagger.training.config import TrainingConfig
from tagger.training.epochs import Epoch, epoch_log
from tagger.training.evaluate import Judge
from tagger.training.events import (
    CollectionAudited,
    CollectionLoaded,
    ConversionStarted,
    Emit,
    EpochEnded,
    ExportReported,
    FineTuningEnded,
    RunFolderCreated,
    ignore,
)
from tagger.training.fine_tune import Photos, State, fine_tune

if TYPE_CHECKING:
    import keras

INT8_RANGE_PHOTOS = 200  # training photos that int8 ranges are taken from


@dataclass(frozen=True)
class TrainingResult:
    """Where the model and its run are, and the numbers of `metrics.json`."""

    model: Path
    run_folder: Path
    metrics: dict[str, Any]
    history: list[Epoch]

    @property
    def complete(self) -> bool:
        """Whether every photo could be read and every export was kept."""
        refused = any(export["refused"] for export in self.metrics["exports"])
        return not refused and not self.metrics["problems"]["unreadable"]


def train(
    options: TrainingConfig,
    progress: Progress = silent,
    emit: Emit = ignore,
) -> TrainingResult:
    """Train, judge and save a model. Raises TaggerError for what the caller can mend.

    `emit` gets an event at each stage, `progress` wraps every long loop. Ctrl-C during fine-tuning
    ends that stage with the best weights so far.
    """
    run = run_folder.open_run(options.runs, options.output.stem, options.settings(), options.resume)
    emit(RunFolderCreated(run))
    store = PixelStore(run / "pixels.u8", options.image_size)
    try:
        return _Trainer(options, run, store, progress, emit).train()
    finally:
        store.close()
        run_folder.discard_unused(run)


@dataclass
class _Trainer:
    """One run: what every stage needs."""

    options: TrainingConfig
    run: Path
    store: PixelStore
    progress: Progress
    emit: Emit
    seconds: dict[str, float] = field(default_factory=dict)
    started_from: str = ""

    def train(self) -> TrainingResult:
        collection = self._read()
        judge = Judge(self.options, collection.labels, self.store, self.progress)
        tested = judge.photos_to_test(collection, self.emit)
        networks.set_seed(self._seed)
        network, self.started_from = initialize.build_network(
            self.options, collection, self.store, self.emit
        )
        state = self._fit(network, collection, judge)
        if collection.labels.kind == "multi":
            self._unweight_head(network, collection)
        conversion = None if judge.forest else self._convert(network, collection)
        runtime = Runtime(conversion.network if conversion else convert.to_litert(network))
        held_out = self._held_out(collection)
        with self._timed("calibrating"):
            some = subsample(collection.split("train"), MAX_REFERENCE_PHOTOS, self._seed)
            trained = judge.look(runtime, some, "Learning what is familiar")
            validation = judge.look(runtime, held_out, "Validating")
            calibration = calibrate(trained, validation, self._seed)
        with self._timed("judging"):
            seen = held_out, validation
            found = self._told(collection)
            found |= judge.judge(runtime, trained, seen, tested, calibration)
        found |= {"conversion": asdict(conversion.check) if conversion else None}
        found |= {"fine_tuning": state.summary(), "started_from": self.started_from}
        if conversion:
            self._save(network, conversion, collection, found, calibration)
        found |= {"exports": self._export(collection)}
        found |= {"seconds": self.seconds, "peak_memory_mb": run_folder.peak_memory_mb()}
        self._finish(found, state)
        return TrainingResult(self.options.output, self.run, found, state.history)

    @property
    def _seed(self) -> int:
        return self.options.hyperparameters.seed

    def _held_out(self, collection: Dataset) -> list[Sample]:
        """The validation photos, or as many of them as memory should hold features of."""
        return subsample(collection.split("val"), MAX_REFERENCE_PHOTOS, self._seed)

    def _read(self) -> Dataset:
        """Every photo, and whatever could otherwise go wrong after hours of training."""
        initialize.check_weights(self.options)
        self.options.output.parent.mkdir(parents=True, exist_ok=True)
        export_paths(self.options.output, self.options.export)
        if self.options.unrelated and not next(decode.find_photos(self.options.unrelated), None):
            raise DatasetError(f"{self.options.unrelated}: no photos in it")
        given = self.options.leave_out
        unwanted = findings.read_list(given) if given else frozenset()
        with self._timed("reading photos"):
            collection = dataset.load(
                self.options.data,
                self.store,
                self._seed,
                self.options.workers,
                self.progress,
                self.options.validation_share,
                unwanted,
            )
        self.emit(CollectionLoaded(collection))
        run_folder.check_collection(self.run, collection.fingerprint)
        return collection

    def _told(self, collection: Dataset) -> dict[str, Any]:
        """What there was to learn from."""
        return {
            "model": self.options.output.stem,
            "kind": collection.labels.kind,
            "labels": list(collection.labels.names),
            "photos": collection.counts(),
            "sizes": collection.sizes(),
            "problems": collection.problems.to_dict(),
        }

    def _fit(self, network: keras.Model, collection: Dataset, judge: Judge) -> State:
        if not (self.run / "state.json").is_file():
            if self.options.hyperparameters.from_scratch:
                self._examine(collection, None)  # its features say nothing yet
            else:
                self._fit_head(network, collection, judge)
        if not self.options.epochs:
            return State()
        photos = Photos(
            self.store,
            collection.split("train"),
            collection.split("val"),
            len(collection.labels),
            collection.labels.kind,
        )
        with self._timed("fine-tuning"), epoch_log(self.run, self.options.tensorboard) as log:

            def on_epoch(rows: Sequence[Epoch]) -> None:
                run_folder.write_history(self.run, [asdict(row) for row in rows])
                log(rows[-1])
                self.emit(EpochEnded(rows[-1]))

            with networks.freeze_arrays(self.options.backbone, network):
                state = fine_tune(
                    network,
                    photos,
                    self.options.hyperparameters,
                    self.run,
                    self.progress,
                    on_epoch,
                    self.emit,
                )
        self.emit(FineTuningEnded(state.stopped, state.kept_epoch, state.blend))
        return state

    def _fit_head(self, network: keras.Model, collection: Dataset, judge: Judge) -> None:
        labels = collection.labels
        with self._timed("features"):
            runtime = Runtime(convert.to_litert(network))
            sample = subsample(collection.split("train"), MAX_HEAD_PHOTOS, self._seed)
            train = judge.look(runtime, sample, "Computing features")
            kept = [] if labels.kind == "multi" else self._held_out(collection)
            held_out = judge.look(runtime, kept, "Validation features")
        with self._timed("head"):
            seen, unseen = ((some.features, some.labels) for some in (train, held_out))
            head = heads.fit_head(self.options.head, seen, unseen, len(labels), self._seed)
        if isinstance(head, LinearHead):
            _set_head(network, head)
        else:
            judge.forest = head
        with self._timed("checking photos"):
            looked_at = [*sample, *kept], np.concatenate([train.features, held_out.features])
            self._examine(collection, looked_at)

    def _examine(
        self, collection: Dataset, features: tuple[list[Sample], NDArray[np.float32]] | None
    ) -> None:
        """Say and note what is wrong with the photos; labels, by features that mean something."""
        judged = None if self.options.weights == NO_WEIGHTS else features
        found = findings.collect_findings(collection, self.options.image_size, judged, self._seed)
        write_atomically(self.run / run_folder.FINDINGS, json.dumps(found.to_dict()))
        self.emit(CollectionAudited(found))

    def _unweight_head(self, network: keras.Model, collection: Dataset) -> None:
        """Let probabilities be those of tags as rare as they are; see `heads.prior_correction`."""
        weights, bias = network.get_layer(networks.HEAD).get_weights()
        shift = prior_correction(tag_matrix(collection.split("train"), len(collection.labels)))
        _set_head(network, LinearHead(weights, bias + shift))

    def _convert(self, network: keras.Model, collection: Dataset) -> convert.Conversion:
        validation = collection.split("val")
        ranges = subsample(collection.split("train"), INT8_RANGE_PHOTOS, self._seed)
        self.emit(ConversionStarted())
        with self._timed("converting"):
            return convert.choose_precision(
                network,
                list(self.store.rows(sample.row for sample in ranges)),
                lambda: self.store.rows(sample.row for sample in validation),
                label_array(validation, collection.labels),
                mean_average_precision,
            )

    def _save(
        self,
        network: keras.Model,
        conversion: convert.Conversion,
        collection: Dataset,
        found: dict[str, Any],
        calibration: Calibration,
    ) -> None:
        output, settings = self.options.output, self.options.settings()
        card = model_card.write(output.stem, settings, collection, found, calibration)
        model = model_file.ModelFile(
            collection.labels, self.options.image_size, calibration.rule, conversion.network, card
        )
        temporary = output.with_name(f".{output.stem}.unfinished.h5")
        with self._timed("saving"):
            save_h5(network, temporary)
            model_file.save(output, temporary, model)

    def _export(self, collection: Dataset) -> list[dict[str, Any]]:
        if not self.options.export:
            return []
        checked, ranges = collection.split("val"), collection.split("train")
        photos = select_photos(self.store, collection.labels, checked, ranges)
        with self._timed("exporting"):
            return export_beside(
                self.options.output,
                self.options.export,
                photos,
                self.progress,
                lambda message: self.emit(ExportReported(message)),
            )

    def _finish(self, found: dict[str, Any], state: State) -> None:
        """Numbers last: a run that has them is done, so its checkpoints can go."""
        run_folder.write_history(self.run, [asdict(row) for row in state.history])
        write_atomically(self.run / run_folder.METRICS, json.dumps(found, indent=2) + "\n")
        for checkpoint in [*self.run.glob("*.npz"), self.run / "state.json"]:
            checkpoint.unlink(missing_ok=True)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - began


def _set_head(network: keras.Model, head: LinearHead) -> None:
    network.get_layer(networks.HEAD).set_weights([head.weights, head.bias])

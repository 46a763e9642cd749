"""Training: photos → features → head → fine-tuned network → decision rule → model file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagger.audit import findings
from tagger.concurrency import Progress, silent
from tagger.datasets import captions, dataset
from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, target_matrix
from tagger.datasets.splits import subsample
from tagger.errors import DatasetError
from tagger.evaluation import ood
from tagger.evaluation.calibration import MAX_REFERENCE_PHOTOS, calibrate
from tagger.evaluation.descriptions import DescriptionScores, score_descriptions
from tagger.evaluation.metrics import mean_average_precision
from tagger.evaluation.outputs import LabelledOutputs, label_array
from tagger.evaluation.tag_selection import TagSelection
from tagger.export.photos import select_photos
from tagger.export.verify import ExportResult, export_model, export_paths, format_results
from tagger.files import write_atomically
from tagger.inference import model_file
from tagger.inference.litert import Runtime
from tagger.inference.registry import IMAGENET
from tagger.inference.words import Words
from tagger.models import convert, heads, imagenet, networks
from tagger.models.heads import MAX_HEAD_PHOTOS, LinearHead
from tagger.models.weights import NO_WEIGHTS, save_h5
from tagger.training import checkpoints, events, initialize, model_card, run_folder, tag_head
from tagger.training.checkpoints import FineTuning, FineTuningState
from tagger.training.collection_captions import CollectionCaptions, tokenize
from tagger.training.config import TrainingConfig
from tagger.training.evaluate import Evaluation, Evaluator
from tagger.training.events import Emit, ignore
from tagger.training.run_folder import Epoch
from tagger.training.teach_words import run_first_network, teach_words

if TYPE_CHECKING:
    import keras

    from tagger.training.batches import TrainingData
    from tagger.training.fine_tune import Extras, HeadWeights

INT8_RANGE_PHOTOS = 200  # training photos that int8 ranges are taken from


@dataclass(frozen=True)
class TrainingResult:
    """The model file, its run folder, what metrics.json records, and a row an epoch."""

    model: Path
    run_folder: Path
    evaluation: Evaluation
    history: list[Epoch]


def train(
    config: TrainingConfig, progress: Progress = silent, emit: Emit = ignore
) -> TrainingResult:
    """Train, evaluate and save a model. Raises TaggerError for what the caller can fix.

    `emit` gets an event at each stage, `progress` wraps every long loop. Ctrl-C during fine-tuning
    ends that stage with the best weights so far.
    """
    run = run_folder.open_run(config.runs, config.output.stem, config.settings(), config.resume)
    emit(events.RunFolderCreated(run))
    store = PixelStore(run / "pixels.u8", config.image_size)
    try:
        return _Trainer(config, run, store, progress, emit).train()
    finally:
        store.close()
        run_folder.discard_unused(run)


@dataclass
class _Trainer:
    """One training, stage by stage."""

    config: TrainingConfig
    run: Path
    store: PixelStore
    progress: Progress
    emit: Emit
    seconds: dict[str, float] = field(default_factory=dict)
    _captions: CollectionCaptions | None = None
    _teacher_head: HeadWeights | None = None

    def train(self) -> TrainingResult:
        state = checkpoints.load_state(self.run)
        collection = self._load_collection()
        evaluator = Evaluator(self.config, collection.labels, self.store, self.progress)
        test = evaluator.load_test_samples(collection, self.emit)
        if self.config.captions:
            self._captions = self._load_captions(self.config.captions, collection)
        networks.set_seed(self._seed)
        network, started_from = initialize.build_network(
            self.config, collection, self.store, self.emit
        )
        fine_tuning = self._fit(network, collection, evaluator, state)
        if collection.labels.kind == "multi":
            if self.config.least_precision is not None and fine_tuning.epochs:
                with self._timed("head"):
                    tag_head.refit(network, collection, evaluator, self._teacher_head)
            tag_head.correct_prior(network, collection, self.config.hyperparameters.balance)
        selection = None
        if self.config.least_precision is not None:
            network, collection, selection = self._select_tags(network, collection, evaluator)
            evaluator = replace(evaluator, labels=collection.labels)
            test = [sample.keep_labels(selection.kept.tolist()) for sample in test]
        test = self._skip_unlabelled(test, len(collection.labels))
        evaluation = self._complete(
            network, collection, evaluator, test, selection, fine_tuning, started_from
        )
        evaluation = replace(
            evaluation,
            exports=self._export(collection),
            seconds=self.seconds,
            peak_memory_mb=run_folder.peak_memory_mb(),
        )
        self._finish(evaluation, state.history)
        return TrainingResult(self.config.output, self.run, evaluation, state.history)

    def _complete(
        self,
        network: keras.Model,
        collection: Dataset,
        evaluator: Evaluator,
        test: Sequence[Sample],
        selection: TagSelection | None,
        fine_tuning: FineTuning,
        started_from: str,
    ) -> Evaluation:
        """Convert the network, fit its decision rule and words, judge it, and save the model."""
        conversion = None
        if not evaluator.forest:
            self.emit(events.ConversionStarted())
            conversion = self._convert(network, collection)
        runtime = Runtime(conversion.network if conversion else convert.to_litert(network))
        with self._timed("calibrating"):
            sample = subsample(collection.split("train"), MAX_REFERENCE_PHOTOS, self._seed)
            trained_on = evaluator.run(runtime, sample, "Learning what is familiar")
            validation = self._validation_samples(collection)
            held_out = evaluator.run(runtime, validation, "Checking with validation photos")
            thresholds = selection.thresholds[selection.kept].tolist() if selection else None
            calibration = calibrate(
                trained_on, held_out, self._seed, tuple(thresholds) if thresholds else None
            )
        words = self._teach_words(runtime, collection, evaluator, (validation, held_out))
        with self._timed("judging"):
            temperature, decisions = calibration.rule.temperature, calibration.decisions
            evaluation = Evaluation(
                model=self.config.output.stem,
                kind=collection.labels.kind,
                labels=collection.labels.names,
                photos=collection.counts(),
                sizes=collection.sizes(),
                problems=collection.problems,
                test=evaluator.score_test(runtime, test, calibration),
                validation=evaluator.score(validation, held_out, decisions, temperature),
                typical=evaluator.score_typical(validation, held_out, decisions, temperature),
                descriptions=self._score_descriptions(words, validation, held_out),
                unknown=evaluator.score_unknown(
                    runtime, trained_on, held_out, calibration, self.emit
                ),
                conversion=conversion.check if conversion else None,
                fine_tuning=fine_tuning,
                started_from=started_from,
            )
        if conversion:
            card = model_card.build_card(
                self.config.settings(), collection, evaluation, calibration, selection
            )
            rule, size = calibration.rule, self.config.image_size
            model = model_file.ModelFile(
                collection.labels, size, rule, conversion.network, card, words=words
            )
            self._save(network, model)
        return evaluation

    @property
    def _seed(self) -> int:
        return self.config.hyperparameters.seed

    def _skip_unlabelled(self, test: Sequence[Sample], labels: int) -> list[Sample]:
        """The test photos of which anybody looked for one of the labels; says if none is left."""
        labelled = [sample for sample in test if len(sample.unseen) < labels]
        if test and not labelled:
            self.emit(events.TestSkipped(len(test)))
        return labelled

    def _validation_samples(self, collection: Dataset) -> list[Sample]:
        """The validation samples, or a sample whose features fit into memory."""
        return subsample(collection.split("val"), MAX_REFERENCE_PHOTOS, self._seed)

    def _load_collection(self) -> Dataset:
        """Read every photo; first check everything that could fail after hours of training."""
        config = self.config
        loaded = captions.read(config.captions, config.data) if config.captions else None
        initialize.check_weights(config)
        config.output.parent.mkdir(parents=True, exist_ok=True)
        export_paths(config.output, config.export)
        if config.unrelated:
            ood.check_folder(config.unrelated, config.image_size)
        leave_out = findings.read_list(config.leave_out) if config.leave_out else frozenset()
        with self._timed("reading photos"):
            collection = dataset.load(
                config.data,
                self.store,
                self._seed,
                config.workers,
                self.progress,
                config.validation_share,
                leave_out,
                merge_case=config.merge_case,
                none_of_these=config.none_of_these,
            )
        self.emit(events.CollectionLoaded(collection))
        tag_head.check_options(config, collection)
        captions_digest = loaded.digest if loaded else ""
        run_folder.check_collection(self.run, collection.fingerprint + captions_digest)
        return collection

    def _load_captions(self, file: Path, collection: Dataset) -> CollectionCaptions:
        loaded = captions.read(file, self.config.data, collection.copies())
        first = self._first_words
        tokenized = tokenize(file, loaded, collection, first, self._seed)
        self.emit(
            events.CaptionsLoaded(
                len(tokenized.train.rows),
                len(tokenized.train.tokens),
                len(tokenized.train.tokens) - len(first.tokens if first else ()),
                tokenized.left_out,
                loaded.remarks,
            )
        )
        return tokenized

    def _fit(
        self,
        network: keras.Model,
        collection: Dataset,
        evaluator: Evaluator,
        state: FineTuningState,
    ) -> FineTuning:
        """Fit the head, then fine-tune every layer; or go on from the state of a checkpoint."""
        if not state.history:
            if self.config.hyperparameters.from_scratch:
                self._audit(collection, None)  # untrained features cannot judge labels
            else:
                self._fit_head(network, collection, evaluator)
        if not self.config.epochs:
            return FineTuning()
        from tagger.training.batches import TrainingData  # these two import Keras
        from tagger.training.fine_tune import fine_tune

        data = TrainingData(
            self.store,
            collection.split("train"),
            collection.split("val"),
            collection.labels,
            self.config.hyperparameters,
            self._captions.train if self._captions else None,
            self._captions.validation if self._captions else None,
        )
        extras = self._prepare_extras(network, data, evaluator, bool(state.history))
        with (
            self._timed("fine-tuning"),
            run_folder.tensorboard_logger(self.run, self.config.tensorboard) as log,
            networks.freeze_arrays(self.config.backbone, network),
        ):

            def record(event: events.ProgressEvent) -> None:
                if isinstance(event, events.EpochEnded):
                    run_folder.write_history(self.run, state.history)
                    log(event.figures)
                self.emit(event)

            result, self._teacher_head = fine_tune(
                network, data, state, self.run, self.progress, record, extras
            )
        self.emit(events.FineTuningEnded(result.stopped, result.kept_epoch, result.blend))
        return result

    def _prepare_extras(
        self, network: keras.Model, data: TrainingData, evaluator: Evaluator, resumed: bool
    ) -> Extras:
        """The teacher and the first words of a fine-tuning, from the network it starts with."""
        from tagger.training.fine_tune import Extras
        from tagger.training.word_space import fit_words

        captions = None if resumed else self._captions
        described = captions.described if captions else []
        head = imagenet.load_head() if self.config.hyperparameters.distillation > 0 else None
        if not head and not described:
            return Extras()
        with self._timed("features"):
            runtime = Runtime(convert.to_litert(network))
            outputs = run_first_network(runtime, evaluator, data.train, described, head)
        data.teacher = outputs.answers
        words = None
        if captions:
            own, count = captions.of_described(), len(described)
            with self._timed("words"):
                words = fit_words(outputs.features, own, count, self._seed, self._first_words)
        return Extras(head, words)

    @cached_property
    def _first_words(self) -> Words | None:
        """The words of the model whose weights this training starts from."""
        if self.config.weights in (IMAGENET, NO_WEIGHTS):
            return None
        return initialize.load_words(self.config.weights)

    def _fit_head(self, network: keras.Model, collection: Dataset, evaluator: Evaluator) -> None:
        """Fit a head on the backbone's features, and audit the labels by those."""
        labels = collection.labels
        with self._timed("features"):
            runtime = Runtime(convert.to_litert(network))
            samples = subsample(collection.split("train"), MAX_HEAD_PHOTOS, self._seed)
            train = evaluator.run(runtime, samples, "Looking at photos")
            validation = [] if labels.kind == "multi" else self._validation_samples(collection)
            held_out = evaluator.run(runtime, validation, "Looking at validation photos")
        with self._timed("head"):
            targets = train.labels
            if labels.kind == "multi" and self.config.head in (None, heads.LOGISTIC):
                targets = target_matrix(samples, len(labels))
            head = heads.fit_head(
                self.config.head,
                (train.features, targets),
                (held_out.features, held_out.labels),
                len(labels),
                self._seed,
                self.config.hyperparameters.balance,
            )
        if isinstance(head, LinearHead):
            networks.set_head(network, head.weights, head.bias)
        else:
            evaluator.forest = head
        with self._timed("checking photos"):
            features = np.concatenate([train.features, held_out.features])
            self._audit(collection, ([*samples, *validation], features))

    def _audit(
        self, collection: Dataset, features: tuple[list[Sample], NDArray[np.float32]] | None
    ) -> None:
        """Record and report problems of the photos; of labels only with pretrained features."""
        if self.config.weights == NO_WEIGHTS:
            features = None
        audit = findings.collect_findings(collection, self.config.image_size, features, self._seed)
        write_atomically(self.run / run_folder.FINDINGS, json.dumps(audit.to_dict()))
        self.emit(events.CollectionAudited(audit))

    def _select_tags(
        self, network: keras.Model, collection: Dataset, evaluator: Evaluator
    ) -> tuple[keras.Model, Dataset, TagSelection]:
        """The calibrated network and the collection of the tags that earn their place.

        They are chosen by what the converted network says, which may be a little less right.
        """
        conversion = self._convert(network, collection)
        with self._timed("choosing tags"):
            samples = self._validation_samples(collection)
            outputs = evaluator.run(Runtime(conversion.network), samples, "Choosing tags")
            selection = tag_head.select(self.config, collection, samples, outputs)
        names, kept = np.array(collection.labels.names), selection.kept
        self.emit(events.TagsSelected(tuple(names[kept]), tuple(np.delete(names, kept))))
        if not len(kept):
            raise DatasetError(
                f"{self.config.data}: no tag is right for {self.config.least_precision:.0%} of the"
                " validation photos it is said of; lower --least-precision (with --resume no epoch"
                " is repeated), or add photos and start anew"
            )
        network = tag_head.keep_selected(network, selection)
        return network, collection.keep_labels(kept.tolist()), selection

    def _teach_words(
        self,
        runtime: Runtime,
        collection: Dataset,
        evaluator: Evaluator,
        validation: tuple[Sequence[Sample], LabelledOutputs],
    ) -> Words | None:
        """The words of the model, if there are captions."""
        if self._captions is None:
            return None
        training, head = collection.split("train"), self._teacher_head
        with self._timed("words"):
            words, taught = teach_words(
                runtime, evaluator, training, self._captions, self._first_words, validation, head
            )
        self.emit(taught)
        return words

    def _score_descriptions(
        self, words: Words | None, samples: Sequence[Sample], outputs: LabelledOutputs
    ) -> DescriptionScores | None:
        if words is None or self._captions is None:
            return None
        captions = [self._captions.by_photo.get(sample.path, ()) for sample in samples]
        vectors = words.embed_photos(outputs.features)
        return score_descriptions(words, vectors, captions, self._seed)

    def _convert(self, network: keras.Model, collection: Dataset) -> convert.Conversion:
        validation = collection.split("val")
        ranges = subsample(collection.split("train"), INT8_RANGE_PHOTOS, self._seed)
        with self._timed("converting"):
            return convert.choose_precision(
                network,
                list(self.store.rows(sample.row for sample in ranges)),
                lambda: self.store.rows(sample.row for sample in validation),
                label_array(validation, collection.labels),
                mean_average_precision,
            )

    def _save(self, network: keras.Model, model: model_file.ModelFile) -> None:
        output = self.config.output
        temporary = output.with_name(f".{output.stem}.unfinished.h5")
        with self._timed("saving"):
            save_h5(network, temporary)
            model_file.save(output, temporary, model)

    def _export(self, collection: Dataset) -> list[ExportResult]:
        formats, path = self.config.export, self.config.output
        if not formats:
            return []
        validation, ranges = collection.split("val"), collection.split("train")
        photos = select_photos(self.store, collection.labels, validation, ranges)
        with self._timed("exporting"):
            model = model_file.load(path)
            self.emit(events.ExportReported(f"Exporting to {', '.join(formats)}."))
            exports = export_model(model, formats, photos, path.parent, self.progress)
            self.emit(events.ExportReported(format_results(exports, model)))
        return exports

    def _finish(self, evaluation: Evaluation, history: Sequence[Epoch]) -> None:
        """Write metrics.json, which marks the run as finished, and delete its checkpoints."""
        run_folder.write_history(self.run, history)
        metrics = json.dumps(evaluation.to_dict(), indent=2)
        write_atomically(self.run / run_folder.METRICS, metrics + "\n")
        checkpoints.delete_checkpoints(self.run)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - start

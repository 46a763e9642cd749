"""Training: photos → features → head → fine-tuned network → decision rule → model file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tagger.audit import findings
from tagger.concurrency import Progress, silent
from tagger.datasets import captions, dataset
from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.sample import Sample, tag_matrix, target_matrix
from tagger.datasets.splits import subsample
from tagger.errors import DatasetError
from tagger.evaluation.calibration import MAX_REFERENCE_PHOTOS, Calibration, calibrate
from tagger.evaluation.metrics import mean_average_precision
from tagger.evaluation.outputs import LabelledOutputs, label_array
from tagger.evaluation.tag_selection import MIN_PHOTOS, prevalence, select_tags
from tagger.export.photos import select_photos
from tagger.export.verify import ExportResult, export_model, export_paths, format_results
from tagger.files import write_atomically
from tagger.images import decode
from tagger.inference import model_file, vocabulary
from tagger.inference.litert import Runtime
from tagger.inference.registry import IMAGENET
from tagger.inference.words import Words
from tagger.models import convert, heads, imagenet, networks
from tagger.models.heads import MAX_HEAD_PHOTOS, LinearHead, prior_correction
from tagger.models.weights import NO_WEIGHTS, save_h5
from tagger.training import checkpoints, events, initialize, model_card, run_folder
from tagger.training.caption_batches import MIN_CAPTIONS, choose_tokens, tokenize_captions
from tagger.training.checkpoints import FineTuning, FineTuningState
from tagger.training.collection_captions import CollectionCaptions, tokenize
from tagger.training.config import TrainingConfig
from tagger.training.evaluate import Evaluation, Evaluator
from tagger.training.events import Emit, ignore
from tagger.training.run_folder import Epoch

if TYPE_CHECKING:
    import keras

    from tagger.training.batches import TrainingData
    from tagger.training.fine_tune import Extras, HeadWeights

INT8_RANGE_PHOTOS = 200  # training photos that int8 ranges are taken from
ROLLED_UP_SHARE = 0.5  # of the teacher's log odds of a tag, as the prior of its weights
CLASS_REPEATS = MIN_CAPTIONS  # so often a class of the teacher takes part in learning words


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
        config = self.config
        loaded = captions.read(config.captions, config.data) if config.captions else None
        collection = self._load_collection(loaded)
        evaluator = Evaluator(self.config, collection.labels, self.store, self.progress)
        test = evaluator.load_test_samples(collection, self.emit)
        if config.captions:
            loaded = captions.read(config.captions, config.data, collection.copies())
            self._captions = tokenize(config.captions, loaded, collection, self._first_words)
            train = self._captions.train
            self.emit(events.CaptionsLoaded(len(train.rows), len(train.tokens), loaded.remarks))
        networks.set_seed(self._seed)
        network, started_from = initialize.build_network(
            self.config, collection, self.store, self.emit
        )
        fine_tuning = self._fit(network, collection, evaluator, state)
        if self.config.least_precision is not None and fine_tuning.epochs:
            self._refit_head(network, collection, evaluator)
        if collection.labels.kind == "multi":
            self._correct_prior(network, collection)
        tag_thresholds = None
        if self.config.least_precision is not None:
            network, collection, tag_thresholds = self._select_tags(network, collection, evaluator)
            evaluator = replace(evaluator, labels=collection.labels)
            test = evaluator.load_test_samples(collection, self.emit)
        conversion = None
        if not evaluator.forest:
            self.emit(events.ConversionStarted())
            conversion = self._convert(network, collection)
        runtime = Runtime(conversion.network if conversion else convert.to_litert(network))
        with self._timed("calibrating"):
            sample = subsample(collection.split("train"), MAX_REFERENCE_PHOTOS, self._seed)
            trained_on = evaluator.run(runtime, sample, "Learning what is familiar")
            validation = self._validation_samples(collection)
            held_out = evaluator.run(runtime, validation, "Validating")
            calibration = calibrate(trained_on, held_out, self._seed, tag_thresholds)
        words = self._teach_words(runtime, collection, evaluator, validation, held_out)
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
                unknown=evaluator.score_unknown(runtime, trained_on, held_out, calibration),
                conversion=conversion.check if conversion else None,
                fine_tuning=fine_tuning,
                started_from=started_from,
            )
        if conversion:
            self._save(network, conversion.network, collection, evaluation, calibration, words)
        evaluation = replace(
            evaluation,
            exports=self._export(collection),
            seconds=self.seconds,
            peak_memory_mb=run_folder.peak_memory_mb(),
        )
        self._finish(evaluation, state.history)
        return TrainingResult(self.config.output, self.run, evaluation, state.history)

    @property
    def _seed(self) -> int:
        return self.config.hyperparameters.seed

    def _validation_samples(self, collection: Dataset) -> list[Sample]:
        """The validation samples, or a sample whose features fit into memory."""
        return subsample(collection.split("val"), MAX_REFERENCE_PHOTOS, self._seed)

    def _load_collection(self, loaded: captions.Captions | None) -> Dataset:
        """Read every photo; first check everything that could fail after hours of training."""
        config = self.config
        initialize.check_weights(config)
        config.output.parent.mkdir(parents=True, exist_ok=True)
        export_paths(config.output, config.export)
        if config.unrelated and not next(decode.find_photos(config.unrelated), None):
            raise DatasetError(f"{config.unrelated}: no photos in it")
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
            )
        self.emit(events.CollectionLoaded(collection))
        if config.least_precision is not None and collection.labels.kind == "single":
            raise DatasetError(
                f"{config.data}: has one label a photo; a least precision chooses among tags"
            )
        if config.least_precision is not None:
            typical = sum(map(self._is_typical, collection.split("val")))
            if typical < MIN_PHOTOS:
                raise DatasetError(
                    f"{config.data / (config.typical or '')}: {typical} validation photos; tags are"
                    f" chosen by {MIN_PHOTOS} at least"
                )
        captions_digest = loaded.digest if loaded else ""
        run_folder.check_collection(self.run, collection.fingerprint + captions_digest)
        return collection

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

        distillation = self.config.hyperparameters.distillation
        if not distillation and (data.captions is None or resumed):
            return Extras()
        with self._timed("features"):
            runtime = Runtime(convert.to_litert(network))
            features = evaluator.run(runtime, data.train, "Computing features").features
        head = None
        if distillation:
            head = imagenet.load_head()
            data.teacher = imagenet.class_probabilities(features, head)
        words = None
        if data.captions is not None and not resumed:
            with self._timed("words"):
                words = fit_words(
                    features, data.captions, len(features), self._seed, self._first_words
                )
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
            train = evaluator.run(runtime, samples, "Computing features")
            validation = [] if labels.kind == "multi" else self._validation_samples(collection)
            held_out = evaluator.run(runtime, validation, "Validation features")
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
            _set_head(network, head)
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

    def _refit_head(self, network: keras.Model, collection: Dataset, evaluator: Evaluator) -> None:
        """Fit a head anew on the fine-tuned features, and take the mean of it and the trained one.

        With a teacher it starts from the teacher's answers, rolled up to tags.
        """
        runtime, names = Runtime(convert.to_litert(network)), collection.labels.names
        with self._timed("features"):
            samples = subsample(collection.split("train"), MAX_HEAD_PHOTOS, self._seed)
            features = evaluator.run(runtime, samples, "Computing features").features
        with self._timed("head"):
            prior = None
            if self._teacher_head:
                classes = imagenet.class_probabilities(features, self._teacher_head)
                rolled_up = classes.astype(np.float32) @ imagenet.roll_up(names)
                prior = ROLLED_UP_SHARE * heads.fit_log_odds(features, rolled_up)
            refitted = heads.fit_tags(
                features,
                target_matrix(samples, len(names)),
                self._seed,
                heads.TUNED_TAG_REGULARISATION,
                self.config.hyperparameters.balance,
                prior,
            )
            weights, bias = network.get_layer(networks.HEAD).get_weights()
            mean = LinearHead((weights + refitted.weights) / 2, (bias + refitted.bias) / 2)
            _set_head(network, mean)

    def _correct_prior(self, network: keras.Model, collection: Dataset) -> None:
        """Undo the balancing of tags, so that probabilities fit their true frequency."""
        weights, bias = network.get_layer(networks.HEAD).get_weights()
        targets = target_matrix(collection.split("train"), len(collection.labels))
        correction = prior_correction(targets, self.config.hyperparameters.balance)
        _set_head(network, LinearHead(weights, bias + correction))

    def _select_tags(
        self, network: keras.Model, collection: Dataset, evaluator: Evaluator
    ) -> tuple[keras.Model, Dataset, tuple[float, ...]]:
        """The calibrated network of the tags that earn their place, and their thresholds.

        They are chosen by what the converted network says, which may be a little less right.
        """
        table = vocabulary.load()
        conversion = self._convert(network, collection)
        with self._timed("choosing tags"):
            samples = collection.split("val")
            runtime = Runtime(conversion.network)
            outputs = evaluator.run(runtime, samples, "Choosing tags")
            typical = np.array([self._is_typical(sample) for sample in samples])
            everywhere = [
                s for s in collection.samples if s.split != "test" and self._is_typical(s)
            ]
            selection = select_tags(
                outputs.logits,
                outputs.labels,
                np.nan_to_num(target_matrix(samples, len(collection.labels))) % 1 > 0,
                typical,
                prevalence(tag_matrix(everywhere, len(collection.labels))),
                np.array([table.is_thing(name) for name in collection.labels.names]),
                self.config.least_precision or 0.0,
                self._seed,
            )
        names = np.array(collection.labels.names)
        kept = selection.kept
        self.emit(events.TagsSelected(tuple(names[kept]), tuple(np.delete(names, kept))))
        if not len(kept):
            raise DatasetError(
                f"{self.config.data}: no tag is right for {self.config.least_precision:.0%} of the"
                " validation photos it is said of; lower --least-precision, or add photos"
            )
        weights, bias = network.get_layer(networks.HEAD).get_weights()
        weights = weights[:, kept] * selection.slopes[kept]
        bias = bias[kept] * selection.slopes[kept] + selection.shifts[kept]
        network = networks.replace_head(network, weights, bias)
        thresholds = tuple(selection.thresholds[kept].tolist())
        return network, collection.keep_labels(kept.tolist()), thresholds

    def _is_typical(self, sample: Sample) -> bool:
        folder = self.config.typical
        return folder is None or sample.path.is_relative_to(self.config.data / folder)

    def _teach_words(
        self,
        runtime: Runtime,
        collection: Dataset,
        evaluator: Evaluator,
        validation: Sequence[Sample],
        held_out: LabelledOutputs,
    ) -> Words | None:
        """The words of the model, fitted to the features of the network that ships."""
        if self._captions is None:
            return None
        from tagger.training.word_space import class_features, fit_words, make_words

        with self._timed("words"):
            photos, texts, described = self._captions.with_names(self._seed)
            samples = [collection.split("train")[photo] for photo in photos]
            features = evaluator.run(runtime, samples, "Teaching words").features
            if self._teacher_head:
                of_classes = class_features(self._teacher_head[0], features)
                features = np.concatenate([features, *[of_classes] * CLASS_REPEATS])
                texts += [(name,) for name in imagenet.load_names()] * CLASS_REPEATS
            tokens = choose_tokens(chain.from_iterable(texts), self._captions.train.tokens)
            taught = tokenize_captions(texts, tokens)
            space = fit_words(features, taught, described, self._seed, self._first_words)
            own = [self._captions.by_photo.get(sample.path, ()) for sample in validation]
            of_val = tokenize_captions(own, tokens)
            return make_words(space, tokens, held_out.features, of_val, self._seed)

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

    def _save(
        self,
        network: keras.Model,
        litert: bytes,
        collection: Dataset,
        evaluation: Evaluation,
        calibration: Calibration,
        words: Words | None,
    ) -> None:
        output = self.config.output
        card = model_card.build_card(self.config.settings(), collection, evaluation, calibration)
        model = model_file.ModelFile(
            collection.labels, self.config.image_size, calibration.rule, litert, card, words=words
        )
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


def _set_head(network: keras.Model, head: LinearHead) -> None:
    network.get_layer(networks.HEAD).set_weights([head.weights, head.bias])

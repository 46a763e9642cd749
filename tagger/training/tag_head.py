"""The head of a tagger of tags after fine-tuning: fitted anew, and cut to tags that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tagger.datasets.dataset import Dataset
from tagger.datasets.sample import Sample, tag_matrix, target_matrix
from tagger.datasets.splits import subsample
from tagger.errors import DatasetError
from tagger.evaluation.outputs import LabelledOutputs
from tagger.evaluation.tag_selection import MIN_PHOTOS, TagSelection, prevalence, select_tags
from tagger.inference import vocabulary
from tagger.inference.litert import Runtime
from tagger.models import convert, heads, imagenet, networks
from tagger.models.heads import MAX_HEAD_PHOTOS, prior_correction
from tagger.training.config import Hyperparameters, TrainingConfig
from tagger.training.evaluate import Evaluator

if TYPE_CHECKING:
    import keras

    from tagger.training.fine_tune import HeadWeights

ROLLED_UP_SHARE = 0.5  # of the teacher's log odds of a tag, as the prior of its weights


def check_options(config: TrainingConfig, collection: Dataset) -> None:
    """Raise DatasetError where options are for tags, and the collection does not fit them."""
    balance = config.hyperparameters.balance
    if collection.labels.kind == "single":
        if config.least_precision is not None:
            raise DatasetError(
                f"{config.data}: has one label a photo; a least precision chooses among tags"
            )
        if balance != Hyperparameters.balance:
            raise DatasetError(
                f"{config.data}: has one label a photo; a balance of {balance} is for tags,"
                " labels weigh the same"
            )
    if config.least_precision is not None:
        typical = sum(config.is_typical(sample.path) for sample in collection.split("val"))
        if typical < MIN_PHOTOS:
            raise DatasetError(
                f"{config.data / (config.typical or '')}: {typical} validation photos; tags are"
                f" chosen by {MIN_PHOTOS} at least"
            )


def refit(
    network: keras.Model,
    collection: Dataset,
    evaluator: Evaluator,
    teacher_head: HeadWeights | None,
) -> None:
    """Fit a head anew on the fine-tuned features, and take the mean of it and the trained one.

    With a teacher it starts from the teacher's answers, rolled up to tags.
    """
    names, hyperparameters = collection.labels.names, evaluator.config.hyperparameters
    samples = subsample(collection.split("train"), MAX_HEAD_PHOTOS, hyperparameters.seed)
    runtime = Runtime(convert.to_litert(network))
    features = evaluator.run(runtime, samples, "Looking at photos").features
    prior = None
    if teacher_head:
        classes = imagenet.class_probabilities(features, teacher_head)
        rolled_up = classes.astype(np.float32) @ imagenet.roll_up(names)
        prior = ROLLED_UP_SHARE * heads.fit_log_odds(features, rolled_up)
    refitted = heads.fit_tags(
        features,
        target_matrix(samples, len(names)),
        hyperparameters.seed,
        heads.TUNED_TAG_REGULARISATION,
        hyperparameters.balance,
        prior,
    )
    weights, bias = network.get_layer(networks.HEAD).get_weights()
    networks.set_head(network, (weights + refitted.weights) / 2, (bias + refitted.bias) / 2)


def correct_prior(network: keras.Model, collection: Dataset, balance: float) -> None:
    """Undo the balancing of tags, so that probabilities fit their true frequency."""
    weights, bias = network.get_layer(networks.HEAD).get_weights()
    targets = target_matrix(collection.split("train"), len(collection.labels))
    networks.set_head(network, weights, bias + prior_correction(targets, balance))


def select(
    config: TrainingConfig, collection: Dataset, samples: list[Sample], outputs: LabelledOutputs
) -> TagSelection:
    """The tags that earn their place, by the outputs for validation `samples`."""
    labels, table = collection.labels, vocabulary.load()
    everywhere = [s for s in collection.samples if s.split != "test" and config.is_typical(s.path)]
    return select_tags(
        outputs.logits,
        outputs.labels,
        np.nan_to_num(target_matrix(samples, len(labels))) % 1 > 0,
        np.array([config.is_typical(sample.path) for sample in samples]),
        prevalence(tag_matrix(everywhere, len(labels))),
        np.array([table.is_thing(name) for name in labels.names]),
        config.least_precision or 0.0,
        config.hyperparameters.seed,
    )


def keep_selected(network: keras.Model, selection: TagSelection) -> keras.Model:
    """The network with a calibrated head of the tags that are kept."""
    kept = selection.kept
    weights, bias = network.get_layer(networks.HEAD).get_weights()
    weights = weights[:, kept] * selection.slopes[kept]
    bias = bias[kept] * selection.slopes[kept] + selection.shifts[kept]
    return networks.replace_head(network, weights, bias)

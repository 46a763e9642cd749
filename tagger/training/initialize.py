"""Where a network starts: from ImageNet's weights, from another model, or from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.splits import subsample
from tagger.errors import WeightsUnavailableError
from tagger.inference import model_file
from tagger.inference.registry import BUNDLED_MODEL, IMAGENET, find_model
from tagger.models import networks
from tagger.models.weights import (
    NO_WEIGHTS,
    check_backbone,
    imagenet_weights,
    load_backbone,
    load_imagenet,
)
from tagger.training.config import TrainingConfig
from tagger.training.events import BundledWeightsUsed, Emit

if TYPE_CHECKING:
    import keras

START_PHOTOS = 5_000  # training photos that a network from nothing takes its first values from


def check_weights(options: TrainingConfig) -> None:
    """Raise where the weights to start from are missing, or are another backbone's."""
    backbone, weights = options.backbone, options.weights
    if weights == IMAGENET and not _bundled_would_do(options):
        imagenet_weights(backbone)
    elif weights not in (IMAGENET, NO_WEIGHTS):
        check_backbone(backbone, find_model(weights))


def build_network(
    options: TrainingConfig, collection: Dataset, store: PixelStore, emit: Emit
) -> tuple[keras.Model, str]:
    """A network with a head for the collection's labels, and the name of what it starts from.

    Where ImageNet's weights cannot be had, that is the bundled model. Raises TaggerError.
    """
    made = networks.build(
        options.backbone,
        options.image_size,
        len(collection.labels),
        train_normalisation=options.weights == NO_WEIGHTS,
    )
    if options.weights == IMAGENET:
        try:
            load_imagenet(made, options.backbone)
        except WeightsUnavailableError as error:
            if not _bundled_would_do(options):
                raise
            emit(BundledWeightsUsed(str(error), BUNDLED_MODEL))
            load_backbone(made, options.backbone, BUNDLED_MODEL)
            return made, BUNDLED_MODEL.stem
    elif options.weights != NO_WEIGHTS:
        load_backbone(made, options.backbone, find_model(options.weights))
    elif options.hyperparameters.from_scratch:
        first = subsample(collection.split("train"), START_PHOTOS, options.hyperparameters.seed)
        networks.initialize(made, options.backbone, store.rows(sample.row for sample in first))
    return made, options.weights


def _bundled_would_do(options: TrainingConfig) -> bool:
    """Whether, without ImageNet weights, the bundled model's backbone can be started from."""
    if not BUNDLED_MODEL.is_file():
        return False
    return bool(model_file.load(BUNDLED_MODEL).card["backbone"] == options.backbone)

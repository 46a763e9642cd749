"""Initial weights of a network: ImageNet's, another model's, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tagger.datasets.dataset import Dataset
from tagger.datasets.pixel_store import PixelStore
from tagger.datasets.splits import subsample
from tagger.errors import WeightsUnavailableError
from tagger.inference import model_file
from tagger.inference.registry import BUNDLED_MODEL, IMAGENET, find_model
from tagger.inference.words import Words
from tagger.models import imagenet, networks
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

INITIALIZATION_PHOTOS = 5_000  # training photos from which a network from scratch is initialized


def check_weights(config: TrainingConfig) -> None:
    """Raise TaggerError where the initial weights are missing or of another backbone."""
    if config.weights == IMAGENET and not _bundled_model_fits(config):
        imagenet_weights(config.backbone)
    elif config.weights not in (IMAGENET, NO_WEIGHTS):
        check_backbone(config.backbone, find_model(config.weights))
    if config.hyperparameters.distillation:
        imagenet.check_head()


def build_network(
    config: TrainingConfig, collection: Dataset, store: PixelStore, emit: Emit
) -> tuple[keras.Model, str]:
    """A network with a head for the collection's labels, and the name of its initial weights.

    The bundled model's where ImageNet's are unavailable. Raises TaggerError.
    """
    network = networks.build(
        config.backbone,
        config.image_size,
        len(collection.labels),
        train_normalisation=config.weights == NO_WEIGHTS,
    )
    if config.weights == IMAGENET:
        try:
            load_imagenet(network, config.backbone)
        except WeightsUnavailableError as error:
            if not _bundled_model_fits(config):
                raise
            emit(BundledWeightsUsed(str(error), BUNDLED_MODEL))
            load_backbone(network, config.backbone, BUNDLED_MODEL)
            return network, BUNDLED_MODEL.stem
    elif config.weights != NO_WEIGHTS:
        load_backbone(network, config.backbone, find_model(config.weights))
    elif config.hyperparameters.from_scratch:
        seed = config.hyperparameters.seed
        samples = subsample(collection.split("train"), INITIALIZATION_PHOTOS, seed)
        pixels = store.rows(sample.row for sample in samples)
        networks.initialize(network, config.backbone, pixels)
    return network, config.weights


def load_words(weights: str) -> Words | None:
    """The words of a model, by its name or file; None if it has none. Raises TaggerError."""
    path = find_model(weights)
    return model_file.load(path).words if model_file.is_model_file(path) else None


def _bundled_model_fits(config: TrainingConfig) -> bool:
    """Whether the bundled model can replace ImageNet's weights."""
    if not BUNDLED_MODEL.is_file():
        return False
    return bool(model_file.load_card(BUNDLED_MODEL)["backbone"] == config.backbone)

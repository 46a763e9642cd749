"""Training configuration: paths, backbone, image size, and hyperparameters with their defaults."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from tagger.datasets import dataset
from tagger.errors import OptionError
from tagger.export.formats import check_formats
from tagger.inference.registry import BUNDLED_MODEL, IMAGENET, OWN_MODEL
from tagger.models import heads, networks
from tagger.models.backbones import DEFAULT_BACKBONE, find_backbone
from tagger.models.networks import Precision
from tagger.models.weights import NO_WEIGHTS
from tagger.paths import DATASET, RUNS

FROM_SCRATCH_IMAGE_SIZE = 32  # pixels a side
FROM_SCRATCH_VALIDATION_SHARE = 0.1  # such a network needs the photos to learn from
TEACHER = (DEFAULT_BACKBONE, IMAGENET)  # whose answers distillation keeps
MIN_FROM_SCRATCH_BATCH = 16  # photos: batch normalisation needs some
MIN_FROM_SCRATCH_STEPS = 16  # an epoch, before batches grow to `batch_size`
_NOT_SETTINGS = (
    *("hyperparameters", "from_scratch", "export"),
    *("runs", "resume", "workers", "tensorboard"),
)


@dataclass(frozen=True)
class Hyperparameters:
    """Optimisation of the network; the defaults fine-tune pretrained weights.

    `patience` is the number of epochs without a better validation loss before training stops.
    `precision` is that of convolutions while training, `training_size` the side of the photos that
    the network is trained on, None for its own: fewer pixels train faster, and crops show things
    larger than they are later (Touvron et al., "Fixing the train-test resolution discrepancy",
    2019, arXiv:1906.06423). `distillation` weighs the loss that keeps the answers of ImageNet's own
    head. `balance` in [0, 1] is how much more the rare side of a tag weighs, see
    `heads.class_weights`. `from_scratch` is for a network without pretrained weights: see
    `FROM_SCRATCH`.
    """

    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.02
    patience: int = 5
    seed: int = 42
    precision: Precision = "float32"
    training_size: int | None = None
    distillation: float = 0.0
    balance: float = 1.0
    from_scratch: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or self.patience < 1:
            raise OptionError("epochs must be 0 or more; batch size and patience 1 or more")
        if self.from_scratch and self.training_size:
            raise OptionError("a training size is for a network that has learned something before")
        if self.from_scratch and not self.epochs:
            raise OptionError("0 epochs: a network that starts from nothing has to be trained")
        if self.seed < 0:
            raise OptionError(f"seed {self.seed}: give 0 or more")
        if not 0 < self.learning_rate < 1 or not 0 <= self.weight_decay < 1:
            raise OptionError("the learning rate must lie in (0, 1), the weight decay in [0, 1)")
        if not 0 <= self.distillation < math.inf:
            raise OptionError(f"distillation {self.distillation}: give a weight of 0 or more")
        if not 0 <= self.balance <= 1:
            raise OptionError(f"balance {self.balance}: give a number from 0 to 1")
        if self.precision not in get_args(Precision):
            raise OptionError(f"precision {self.precision!r}: give float32 or bfloat16")

    def batch_size_for(self, photos: int) -> int:
        """Photos a step; smaller for few training photos, so that an epoch still has many steps."""
        if not self.from_scratch:
            return self.batch_size
        batch_size = max(MIN_FROM_SCRATCH_BATCH, photos // MIN_FROM_SCRATCH_STEPS)
        return min(self.batch_size, batch_size, photos)

    def peak_learning_rate(self, photos: int) -> float:
        """The learning rate scaled to `batch_size_for(photos)`: linear in the batch size."""
        return self.learning_rate * self.batch_size_for(photos) / self.batch_size

    def steps_per_epoch(self, photos: int) -> int:
        """Batches an epoch; from scratch, an incomplete last batch is dropped."""
        full_batches, rest = divmod(photos, self.batch_size_for(photos))
        return full_batches if self.from_scratch else full_batches + bool(rest)


# Jordan 2024, arXiv:2404.00498, from its rates for a batch of 1,024 with the gradients summed.
FROM_SCRATCH = Hyperparameters(
    epochs=16,
    batch_size=512,
    learning_rate=0.75,
    weight_decay=0.009,
    patience=16,
    from_scratch=True,
)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that configures a training; `image_size` in pixels a side.

    `validation_share` of each label's photos is held out where the collection has no `val/`.
    `weights` is "imagenet", "none", a model's name or a file. `head` names one of
    `heads.HEAD_NAMES`, fitted on frozen features instead of fine-tuning; a random forest is
    evaluated and not saved. `captions` is a file of captions of the photos, see
    `datasets.captions`, from which the model learns words. With `least_precision` only tags of
    which so many are right are kept, see `evaluation.tag_selection`; `typical` is a folder in
    `data` of photos like those that the model is made for, by default all. `unrelated` holds
    out-of-distribution photos, `test` labelled photos of another collection; neither is trained on.
    `leave_out` is a list written by `audit.Findings.write_list`. With `merge_case`, labels that
    differ in case alone are one. `about` goes into the card.
    `export` names formats of `tagger.export`, written beside the model. Raises OptionError for
    values that do not fit.
    """

    data: Path = DATASET
    output: Path = OWN_MODEL
    backbone: str = DEFAULT_BACKBONE
    image_size: int = 192
    weights: str = IMAGENET
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    validation_share: float = dataset.VALIDATION_SHARE
    unrelated: Path | None = None
    test: Path | None = None
    about: str = ""
    export: Sequence[str] = ()
    head: str | None = None
    captions: Path | None = None
    least_precision: float | None = None
    typical: str | None = None
    leave_out: Path | None = None
    merge_case: bool = False
    none_of_these: Path | None = None
    runs: Path = RUNS
    resume: bool = False
    tensorboard: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        find_backbone(self.backbone)
        networks.check_image_size(self.backbone, self.image_size)
        if self.hyperparameters.from_scratch and self.weights != NO_WEIGHTS:
            raise OptionError(f"weights {self.weights}: this recipe is for a start from nothing")
        check_formats(self.export)
        heads.check_head_name(self.head)
        if self.head and self.hyperparameters.from_scratch:
            raise OptionError(f"head {self.head}: needs a backbone that has learned something")
        if self.head == heads.FOREST and self.least_precision is not None:
            raise OptionError(f"head {self.head}: its tags cannot be chosen by a least precision")
        if self.head == heads.FOREST and self.export:
            raise OptionError(f"head {self.head}: is judged and not saved, so nothing to export")
        if (side := self.hyperparameters.training_size) is not None:
            networks.check_image_size(self.backbone, side)
        balance = self.hyperparameters.balance
        if self.head in heads.ALWAYS_BALANCED and balance != Hyperparameters.balance:
            raise OptionError(
                f"balance {balance}: head {self.head} always weighs both sides of a tag the same"
            )
        if self.hyperparameters.distillation and (self.backbone, self.weights) != TEACHER:
            raise OptionError(
                f"backbone {self.backbone} with weights {self.weights}: distillation keeps the"
                f" answers of {' with '.join(TEACHER)}; {_name_missing(self.backbone)}"
            )
        if self.hyperparameters.distillation and not self.epochs:
            raise OptionError("distillation is for fine-tuning, and nothing is fine-tuned here")
        if self.captions and (self.head or self.hyperparameters.from_scratch):
            raise OptionError("captions teach a network that is fine-tuned from learned weights")
        if self.least_precision is not None and not 0 < self.least_precision < 1:
            raise OptionError(f"least precision {self.least_precision}: give a share from 0 to 1")
        if self.typical is not None:
            if self.least_precision is None:
                raise OptionError(
                    f"typical {self.typical}: is for choosing tags by least precision"
                )
            if not (self.data / self.typical).is_dir():
                raise OptionError(f"{self.data / self.typical}: no such folder")
        if self.output.suffix != ".h5":
            raise OptionError(f"output {self.output}: a model file's name ends in .h5")
        for folder in (self.unrelated, self.test, self.none_of_these):
            if folder is not None and not folder.is_dir():
                raise OptionError(f"{folder}: no such folder")

    @property
    def epochs(self) -> int:
        """Epochs of fine-tuning; none with a `head`."""
        return 0 if self.head else self.hyperparameters.epochs

    def is_typical(self, photo: Path) -> bool:
        """Whether a photo is one of those that the model is made for."""
        return self.typical is None or photo.is_relative_to(self.data / self.typical)

    def settings(self) -> dict[str, Any]:
        """The options that decide the result, as plain JSON values for `config.json`."""
        options = {**asdict(self), **asdict(self.hyperparameters), "epochs": self.epochs}
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in options.items()
            if key not in _NOT_SETTINGS
        }


def _name_missing(backbone: str) -> str:
    """What to add to the options, so that the network is that of the TEACHER."""
    own, weights = TEACHER
    is_missing = "" if backbone == own else f"--backbone {own} "
    return f"add {is_missing}--weights {weights}"


def default_config(
    backbone: str, weights: str | None = None, captions: Path | None = None
) -> TrainingConfig:
    """The default configuration for a backbone, the weights it starts from, and captions.

    With captions, a network of the bundled model's backbone starts from that model, and so from its
    words. Raises OptionError for an unknown backbone.
    """
    if find_backbone(backbone).pretrained is not None:
        has_words = captions is not None and backbone == DEFAULT_BACKBONE
        default = BUNDLED_MODEL.stem if has_words else IMAGENET
        return TrainingConfig(backbone=backbone, weights=weights or default)
    if weights not in (None, NO_WEIGHTS):
        return TrainingConfig(
            backbone=backbone, weights=weights, image_size=FROM_SCRATCH_IMAGE_SIZE
        )
    precision: Precision = "bfloat16" if networks.has_bfloat16() else "float32"
    return TrainingConfig(
        backbone=backbone,
        weights=NO_WEIGHTS,
        image_size=FROM_SCRATCH_IMAGE_SIZE,
        validation_share=FROM_SCRATCH_VALIDATION_SHARE,
        hyperparameters=replace(FROM_SCRATCH, precision=precision),
    )

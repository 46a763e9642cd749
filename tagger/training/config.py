"""What a training is asked for, and what it does unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tagger.datasets import dataset
from tagger.errors import OptionError
from tagger.export.formats import check_formats
from tagger.inference.registry import IMAGENET, OWN_MODEL
from tagger.models import classifiers, networks
from tagger.models.backbones import USUAL, find_backbone
from tagger.models.networks import Precision
from tagger.models.pretrained import NO_WEIGHTS
from tagger.paths import DATASET, RUNS
from tagger.training.recipe import FROM_NOTHING, Recipe

SMALL_IMAGE_SIZE = 32  # pixels a side, of a backbone that starts from nothing
SMALL_VALIDATION_SHARE = 0.1  # such a backbone needs the photos to learn from


@dataclass(frozen=True)
class Options:
    """What a training run is asked for; `image_size` in pixels.

    `validation_share` of each label's photos is held out where the collection has no `val/`.
    `weights` is "imagenet", "none", a model's name or a file. A `head` is one of
    `classifiers.NAMES`, fitted on the backbone's features as they are, without fine-tuning; a
    random forest is judged and not saved. `unrelated` holds photos of other things, `test`
    labelled photos from elsewhere: neither is ever trained on. `leave_out` is a list of photos
    that `audit.Findings.write_list` wrote. `about` goes into the card. `export` names formats of
    `tagger.portable`, written beside the model.
    """

    data: Path = DATASET
    output: Path = OWN_MODEL
    backbone: str = USUAL
    image_size: int = 192
    weights: str = IMAGENET
    recipe: Recipe = field(default_factory=Recipe)
    validation_share: float = dataset.VALIDATION_SHARE
    unrelated: Path | None = None
    test: Path | None = None
    about: str = ""
    export: Sequence[str] = ()
    head: str | None = None
    leave_out: Path | None = None
    runs: Path = RUNS
    resume: bool = False
    tensorboard: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        find_backbone(self.backbone)
        networks.check_image_size(self.backbone, self.image_size)
        if self.recipe.from_nothing and self.weights != NO_WEIGHTS:
            raise OptionError(f"weights {self.weights}: this recipe is for a start from nothing")
        check_formats(self.export)
        classifiers.check_name(self.head)
        if self.head and self.recipe.from_nothing:
            raise OptionError(f"head {self.head}: needs a backbone that has learned something")
        if self.head == classifiers.FOREST and self.export:
            raise OptionError(f"head {self.head}: is judged and not saved, so nothing to export")
        if self.output.suffix != ".h5":
            raise OptionError(f"output {self.output}: a model file's name ends in .h5")
        for folder in (self.unrelated, self.test):
            if folder is not None and not folder.is_dir():
                raise OptionError(f"{folder}: no such folder")

    @property
    def epochs(self) -> int:
        """Of fine-tuning, which a head asked for by name goes without."""
        return 0 if self.head else self.recipe.epochs

    def settings(self) -> dict[str, Any]:
        """What decides the result, as plain JSON values."""
        shown = {**asdict(self), **asdict(self.recipe), "epochs": self.epochs}
        for key in ("recipe", "from_nothing", "export", "runs", "resume", "workers", "tensorboard"):
            shown.pop(key)
        return {k: str(v) if isinstance(v, Path) else v for k, v in shown.items()}


def defaults(backbone: str, weights: str | None = None) -> Options:
    """What a run with that backbone does unless told otherwise, started from those weights.

    Raises OptionError for a backbone there is not.
    """
    if find_backbone(backbone).pretrained is not None:
        return Options(backbone=backbone, weights=weights or IMAGENET)
    if weights not in (None, NO_WEIGHTS):
        return Options(backbone=backbone, weights=weights, image_size=SMALL_IMAGE_SIZE)
    precision: Precision = "bfloat16" if networks.has_bfloat16() else "float32"
    return Options(
        backbone=backbone,
        weights=NO_WEIGHTS,
        image_size=SMALL_IMAGE_SIZE,
        validation_share=SMALL_VALIDATION_SHARE,
        recipe=replace(FROM_NOTHING, precision=precision),
    )

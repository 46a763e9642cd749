"""The collection doctor: planted wrong labels it finds, good photos it calls bad, its memory.

    python bench/doctor.py --json doctor.json
    python bench/doctor.py --share 0            # nothing planted: what is called wrong all the same

A twentieth of the labels of pets/train are swapped, at random by `--seed`, and the whole is
examined as `train.py --check` does it: through the ImageNet network. Then photos people took on
purpose, and the same photos blurred, are looked at for faults.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import measuring
import numpy as np
from measuring import Row

from tagger.audit import audit
from tagger.audit.audit import AuditConfig
from tagger.concurrency import ordered_map
from tagger.errors import ImageError
from tagger.images import decode, quality

SHARE = 0.05  # of the labels are planted wrong
FOUND_BAR, MEMORY_BAR = 0.8, 1000  # in the first tenth; MB
SEED = 42  # of the photos that are looked at
GOOD = ("pets/val", "pets_other_source", "everyday/images", "coco128", "camera", "unrelated")
MAX_PHOTOS = 300  # of each folder
BLURS = (0.01, 0.015, 0.02, 0.03)  # Gaussian, as shares of the shorter side
SLANTED = 0.05  # along a diagonal, as of a camera that moved; likewise


def main() -> None:
    parser = measuring.parser(__doc__)
    parser.add_argument("--weights", default="imagenet", help="the model to look through")
    parser.add_argument("--seed", type=int, default=42, help="which labels are planted")
    parser.add_argument("--share", type=float, default=SHARE, help="of labels planted wrong")
    options = parser.parse_args()
    data = measuring.data_folder()
    with measuring.workplace() as folder:
        wrong = plant(data / "pets" / "train", folder / "pets", options.seed, options.share)
        rows = planted(folder / "pets", wrong, options.weights)
    measuring.publish("Planted wrong labels, pets/train", rows, {}, options.json)
    print()
    measuring.publish("Photos called bad", [faults(data, name) for name in GOOD], {}, None)


def plant(pets: Path, folder: Path, seed: int, share: float) -> set[str]:
    """Links to every photo, some of them under another label: those, relative to `folder`."""
    photos = list(decode.find_photos(pets))
    labels = sorted(path.name for path in pets.iterdir())
    rng = np.random.default_rng(seed)
    planted = set(rng.choice(len(photos), round(share * len(photos)), replace=False).tolist())
    wrong = set()
    for row, path in enumerate(photos):
        label = path.parent.name
        if row in planted:
            label = labels[(labels.index(label) + 1) % len(labels)]
        target = folder / label / f"{path.parent.name}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(path)
        wrong |= {target.relative_to(folder).as_posix()} if row in planted else set()
    return wrong


def planted(folder: Path, wrong: set[str], weights: str) -> list[Row]:
    began = time.perf_counter()
    found = audit.run_audit(AuditConfig(folder, weights=weights)).findings
    seconds = time.perf_counter() - began
    called = [finding.photo in wrong for finding in found.of_kind("label")]
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    rows: list[Row] = [
        {"what": "photos", "value": found.photos, "bar": ""},
        {"what": "planted", "value": len(wrong), "bar": ""},
        {"what": "called probably wrong", "value": len(called), "bar": ""},
        {"what": "seconds", "value": seconds, "bar": ""},
        {"what": "peak memory, MB", "value": peak, "bar": measuring.at_most(peak, MEMORY_BAR)},
    ]
    if not wrong:
        return rows
    share = sum(finding.photo in wrong for finding in found.ranked) / len(wrong)
    bar = measuring.at_least(share, FOUND_BAR)
    rows[2:2] = [{"what": "of them in the first tenth", "value": share, "bar": bar}]
    rows[4:4] = [
        {"what": "of those, planted", "value": sum(called) / max(len(called), 1), "bar": ""},
        {"what": "of the planted, called so", "value": sum(called) / len(wrong), "bar": ""},
    ]
    return rows


def faults(data: Path, folder: str) -> Row:
    """The shares of a folder's photos, in percent, called dark and blurred, and blurred ones."""
    paths = list(decode.find_photos(data / folder))
    kept = np.random.default_rng(SEED).permutation(len(paths))[:MAX_PHOTOS]
    looks = [look for look in ordered_map(look_at, [paths[row] for row in kept]) if look]
    row: Row = {"folder": folder, "photos": len(looks)}
    blurs = (f"by {blur:.1%}" for blur in BLURS)
    for name in ("dark", "blurred", *blurs, f"slanted, {SLANTED:.0%}"):
        row[name] = f"{100 * np.mean([name in look for look in looks]):.1f} %"
    return row


def look_at(path: Path) -> list[str] | None:
    """The faults of a photo, and by which blurs it would be called blurred."""
    try:
        rgb = decode.read(path, 192)
    except ImageError:
        return None
    return ["photo", *quality.measure(rgb).faults(1), *blurred(rgb)]


def blurred(rgb: decode.Pixels) -> Iterator[str]:
    """The blurs by which it would be called blurred."""
    side = min(rgb.shape[:2])
    softened = {f"by {b:.1%}": cv2.GaussianBlur(rgb, (0, 0), b * side) for b in BLURS}
    line = np.eye(max(2, round(SLANTED * side / np.sqrt(2))), dtype=np.float32)
    softened[f"slanted, {SLANTED:.0%}"] = cv2.filter2D(rgb, -1, line / line.sum())
    for name, soft in softened.items():
        if quality.BLURRED in quality.measure(soft.astype(np.uint8)).faults(1):
            yield name


if __name__ == "__main__":
    main()

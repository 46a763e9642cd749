"""The audit of a collection: planted label errors it finds, good photos it calls bad, its memory.

    python bench/audit.py --json audit.json
    python bench/audit.py --share 0             # nothing planted: false alarms

A twentieth of the labels of pets/train are swapped, at random by `--seed`, and the collection is
audited as `train.py --check` does, with the features of `imagenet`. Then the quality of photos
that people took on purpose is measured, and that of the same photos blurred.
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

SHARE = 0.05  # of the labels are planted errors
FOUND_BAR, MEMORY_BAR = 0.8, 1000  # of planted errors in the first tenth; MB
SEED = 42  # of the choice of photos in GOOD
GOOD = ("pets/val", "pets_other_source", "everyday/images", "coco128", "camera", "unrelated")
MAX_PHOTOS = 300  # of each folder
BLURS = (0.01, 0.015, 0.02, 0.03)  # Gaussian, as shares of the shorter side
SLANTED = 0.05  # motion blur along a diagonal, as a share of the shorter side


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--weights", default="imagenet", help="the model whose features are used")
    parser.add_argument("--seed", type=int, default=42, help="which labels are planted")
    parser.add_argument("--share", type=float, default=SHARE, help="of labels planted wrong")
    options = parser.parse_args()
    data = measuring.data_folder()
    with measuring.temporary_folder() as folder:
        wrong = plant(data / "pets" / "train", folder / "pets", options.seed, options.share)
        rows = audit_planted(folder / "pets", wrong, options.weights)
    measuring.publish("Planted wrong labels, pets/train", rows, {}, options.json)
    print()
    measuring.publish("Photos called bad", [measure_folder(data, name) for name in GOOD], {}, None)


def plant(pets: Path, folder: Path, seed: int, share: float) -> set[str]:
    """Link every photo, some under another label; returns those, relative to `folder`."""
    photos = list(decode.find_photos(pets))
    labels = sorted(path.name for path in pets.iterdir())
    rng = np.random.default_rng(seed)
    planted = set(rng.choice(len(photos), round(share * len(photos)), replace=False).tolist())
    wrong = set()
    for row, path in enumerate(photos):
        label = path.parent.name
        if row in planted:
            label = labels[(labels.index(label) + 1) % len(labels)]
        link = folder / label / f"{path.parent.name}-{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        wrong |= {link.relative_to(folder).as_posix()} if row in planted else set()
    return wrong


def audit_planted(folder: Path, wrong: set[str], weights: str) -> list[Row]:
    began = time.perf_counter()
    findings = audit.run_audit(AuditConfig(folder, weights=weights)).findings
    seconds = time.perf_counter() - began
    reported = [finding.photo in wrong for finding in findings.of_kind("label")]
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    rows: list[Row] = [
        {"what": "photos", "value": findings.photos, "bar": ""},
        {"what": "planted", "value": len(wrong), "bar": ""},
        {"what": "called probably wrong", "value": len(reported), "bar": ""},
        {"what": "seconds", "value": seconds, "bar": ""},
        {"what": "peak memory, MB", "value": peak, "bar": measuring.at_most(peak, MEMORY_BAR)},
    ]
    if not wrong:
        return rows
    share = sum(finding.photo in wrong for finding in findings.ranked) / len(wrong)
    bar = measuring.at_least(share, FOUND_BAR)
    rows[2:2] = [{"what": "of them in the first tenth", "value": share, "bar": bar}]
    rows[4:4] = [
        {"what": "of those, planted", "value": sum(reported) / max(len(reported), 1), "bar": ""},
        {"what": "of the planted, called so", "value": sum(reported) / len(wrong), "bar": ""},
    ]
    return rows


def measure_folder(data: Path, folder: str) -> Row:
    """The percentages of a folder's photos called dark and blurred, and so once blurred."""
    paths = list(decode.find_photos(data / folder))
    kept = np.random.default_rng(SEED).permutation(len(paths))[:MAX_PHOTOS]
    faults = [names for names in ordered_map(find_faults, [paths[row] for row in kept]) if names]
    row: Row = {"folder": folder, "photos": len(faults)}
    blurs = (f"by {blur:.1%}" for blur in BLURS)
    for name in ("dark", "blurred", *blurs, f"slanted, {SLANTED:.0%}"):
        row[name] = f"{100 * np.mean([name in names for names in faults]):.1f} %"
    return row


def find_faults(path: Path) -> list[str] | None:
    """The faults of a photo, and the blurs with which it is called blurred."""
    try:
        rgb = decode.read(path, 192)
    except ImageError:
        return None
    return ["photo", *quality.measure(rgb).faults(1), *detected_blurs(rgb)]


def detected_blurs(rgb: decode.Pixels) -> Iterator[str]:
    """The blurs with which a photo is called blurred."""
    side = min(rgb.shape[:2])
    blurred = {f"by {b:.1%}": cv2.GaussianBlur(rgb, (0, 0), b * side) for b in BLURS}
    line = np.eye(max(2, round(SLANTED * side / np.sqrt(2))), dtype=np.float32)
    blurred[f"slanted, {SLANTED:.0%}"] = cv2.filter2D(rgb, -1, line / line.sum())
    for name, pixels in blurred.items():
        if quality.BLURRED in quality.measure(pixels.astype(np.uint8)).faults(1):
            yield name


if __name__ == "__main__":
    main()

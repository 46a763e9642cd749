"""`imagenet` by name: converted once from Keras's weights, with the predictions of Keras."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tagger import Tagger
from tagger.datasets.sample_photos import write_samples
from tagger.errors import OptionError, WeightsUnavailableError
from tagger.images import transforms
from tagger.inference import model_file, registry
from tagger.jobs.requests import TrainRequest, submit
from tagger.library.library import Library
from tagger.models import imagenet, keras_cache
from tagger.models.weights import rebuild
from tests.conftest import run_program

pytestmark = pytest.mark.training

OFFLINE = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """The model, converted into the tests' cache folder."""
    for file in (imagenet.WEIGHTS_FILE, imagenet.NAMES_FILE):
        if not keras_cache.cached_path(file).is_file():
            pytest.skip(f"needs {file} in Keras's cache")
    return Tagger.load("imagenet")


@pytest.fixture(scope="module")
def photos(data: Path) -> tuple[list[Path], np.ndarray]:
    """One photo of each of 500 classes, and their class indices (500,)."""
    with open(data / "imagenet_samples" / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    paths = [data / "imagenet_samples" / row["image"] for row in rows]
    return paths, np.array([int(row["class_index"]) for row in rows])


def test_classes_are_rolled_up_to_tags(tagger: Tagger) -> None:
    tags = ("animal", "dog", "Doberman", "cup", "vehicle", "a tag of nobody's")
    rolled_up = imagenet.roll_up(tags)
    assert rolled_up.shape == (1000, 6) and set(np.unique(rolled_up)) == {0, 1}
    assert rolled_up.sum(axis=0)[[2, 5]].tolist() == [1, 0]
    animal, dog, doberman, cup, vehicle, _ = rolled_up.T.astype(bool)
    assert 110 < dog.sum() < 130 and 380 < animal.sum() < 420
    assert animal[dog].all() and dog[doberman].all() and not (vehicle & dog).any()
    names = np.array(tagger.labels.names)
    assert "espresso" not in {name.lower() for name in names[cup]} and cup.any()
    parts = {"Doberman": 0.45, "vizsla": 0.36, "Labrador retriever": 0.05, "sports car": 0.14}
    probabilities = np.array([parts.get(name, 0.0) for name in names])
    assert probabilities.sum() == pytest.approx(1)
    assert (probabilities @ rolled_up)[[0, 1]].tolist() == pytest.approx([0.86, 0.86])


def test_it_predicts_what_keras_predicts(
    tagger: Tagger, photos: tuple[list[Path], np.ndarray]
) -> None:
    """On the same pixels, within half a percentage point of plain Keras."""
    import keras

    paths, truth = photos
    pixels = np.stack([transforms.prepare(path, 224) for path in paths]).astype(np.float32)
    plain = keras.applications.MobileNetV2(weights="imagenet")
    scaled = keras.applications.mobilenet_v2.preprocess_input(pixels)
    theirs = np.argsort(-plain.predict(scaled, batch_size=50, verbose=0), axis=1)[:, :5]
    index = {name: row for row, name in enumerate(tagger.labels.names)}
    ours = np.array([[index[s.label] for s in a.scores] for a in tagger.tag_many(paths)])

    first = (ours[:, 0] == truth).mean(), (theirs[:, 0] == truth).mean()
    five = ((ours == truth[:, None]).any(1).mean(), (theirs == truth[:, None]).any(1).mean())
    assert first[0] >= 0.84 and abs(first[0] - first[1]) <= 0.005
    assert five[0] >= 0.96 and abs(five[0] - five[1]) <= 0.005
    assert (ours[:, 0] == theirs[:, 0]).mean() >= 0.995


def test_its_labels_are_readable_unique_names(tagger: Tagger) -> None:
    names = tagger.labels.names
    assert len({name.casefold() for name in names}) == len(names) == 1000
    assert names[207] == "golden retriever" and not any("_" in name for name in names)
    assert names[134] == "crane (bird)" and names[517] == "crane (machine)"
    assert {names[638], names[639]} == {"maillot (tights)", "maillot (swimsuit)"}
    assert names[264] == "Cardigan Welsh corgi" and names[474] == "cardigan"


def test_its_card_says_that_it_cannot_answer_unfamiliar(tagger: Tagger) -> None:
    assert tagger.name == "imagenet" and not tagger.judges_familiarity
    assert "ImageNet" in tagger.card["about"] and "unfamiliar" in tagger.card["weakest"][0]
    prediction = tagger.tag(
        np.random.default_rng(0).integers(0, 256, (224, 224, 3)).astype(np.uint8)
    )
    assert prediction.ood_score is None and prediction.reason in (None, "uncertain")
    written = json.loads(registry.imagenet_model().with_suffix(".json").read_text())
    assert written == tagger.card


def test_it_is_an_ordinary_keras_file(tagger: Tagger, tmp_path: Path) -> None:
    import keras

    (cat, *_) = write_samples(tmp_path)
    pixels = transforms.prepare(cat, 224)
    network = keras.models.load_model(registry.imagenet_model(), compile=False)
    logits = network.predict_on_batch(pixels[None])[0]
    best = tagger.labels.names[int(logits.argmax())]
    assert best == tagger.tag(pixels).scores[0].label and "cat" in best
    rebuilt = rebuild(model_file.load(registry.imagenet_model()))
    assert np.allclose(rebuilt.predict_on_batch(pixels[None])[0], logits, atol=1e-5)


def test_later_uses_need_no_tensorflow(tagger: Tagger) -> None:
    code = (
        "import sys; from tagger import Tagger; Tagger.load('imagenet', print);"
        "print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_broken_file_is_replaced_by_one_of_two_threads(
    tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread converts the weights, the other waits; both get the same model."""
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path / "not" / "there"))
    path = registry.imagenet_model()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    messages: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: imagenet.load(messages.append), range(2))
    assert first.card["digests"] == second.card["digests"] and len(messages) == 1
    files = sorted(p.name for p in path.parent.iterdir() if p.is_file())
    assert files == ["imagenet.h5", "imagenet.json", "imagenet.lock"]


def test_only_the_first_use_announces_the_conversion(tagger: Tagger, tmp_path: Path) -> None:
    (cat, *_) = write_samples(tmp_path)
    first, again = (
        run_program("predict.py", cat, "--model", "imagenet", "--json", TAGGER_CACHE=str(tmp_path))
        for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, imagenet.MAKING + "\n")
    assert (again.returncode, again.stderr) == (0, "")
    answer = json.loads(again.stdout)
    assert first.stdout == again.stdout and answer["model"] == "imagenet"
    assert len(answer["scores"]) == 5 and "cat" in answer["scores"][0]["label"]


def test_without_network_or_cache_one_line_says_which_files_to_put_where(tmp_path: Path) -> None:
    (cat, *_) = write_samples(tmp_path)
    home = {"KERAS_HOME": str(tmp_path / "keras"), "TAGGER_CACHE": str(tmp_path / "cache")}
    process = run_program("predict.py", cat, "--model", "imagenet", **home, **OFFLINE)
    assert process.returncode == 2 and process.stdout == ""
    (line,) = process.stderr.splitlines()
    files = f"{imagenet.WEIGHTS_FILE} and {imagenet.NAMES_FILE}"
    assert line.endswith(f"put {files} into {tmp_path / 'keras' / 'models'}")


def test_a_broken_class_index_is_refused(tmp_path: Path) -> None:
    for text in ("", "[]", '{"0": "dog"}'):
        (tmp_path / "names.json").write_text(text)
        with pytest.raises(WeightsUnavailableError, match="is not what Keras caches"):
            imagenet.class_names(tmp_path / "names.json")


def test_a_library_can_use_it(
    tagger: Tagger, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.use_model("imagenet")
    assert library.active_model() == "imagenet"
    coffee = next(path for path in write_samples(tmp_path) if path.stem == "coffee")
    added = library.add_photo("coffee.png", coffee.read_bytes(), tagger)
    assert [tag.label for tag in added.photo.tags] == ["espresso"]
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path))  # a cleared cache keeps the choice
    assert library.active_model() == "imagenet"
    with pytest.raises(OptionError, match="is built in"):
        submit(library, TrainRequest(str(tmp_path), "ImageNet"))

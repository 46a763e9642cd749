"""Tiers of tests; fixtures and helpers: drawn photos, trained models, programs, libraries."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

import cv2
import hypothesis
import numpy as np
import pytest
from filelock import FileLock

from tagger.images import decode, transforms
from tagger.inference import model_file, registry
from tagger.jobs import worker
from tagger.jobs.requests import ImportFolderRequest, submit
from tagger.library import descriptions, operations
from tagger.library.library import Library
from tagger.library.operations import Operation
from tagger.paths import MODELS, ROOT
from tagger.tagger import Tagger
from tagger.training import trainer
from tagger.training.config import Hyperparameters, TrainingConfig
from tagger.training.trainer import TrainingResult
from tests import tiny
from tests.model_files import FATAL, RUNTIME, build_blind_network, edit_network
from tests.words import add_words

T = TypeVar("T")


class MakeOnce(Protocol):
    """The type of the fixture `make_once`."""

    def __call__(self, name: str, make: Callable[[Path], T]) -> T: ...


# The same examples in each run, so that a failure is due to a change. To look for new ones:
# pytest --hypothesis-profile default
hypothesis.settings.register_profile("steady", derandomize=True)
hypothesis.settings.load_profile("steady")

# Tiers that follow from the fixtures of a test or from the helpers that its module imports.
# Other tests that are slow carry the mark themselves.
TIERS = (
    ("training", {"exported", "tagged", "trained_small"}, set()),
    ("browser", {"chromium", "blank"}, {"AppServer"}),
    ("app", set(), {"AppTest", "open_page"}),
    ("service", {"service"}, {"ServiceProcess", "run_service"}),
)


def pytest_configure(config: pytest.Config) -> None:
    """Run all tiers of files named on the command line, unless a tier is chosen too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # pytest was started in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # for the tests of Ctrl-C
    if config.args_source is pytest.Config.ArgsSource.ARGS and not _chooses_tier(config):
        config.option.markexpr = ""


def _chooses_tier(config: pytest.Config) -> bool:
    return any(argument.startswith("-m") for argument in config.invocation_params.args)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test with its tier."""
    used, imported = set(item.fixturenames), set(vars(item.module))
    for tier, fixtures, helpers in TIERS:
        if used & fixtures or imported & helpers:
            item.add_marker(tier)
            return


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files of the slow tiers and of many tests: one that begins last is waited for."""
    tiers = [tier for tier, *_ in TIERS]
    slowest = dict.fromkeys((item.path for item in items), len(tiers))
    for item in items:
        ranks = [tiers.index(mark.name) for mark in item.iter_markers() if mark.name in tiers]
        slowest[item.path] = min(slowest[item.path], *ranks, len(tiers))
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: (slowest[item.path], -counts[item.path]))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests have a cache folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGGER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


PETS_MODEL = MODELS / "pets.h5"
SHAPES = ("disc", "square", "stripes")
TIMEOUT = 60  # seconds, for what takes a few seconds at most


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real photos, which are not part of the project."""
    if not os.environ.get("TAGGER_DATA"):
        pytest.skip("needs real photos: set TAGGER_DATA to their folder")
    return Path(os.environ["TAGGER_DATA"])


def draw_smooth_colours(seed: int, side: int = 256) -> decode.Pixels:
    """Random colours, as smooth as a photo, with a little noise; no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def draw(shape: str, seed: int, side: int = 120) -> decode.Pixels:
    """A drawn photo of a disc, a square or stripes, no two alike, on a noisy ground."""
    rng = np.random.default_rng([SHAPES.index(shape), seed])
    ground = rng.integers(60, 200, 3)
    canvas = np.clip(rng.normal(ground, 12, (side, side, 3)), 0, 255).astype(np.uint8)
    colour = tuple(int(value) for value in (ground + rng.integers(90, 160, 3)) % 256)
    x, y = (int(value) for value in rng.integers(side * 0.35, side * 0.65, 2))
    size = int(rng.integers(side * 0.15, side * 0.3))
    if shape == "disc":
        cv2.circle(canvas, (x, y), size, colour, -1)
    elif shape == "square":
        cv2.rectangle(canvas, (x - size, y - size), (x + size, y + size), colour, -1)
    else:
        for offset in range(int(rng.integers(0, 8)), side, int(rng.integers(9, 16))):
            cv2.line(canvas, (0, offset), (side, offset), colour, 4)
    return canvas


def draw_png(seed: int, side: int = 120) -> bytes:
    """A drawn photo of a disc as PNG."""
    return decode.encode(draw("disc", seed, side), "PNG")


def draw_scene(seed: int, side: int) -> decode.Pixels:
    """A drawn photo of many rectangles with sharp edges, the same at every size."""
    rng = np.random.default_rng(seed)
    canvas = np.full((960, 960, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(60):
        x, y, width, height = (int(value) for value in rng.integers(20, 900, 4))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(canvas, (x, y), (x + width // 4, y + height // 4), colour, -1)
    return transforms.fit(canvas, side)


def draw_collection(
    root: Path, photos: int, shapes: tuple[str, ...] = SHAPES, first: int = 0
) -> Path:
    """Draw this many photos of each shape, into a folder for each."""
    for shape in shapes:
        (root / shape).mkdir(parents=True)
        for seed in range(first, first + photos):
            pixels = decode.encode(draw(shape, seed), "JPEG")
            (root / shape / f"{seed:03}.jpg").write_bytes(pixels)
    return root


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> MakeOnce:
    """`make_once(name, make)` is `make(folder)`, called by the first parallel worker to need it.

    The others load its pickled result. No test may change what is in the folder.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def load_or_make(name: str, make: Callable[[Path], T]) -> T:
        pickled = shared / f"{name}.pickle"
        with FileLock(shared / f"{name}.lock"):
            if not pickled.is_file():
                pickled.write_bytes(pickle.dumps(make(tmp_path_factory.mktemp(name))))
        result: T = pickle.loads(pickled.read_bytes())
        return result

    return load_or_make


@pytest.fixture(scope="session")
def shapes(make_once: MakeOnce) -> Path:
    """Forty drawn photos of each shape."""
    return make_once("shapes", lambda folder: draw_collection(folder / "shapes", 40))


def tiny_config(data: Path, folder: Path, **changed: object) -> TrainingConfig:
    """A training that takes seconds: a tiny network, one epoch."""
    settings: dict[str, object] = {
        "data": data,
        "output": folder / "shapes.h5",
        "runs": folder / "runs",
        "backbone": tiny.NAME,
        "weights": "none",
        "image_size": tiny.IMAGE_SIZE,
        "hyperparameters": Hyperparameters(epochs=1),
    }
    return TrainingConfig(**{**settings, **changed})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def trained(shapes: Path, make_once: MakeOnce) -> TrainingResult:
    """A model of the drawn shapes."""
    return make_once("trained", lambda folder: trainer.train(tiny_config(shapes, folder)))


def draw_tagged(root: Path, photos: int, first: int = 0) -> Path:
    """Drawn photos of two shapes, one or none, and a table of their tags."""
    root.mkdir(parents=True)
    rows = ["image,disc,square,stripes,nothing"]
    for seed in range(first, first + photos):
        left, right = seed % 3, (seed // 3) % 4
        canvas = np.full((120, 240, 3), 90 + seed % 60, np.uint8)
        present = {left} if seed % 5 else set()
        if present:
            canvas[:, :120] = draw(SHAPES[left], seed)
            if right < 3:
                canvas[:, 120:] = draw(SHAPES[right], seed + 1_000)
                present.add(right)
        (root / f"{seed:03}.png").write_bytes(decode.encode(cv2.resize(canvas, (120, 120))))
        cells = ["" if seed % 7 == index else str(int(index in present)) for index in range(3)]
        rows.append(",".join([f"{seed:03}.png", *cells, str(int(not present))]))
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="session")
def tagged(make_once: MakeOnce) -> TrainingResult:
    """A model of tags, of which a photo may have several."""

    def train(folder: Path) -> TrainingResult:
        data = draw_tagged(folder / "photos", 150)
        return trainer.train(tiny_config(data, folder, output=folder / "tags.h5"))

    return make_once("tagged", train)


@pytest.fixture(scope="session")
def worded(trained: TrainingResult, make_once: MakeOnce) -> Path:
    """The model of the drawn shapes with words for them: see `tests.words`."""
    return make_once("worded", lambda folder: add_words(trained.model, folder / "worded.h5", draw))


@pytest.fixture(scope="session")
def blind(trained: TrainingResult, make_once: MakeOnce) -> Path:
    """The model of the drawn shapes with a network that gives NaN for dark photos."""

    def write(folder: Path) -> Path:
        model = model_file.load(trained.model)
        assert model.rule.reference is not None
        features = model.rule.reference.vectors.shape[1]
        network = build_blind_network(model.image_size, len(model.labels), features)
        path = Path(shutil.copyfile(trained.model, folder / "blind.h5"))
        edit_network(path, lambda before: network)
        return path

    return make_once("blind", write)


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each child process; the runtime there obeys the variable FATAL."""
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "sitecustomize.py").write_text(RUNTIME)
    path = [str(tmp_path / "runtime"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    monkeypatch.setenv("TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRIALS", str(tmp_path / "trials"))
    (tmp_path / "trials").touch()
    return tmp_path / "trials"


@pytest.fixture
def fatal(tmp_path: Path) -> Path:
    """A model with a network that does what the variable FATAL says: see `trials`."""
    path = Path(shutil.copyfile(PETS_MODEL, tmp_path / "fatal.h5"))
    edit_network(path, lambda network: network + FATAL)
    return path


def trained_state(model: Path) -> tuple[str, str, object]:
    """Weights, reference and decision rule of a model: equal where two trainings were equal.

    The LiteRT network is left out: it holds names that Keras numbers anew in each process.
    """
    card = model_file.load(model).card
    return card["digests"]["keras_arrays"], card["digests"]["reference"], card["decision"]


def run_program(
    program: str, *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `train.py` or another program as a user would, in a process of its own."""
    return _run([str(ROOT / program), *map(str, arguments)], cwd, environment)


def run_code(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, in the project's folder."""
    return _run(["-c", code, *map(str, arguments)], ROOT, environment)


def _run(
    command: list[str], cwd: Path | None, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
        cwd=cwd,
        env={**os.environ, **environment},
    )


class RunMain(Protocol):
    """The type of the fixture `run_main`."""

    def __call__(
        self, main: Callable[[Sequence[str]], int], *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run_main(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunMain:
    """`run_main(main, *arguments)` calls a program's `main` in this process."""

    def call(
        main: Callable[[Sequence[str]], int], *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        if cwd is not None:
            monkeypatch.chdir(cwd)
        argv = [str(argument) for argument in arguments]
        capfd.readouterr()
        try:
            status = main(argv)
        except SystemExit as exit:  # raised by argparse
            status = exit.code
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(argv, status, out, err)

    return call


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library."""
    library = Library.open(tmp_path / "library")
    yield library
    library.close()


@pytest.fixture
def wordless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model is `pets`, which does not understand descriptions."""
    use_default_model(monkeypatch, PETS_MODEL)


def use_default_model(patch: pytest.MonkeyPatch, path: Path) -> None:
    """Put another model in place of the bundled default one, in this process."""
    for module in (registry, descriptions):
        patch.setattr(module, "BUNDLED_MODEL", path)


@pytest.fixture(scope="session")
def pets() -> Tagger:
    """The bundled model of cats and dogs."""
    return Tagger.load("pets")


def import_folder(
    library: Library, folder: Path, copy: bool = False, model: str = "pets"
) -> Operation:
    """Import a folder in this process; the finished operation."""
    operation_id = submit(library, ImportFolderRequest(str(folder), copy, model))
    worker.run(library, operation_id)
    return library.operation(operation_id)


def wait_until(condition: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)


def expire_heartbeat(library: Library, operation_id: int) -> None:
    """Make a job look as if its process had died a minute ago."""
    with library.database.write_transaction() as connection:
        long_ago = datetime.now(UTC) - timedelta(minutes=1)
        operations.set_columns(connection, operation_id, heartbeat_at=long_ago)

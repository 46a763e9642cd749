"""The layers of `tagger`, which package may use which library, and what the project may hold."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tagger.paths import ROOT

# A library, and the only modules or packages of tagger that may import it. Which package may import
# which, and who may use Keras, TensorFlow, FastAPI and Streamlit: `.importlinter`.
USERS = {
    "PIL": {"images"},
    "cv2": {"images", "training.augmentation"},
    "pillow_heif": {"images.decode"},
    "h5py": {"inference.model_file"},
    "ai_edge_litert": {"inference.litert", "export"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "tensorflow": {"models", "training", "export"},
    "sklearn": {"models", "evaluation", "audit"},
    "cleanlab": {"audit"},
    "matplotlib": {"training.report"},
    "jinja2": {"training.report"},
    "yaml": {"datasets.readers.yolo"},
    "defusedxml": {"datasets.readers.pascal_voc"},
    "sqlalchemy": {"library", "jobs", "service.prediction_log"},
    "alembic": {"library.database"},
    "pydantic": {"service.schemas", "service.settings"},
    "pydantic_settings": {"service.settings"},
    "prometheus_client": {"service.metrics"},
    "uvicorn": {"service"},
}
HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "pandas", "matplotlib", "streamlit")
# Names that say nothing of what they hold.
VAGUE = {
    *("asked", "found", "given", "known", "lacking", "meant", "one", "others", "place", "places"),
    *("said", "seen", "shown", "some", "spelled", "told", "wanted"),
}
BUTTONS = {"button", "download_button", "form_submit_button"}  # of Streamlit
FOLDED = {"expander", "popover"}  # containers of Streamlit that somebody opens
MAX_MODULES = 20  # of one folder: beyond that nobody finds their way

# Drawn icons; tests/e2e/test_web_page_offline.py compares them with their source.
ICONS = {f"tagger/service/web/icon-{name}.png" for name in ("192", "512", "maskable")}
SCREENSHOTS = {"docs/app.png"}  # they show scikit-image's sample photos, which are free

MODULES = sorted(path for path in (ROOT / "tagger").rglob("*.py") if "migrations" not in path.parts)


def name_of(path: Path) -> str:
    """The module's name within tagger: "images.decode"."""
    return ".".join(path.relative_to(ROOT / "tagger").with_suffix("").parts)


def imports(path: Path) -> set[str]:
    """The top packages of every import of a file, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def bound_names(path: Path) -> set[str]:
    """Every name that a file binds: variables, attributes, parameters, functions, classes."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)):
                names.add(name)
            case ast.MatchAs(name=str(name)):
                names.add(name)
    return {name.strip("_") for name in names}


def tracked_files() -> list[str]:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    if not files:
        pytest.skip("not a git checkout")
    return files.splitlines()


def test_packages_import_only_what_stands_below_them() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_listed_modules_import_a_library(path: Path) -> None:
    module = name_of(path)
    strangers = {
        library
        for library in imports(path) & set(USERS)
        if not any(f"{module}.".startswith(f"{user}.") for user in USERS[library])
    }
    assert not strangers


def test_the_programs_are_a_few_lines_over_the_library() -> None:
    for name in ("train.py", "predict.py", "export.py"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 25, name


def test_no_folder_holds_too_many_modules() -> None:
    folders = {path.parent for path in MODULES}
    modules = {
        folder: [p for p in folder.glob("*.py") if p.stem != "__init__"] for folder in folders
    }
    assert not {f.name: len(m) for f, m in modules.items() if len(m) > MAX_MODULES}


def test_names_say_what_they_hold() -> None:
    folders = ("tagger", "frontend", "bench", "deploy", "tests")
    files = [
        *ROOT.glob("*.py"),
        *(path for each in folders for path in (ROOT / each).rglob("*.py")),
    ]
    vague = {path.relative_to(ROOT).as_posix(): bound_names(path) & VAGUE for path in files}
    assert not {path: names for path, names in vague.items() if names}


def test_every_button_has_a_callback() -> None:
    """A click on one without is lost if the next request comes before the script is there."""
    assert not _calls_without("on_click", BUTTONS)


def test_what_somebody_opened_stays_open() -> None:
    """Without a key it closes when the page is drawn again with something more above it."""
    assert not _calls_without("key", FOLDED)


def _calls_without(option: str, methods: set[str]) -> list[str]:
    """The lines of the app that call one of Streamlit's `methods` without an option."""
    calls = {
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}": {each.arg for each in node.keywords}
        for path in (ROOT / "frontend").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in methods
    }
    assert len(calls) > len(methods)
    return [line for line, options in calls.items() if option not in options]


def test_decisions_need_numpy_alone() -> None:
    used = imports(ROOT / "tagger" / "inference" / "decision.py")
    assert used <= {"__future__", "collections", "dataclasses", "typing", "numpy", "tagger"}


def test_importing_tagger_is_light() -> None:
    code = f"import tagger, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_training_imports_keras_only_when_it_needs_it() -> None:
    code = "import sys, tagger.cli.train, tagger.jobs.training; print('keras' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_tagging_never_loads_tensorflow() -> None:
    code = (
        "import sys, numpy as np; from tagger import Tagger;"
        "Tagger.load('pets').tag(np.zeros((64, 64, 3), np.uint8));"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_files_beside_the_code_are_installed_with_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]
    installed = {
        path.relative_to(ROOT).as_posix()
        for package, names in patterns.items()
        for name in names
        for path in ROOT.joinpath(*package.split(".")).glob(name)
    }
    files = {name for name in tracked_files() if name.startswith("tagger/")}
    assert not {name for name in files if not name.endswith(".py")} - installed


def test_no_file_names_a_folder_outside_the_project() -> None:
    elsewhere = "../" + "shared"
    texts = [
        name
        for name in tracked_files()
        if name.endswith((".py", ".md", ".toml", ".txt", ".j2", ".json"))
    ]
    naming = [n for n in texts if elsewhere in (ROOT / n).read_text(encoding="utf-8")]
    assert not naming


def test_no_photo_is_committed() -> None:
    photos = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".gif", ".bmp", ".tif", ".tiff")
    assert {
        name for name in tracked_files() if name.lower().endswith(photos)
    } <= ICONS | SCREENSHOTS

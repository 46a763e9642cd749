"""The house: which module may import which, and who alone may use a heavy library."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tagger.paths import ROOT

# In order: a module imports only from those before it.
STOREYS = (
    "errors files parallel cells ids",
    "places images labels recipes interrupts",
    "decision augment pixels quality splits metrics samples probing lexer schema shelf records",
    "contents derived",
    "query listing",
    "folders tree conditions",
    "ledger sheets",
    "columns",
    "tables coco voc yolo",
    "formats",
    "decoding embeddings catalogue",
    "dataset testset",
    "search suggestions",
    "bundle heads runs runtime pretrained small_cnn optimizers",
    "backbones evidence",
    "networks calibration charts epochs mislabels classifiers",
    "convert tag_evaluation evaluation cards fine_tuning audit",
    "portable",
    "fidelity",
    "options",
    "starts judging",
    "training report imagenet gradcam",
    "doctor summary",
    "tagger",
    "answers terminal exports",
    "cifar10 sagemaker",
    "tags",
    "photos statistics",
    "history importing neighbours",
    "undoing originals",
    "plans",
    "changes",
    "library",
    "claims",
    "work lessons",
    "jobs",
    "engine loaded journal meters pages request_log",
    "service",
    "guard wire connections",
    "problems openapi",
    "routes",
    "api",
)
FLOORS = " ".join(STOREYS).split()

# A library, and the only modules that may import it.
ALONE = {
    "PIL": {"images"},
    "cv2": {"images", "augment", "quality", "derived"},
    "pillow_heif": {"images"},
    "h5py": {"bundle"},
    "ai_edge_litert": {"runtime", "portable"},
    "onnx": {"portable"},
    "onnxruntime": {"portable"},
    "keras": {
        *("cifar10", "small_cnn", "optimizers", "backbones", "networks", "convert", "training"),
        *("fine_tuning", "imagenet", "gradcam", "portable", "fidelity", "starts"),
    },
    "tensorflow": {"networks", "convert", "epochs", "gradcam", "portable"},
    "sklearn": {"metrics", "heads", "calibration", "mislabels", "classifiers"},
    "cleanlab": {"mislabels"},
    "matplotlib": {"charts"},
    "jinja2": {"report"},
    "yaml": {"yolo"},
    "streamlit": set(),
    "sqlalchemy": {
        *("schema", "catalogue", "conditions", "search", "suggestions", "tags"),
        *("photos", "statistics", "history", "changes"),
        *(
            "importing",
            "neighbours",
            "plans",
            "library",
            "claims",
            "work",
            "jobs",
            "undoing",
            "journal",
        ),
    },
    "alembic": {"catalogue"},
    "fastapi": {"api", "routes", "problems", "pages", "openapi"},
    "starlette": {"guard", "problems", "pages", "api"},
    "pydantic": {"wire"},
    "prometheus_client": {"meters"},
    "uvicorn": {"api", "connections"},
}
HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "pandas", "matplotlib", "streamlit")

# Pictures that are no photos: of a drawing, which tests/e2e/test_page_kept.py compares them with.
ICONS = {f"tagger/page/icon-{name}.png" for name in ("192", "512", "maskable")}

MODULES = sorted(p for p in (ROOT / "tagger").glob("*.py") if p.stem != "__init__")


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in the file, by full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "tagger":
            found |= {f"tagger.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_every_module_has_a_floor() -> None:
    assert sorted(FLOORS) == [path.stem for path in MODULES]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    own = {name.split(".")[1] for name in imports(path) if name.startswith("tagger.")}
    below = set(FLOORS[: FLOORS.index(path.stem)])
    assert own <= below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_library_has_few_users(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path)}
    strangers = {library for library in used & set(ALONE) if path.stem not in ALONE[library]}
    assert not strangers


def test_decisions_need_numpy_alone() -> None:
    used = {name.split(".")[0] for name in imports(ROOT / "tagger" / "decision.py")}
    assert used <= {"__future__", "dataclasses", "typing", "numpy", "tagger"}


def test_importing_tagger_is_light() -> None:
    code = f"import tagger, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_tagging_never_loads_tensorflow() -> None:
    code = (
        "import sys, numpy as np; from tagger import Tagger;"
        "Tagger.load('pets').tag(np.zeros((64, 64, 3), np.uint8));"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_programs_stay_short() -> None:
    for name in ("train.py", "predict.py", "export.py"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 120, name


def test_the_project_speaks_of_itself_alone() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    if not files:
        pytest.skip("not a git checkout")
    elsewhere = "../" + "shared"
    texts = [
        name for name in files if name.endswith((".py", ".md", ".toml", ".txt", ".j2", ".json"))
    ]
    naming = [n for n in texts if elsewhere in (ROOT / n).read_text(encoding="utf-8")]
    assert not naming


def test_no_photo_is_committed() -> None:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    if not files:
        pytest.skip("not a git checkout")
    photos = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".gif", ".bmp", ".tif", ".tiff")
    assert {name for name in files if name.lower().endswith(photos)} <= ICONS

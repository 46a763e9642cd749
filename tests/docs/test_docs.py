"""The documentation: its commands run, print what the pages show, and links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tagger.paths import ROOT

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / folder / "README.md" for folder in ("dataset", "model")),
    ]
)
MAX_README_LINES = 150
POINTS = 2.0  # by which a percentage may differ: processors round differently

_BLOCK = re.compile(
    r"(?P<notes>(?:<!-- .* -->\n)*)^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
_PERCENT = re.compile(r"\d+(?:\.\d+)?%")


@dataclass(frozen=True)
class Block:
    """A fenced code block and the HTML comments above it."""

    page: Path
    notes: str
    language: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why it is not run; None if it is."""
        match = re.search(r"<!-- not run: (.+) -->", self.notes)
        return match[1] if match else None


def blocks(page: Path) -> list[Block]:
    matches = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(page, m["notes"], m["language"], m["text"]) for m in matches]


def commands(text: str) -> list[tuple[str, str]]:
    """Each command of a console block with the output it shows."""
    parts = re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.M)[1:]
    return [(command, output) for command, _, output in (p.partition("\n") for p in parts)]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that commands write nothing into this one."""
    copy = tmp_path_factory.mktemp("docs") / "project"
    copy.mkdir()
    for name in ("train.py", "predict.py", "export.py"):
        shutil.copy(ROOT / name, copy)
    for name in ("tagger", "frontend", "dataset", "model"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "model" / "image_tagger.h5").unlink(missing_ok=True)
    return copy


def run(command: str | list[str], checkout: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=checkout,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def assert_alike(printed: str, documented: str) -> None:
    """Equal, but for percentages within `POINTS`."""
    assert _PERCENT.sub("%", printed) == _PERCENT.sub("%", documented)
    pairs = zip(_PERCENT.findall(printed), _PERCENT.findall(documented), strict=True)
    assert all(abs(float(a[:-1]) - float(b[:-1])) <= POINTS for a, b in pairs)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_print_what_the_page_shows(page: Path, checkout: Path) -> None:
    for block in blocks(page):
        if block.language == "console" and not block.reason:
            for command, documented in commands(block.text):
                done = run(command, checkout)
                assert done.returncode == 0, done.stderr
                if documented:
                    assert_alike(done.stdout, documented)
        elif block.language == "python" and not block.reason:
            done = run([sys.executable, "-c", block.text], checkout)
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_with_a_command_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        hidden = re.search(r"^(\$ |python |pip )", block.text, re.M)
        assert block.language in ("console", "python") or not hidden, block.text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("http:", "https:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, link


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES

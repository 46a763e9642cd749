"""What the pages share: the library, the models, and how an error or a name is shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import streamlit as st

from tagger import TaggerError
from tagger.datasets.sample_photos import write_samples
from tagger.inference import model_file
from tagger.inference.registry import IMAGENET, find_model, model_names
from tagger.jobs import worker
from tagger.library.library import Library
from tagger.models import imagenet
from tagger.tagger import Tagger
from tagger.text import count_noun, escape_controls

_VIEWS = Path(__file__).resolve().parents[1] / "views"
ACTIVITY, GALLERY, IMPORT = (
    _VIEWS / f"{name}.py" for name in ("activity", "gallery", "import_photos")
)

FOLDER_KEY = "train-folder"  # of the session: what the Train page is to look at
RESUME_SECONDS = 15  # between two looks for runs that a crash left
MODELS_KEPT = 4  # in memory


def library() -> Library:
    """The library that `TAGGER_HOME` and `TAGGER_DATABASE` name. Raises LibraryError."""
    found = _open_library(os.environ.get("TAGGER_HOME"), os.environ.get("TAGGER_DATABASE"))
    _resume(found.url, found)
    return found


@st.cache_resource(show_spinner=False, on_release=Library.close)
def _open_library(home: str | None, url: str | None) -> Library:
    opened = Library.open(Path(home) if home else None, url or None)
    # in a thread: the first page need not wait for it
    Thread(target=opened.storage.delete_stale_files, daemon=True).start()
    return opened


@st.cache_resource(show_spinner=False, ttl=RESUME_SECONDS)
def _resume(url: str, _library: Library) -> list[int]:
    return worker.resume_stale(_library)


def tagger(model: str | None = None) -> Tagger:
    """A model by name or file, by default the active one, loaded once.

    `imagenet` is made at its first use. Raises ModelError, or WeightsUnavailableError.
    """
    model = model or library().active_model()
    path = find_model(model)
    if to_be_made(model):
        with st.spinner(imagenet.MAKING):
            imagenet.load()
    path = path.resolve()
    info = path.stat()
    return _load_tagger(str(path), info.st_mtime_ns, info.st_size)


@st.cache_resource(show_spinner=False, max_entries=MODELS_KEPT)
def _load_tagger(path: str, changed: int, size: int) -> Tagger:
    return Tagger.load(path)


def models() -> list[str]:
    """The models to choose from, as `tagger` takes them: by name, and the active one."""
    return sorted({*model_names(), IMAGENET, library().active_model()})


def to_be_made(model: str) -> bool:
    """Whether it is `imagenet`, and no one has used it yet."""
    return model == IMAGENET and not find_model(model).is_file()


def choose_model(model: str) -> None:
    """Let another model tag from now on. Raises as `tagger` does."""
    tagger(model)
    library().set_active_model(model)


def model_title(model: str) -> str:
    """A model in a list: "pets · 2 labels", with its folder if that is not `model/`."""
    place = Path(model)
    name = f"{place.stem} in {place.parent}" if place.is_absolute() else model
    try:
        if to_be_made(model):
            return f"{name} · {count_noun(imagenet.CLASSES, 'label')}, made at its first use"
        path = find_model(model)
        info = path.stat()
        return f"{name} · {count_noun(_label_count(str(path), info.st_mtime_ns), 'label')}"
    except (TaggerError, OSError):
        return f"{name} · cannot be read"


def models_built_on(backbone: str) -> list[str]:
    """The models there are that a training with that backbone can start from."""
    found = []
    for model in models():
        with suppress(TaggerError, OSError):
            path = find_model(model)
            if _backbone(str(path), path.stat().st_mtime_ns) == backbone:
                found.append(model)
    return found


@st.cache_resource(show_spinner=False)
def _backbone(path: str, changed: int) -> str:
    return str(model_file.load(path).card["backbone"])


@st.cache_resource(show_spinner=False)
def _label_count(path: str, changed: int) -> int:
    return len(model_file.load(path).labels)


@contextmanager
def guard() -> Iterator[None]:
    """What goes wrong inside is told in a sentence, and the page goes on after it."""
    try:
        yield
    except (TaggerError, OSError) as error:
        st.error(plain(sentence(error)), icon=":material/error:")


def sentence(error: Exception) -> str:
    """What an error says to a person."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


# A word joiner (U+2060) cannot be seen, and ends whatever Streamlit looks for in text that is
# already parsed, where a backslash is gone: :emoji:, :material/icon:, a@b.c, www.x.y, ->
_JOINER = "\u2060"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_LOOKED_FOR = re.compile(r"([:@]|www(?=\.)|[-<>~](?=[->=]))", re.IGNORECASE)


def plain(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is: no formatting, link, icon, formula or HTML.

    For whatever takes Markdown: markdown, captions, alerts, labels of buttons and other widgets.
    Not for what takes text: `st.text`, the options of a selectbox, cells of a table.
    """
    one_line = " ".join(escape_controls(text).split())
    return _PUNCTUATION.sub(r"\\\1", _LOOKED_FOR.sub(rf"\1{_JOINER}", one_line))


def bars(rows: Iterable[tuple[str, float, str]]) -> None:
    """Names, each with a bar for its share in [0, 1] and the words for it; all plain text."""
    st.html(
        '<ul class="it-bars" role="list">'
        + "".join(
            f'<li><span class="it-name" dir="auto">{escape(escape_controls(name))}</span>'
            f'<span class="it-value">{escape(words)}</span>'
            f'<span class="it-bar"><span style="width:{100 * share:.1f}%"></span></span></li>'
            for name, share, words in rows
        )
        + "</ul>"
    )


@st.cache_resource(show_spinner=False)
def sample_photos() -> dict[str, bytes]:
    """Four photos for a first try, by name. Raises OptionError where they are not installed."""
    with TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in write_samples(Path(folder))}


def photo_link(photo_id: int, label: str = "Open it in the gallery") -> None:
    """A link to the gallery with a photo open: it reads `?photo=ID`."""
    st.page_link(
        GALLERY, label=label, icon=":material/grid_view:", query_params={"photo": str(photo_id)}
    )


def notify(message: str) -> None:
    """Say something on the next page drawn, whatever it is; `message` is plain text."""
    st.session_state.setdefault("notices", []).append(message)


def show_notices() -> None:
    """What `notify` was told since the last page."""
    for message in st.session_state.pop("notices", []):
        st.toast(plain(message))

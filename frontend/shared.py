"""What the pages share: the library, the models, and how a run, an error or a name is shown."""

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

from tagger import TaggerError, bundle, imagenet, jobs
from tagger.files import spelled_out
from tagger.history import Run, RunFile
from tagger.library import Library
from tagger.places import IMAGENET, find_model, model_names
from tagger.samples import write_samples
from tagger.tagger import Tagger

_VIEWS = Path(__file__).resolve().parent / "views"
ACTIVITY, GALLERY, IMPORT = (
    _VIEWS / f"{name}.py" for name in ("activity", "gallery", "import_photos")
)

FOLDER_KEY = "train-folder"  # of the session: what the Train page is to look at
REFRESH_SECONDS = 1.0  # between two looks at a run that is going on
RESUME_SECONDS = 15  # between two looks for runs that a crash left
MODELS_KEPT = 4  # in memory
FILES_LISTED = 200  # of a run, by outcome

_OUTCOMES = {
    "added": "added",
    "restored": "brought back",
    "duplicate": "in the library already",
    "tagged": "tagged",
    "same": "tagged by this model already",
    "failed": "failed",
}
_LISTED = {
    "failed": "Files that failed",
    "duplicate": "Files that were in the library already",
    "no_photo": "Files left out, since they are no photos",
}


def library() -> Library:
    """The library that `TAGGER_HOME` and `TAGGER_DATABASE` name. Raises CatalogueError."""
    found = _open_library(os.environ.get("TAGGER_HOME"), os.environ.get("TAGGER_DATABASE"))
    _resume(found.url, found)
    return found


@st.cache_resource(show_spinner=False, on_release=Library.close)
def _open_library(home: str | None, url: str | None) -> Library:
    opened = Library.open(Path(home) if home else None, url or None)
    Thread(target=opened.shelf.sweep, daemon=True).start()  # the first page need not wait for it
    return opened


@st.cache_resource(show_spinner=False, ttl=RESUME_SECONDS)
def _resume(url: str, _library: Library) -> list[int]:
    return jobs.resume_stale(_library)


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
    library().choose_model(model)


def model_title(model: str) -> str:
    """A model in a list: "pets · 2 labels", with its folder if that is not `model/`."""
    place = Path(model)
    name = f"{place.stem} in {place.parent}" if place.is_absolute() else model
    try:
        if to_be_made(model):
            return f"{name} · {count_of(imagenet.CLASSES, 'label')}, made at its first use"
        path = find_model(model)
        info = path.stat()
        return f"{name} · {count_of(_label_count(str(path), info.st_mtime_ns), 'label')}"
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
    return str(bundle.load(path).card["backbone"])


@st.cache_resource(show_spinner=False)
def _label_count(path: str, changed: int) -> int:
    return len(bundle.load(path).labels)


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
    one_line = " ".join(spelled_out(text).split())
    return _PUNCTUATION.sub(r"\\\1", _LOOKED_FOR.sub(rf"\1{_JOINER}", one_line))


def bars(rows: Iterable[tuple[str, float, str]]) -> None:
    """Names, each with a bar for its share in [0, 1] and the words for it; all plain text."""
    st.html(
        '<ul class="it-bars" role="list">'
        + "".join(
            f'<li><span class="it-name" dir="auto">{escape(spelled_out(name))}</span>'
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


def start(run_id: int) -> None:
    """Let a run that was planned begin, in a process of its own."""
    jobs.start(library(), run_id)


def show_run(run_id: int, *, key: str = "run") -> None:
    """A run: how far it is while it goes on, with a stop; then what it came to, with an undo.

    `key` tells two places apart that show the same run on one page. The page is drawn again when
    the run ends.
    """
    with guard():
        run = library().run(run_id)
        every = REFRESH_SECONDS if run.active else None
        with st.container(border=True, key=f"{key}-{run_id}"):
            st.fragment(_draw_run, run_every=every)(run_id, run.active, key)


def _draw_run(run_id: int, was_active: bool, key: str) -> None:
    with guard():
        run = library().run(run_id)
        if was_active and not run.active:
            st.rerun()
        if run.active:
            library()  # the process at work may have died: looks for that too
            _draw_progress(run, key)
        else:
            _draw_end(run, key)
        for outcome, title in _LISTED.items():
            _draw_files(run, outcome, title)


def _draw_progress(run: Run, key: str) -> None:
    st.markdown(f"**{plain(run.title)}**")
    left = "" if run.seconds_left is None else f" · {time_left(run.seconds_left)}"
    done = f"{run.done:,} of {run.total:,}" if run.total else "Getting ready"
    st.progress(run.share or 0.0, text=f"{done}{left}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if run.stop_asked:
            st.caption("Stopping …", width="content")
        else:
            stop_key = f"{key}-stop-{run.id}"
            st.button(
                "Stop", key=stop_key, icon=":material/stop_circle:", on_click=_stop, args=(run.id,)
            )
        told = " · ".join(part for part in (run.stage, outcomes(run)) if part)
        if told:
            st.caption(plain(told), width="content")


def _stop(run_id: int) -> None:
    with guard():
        library().stop(run_id)


def _draw_end(run: Run, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.markdown(f"**{plain(run.title)}**")
            told = " · ".join(part for part in (ending(run), outcomes(run)) if part)
            st.caption(plain(told))
        if run.resumable and st.button("Go on", key=f"{key}-again-{run.id}"):
            start(library().plan_again(run.id))
            st.rerun()
        undo_button(run, key=key)
    if run.error:
        st.error(plain(run.error), icon=":material/error:")


def _draw_files(run: Run, outcome: str, title: str) -> None:
    count = run.counts.get(outcome, 0)
    if not count:
        return
    with st.expander(f"{title}: {count:,}", type="compact"):
        files = library().run_files(run.id, outcome, FILES_LISTED)
        st.html(
            '<ul class="it-files" role="list">'
            + "".join(f'<li dir="auto">{_told(file, outcome)}</li>' for file in files)
            + "</ul>"
        )
        if count > FILES_LISTED:
            st.caption(f"and {count - FILES_LISTED:,} more")


def _told(file: RunFile, outcome: str) -> str:
    """A file of a run as HTML: why it failed, or the photo that it is, to be opened."""
    name = escape(spelled_out(file.name))
    if outcome == "duplicate" and file.photo_id is not None:
        photo = escape(spelled_out(file.photo_name or file.name))
        return f'{name} is <a href="gallery?photo={file.photo_id}">{photo}</a>'
    return f"{name}: {escape(spelled_out(file.reason))}" if file.reason else name


def undo_button(run: Run | int, *, key: str = "run") -> None:
    """A button that takes a run back; nothing where the run cannot be taken back."""
    with guard():
        run = library().run(run) if isinstance(run, int) else run
        if not run.undoable:
            return
        if st.button("Undo", key=f"{key}-undo-{run.id}", icon=":material/undo:"):
            undone = library().undo(run.id)
            told = f"Undone: {run.title}. {count_of(undone.changed, 'photo')} changed back."
            if undone.left_alone:
                told += f" {undone.left_alone:,} were changed since and stay as they are."
            notify(told)
            st.rerun()


def ending(run: Run) -> str:
    """How a run ended and when, in a few words."""
    if run.undone_by:
        return "undone"
    words = {"done": "finished", "stopped": "stopped", "failed": "failed"}
    moment = run.finished_at or run.created_at
    moment = moment.astimezone()
    return f"{words.get(run.status, run.status)} {moment.day} {moment:%B %Y, %H:%M}"


def outcomes(run: Run) -> str:
    """What became of the files of a run: "12 added · 3 failed"."""
    if run.kind == "import" and not run.active and not run.error and not run.counts:
        return "no photos there"
    counts = [(run.counts.get(outcome, 0), words) for outcome, words in _OUTCOMES.items()]
    return " · ".join(f"{count:,} {words}" for count, words in counts if count)


def time_left(seconds: float) -> str:
    """Roughly, as a person would say it."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} seconds left"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} minutes left"
    return f"about {seconds / 3600:.0f} hours left"


def percent(share: float) -> str:
    """A share in [0, 1], never rounded to a certainty that nobody has."""
    if share >= 0.9995:
        return "over 99.9%"
    return "under 0.1%" if share < 0.0005 else f"{share:.1%}"


def count_of(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 photo", "2,000 photos"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

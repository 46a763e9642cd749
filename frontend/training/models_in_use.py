"""Which models tag new photos, in which order; using, turning off and re-tagging with a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.components import job_panel, photo_gallery, retag_dialog, undo_line
from frontend.ui.library import open_library, start_embedding
from frontend.ui.messages import catch_errors, run_action
from frontend.ui.models import list_models, load_tagger, needs_building
from frontend.ui.text import escape_markdown
from tagger.errors import TaggerError
from tagger.inference.registry import display_name
from tagger.library.models.in_use import ModelUse
from tagger.library.search.grammar import And, Condition, format_query
from tagger.text import count_noun

PAGE = "models"
JOB_KEY = f"{PAGE}-retag-job"
ROWS_KEY = f"{PAGE}-rows"  # session state: the models in the order of their rows
OPEN_KEY = f"{PAGE}-shown"  # a widget's, which is gone when somebody leaves the page
OFF_KEY = f"{PAGE}-off"  # session state: the model that may be switched off
MAX_EXAMPLES = 12  # photos


def show_models_in_use() -> None:
    """All models, first those in use in their order, with what can be done with each.

    Rows keep their places while the page is open, so that no button moves under the pointer.
    """
    retag_dialog.show_question(PAGE)
    _show_off_dialog()
    library = open_library()
    in_use, uses = library.models_in_use(), library.model_uses()
    st.caption(
        "New photos are tagged by all models in use, in this order. If two give the same tag, the"
        " first one’s score counts."
    )
    slots = {}
    for model in _arrange(in_use, uses):
        use = uses.get(Path(model).stem, ModelUse())
        if model in in_use:
            slots[model] = _show_used(model, in_use.index(model), len(in_use), use)
        else:
            _show_unused(model, use, is_gone=model not in list_models())
    undo_line.show(PAGE)  # below the rows, which it must not move
    if (job_id := st.session_state.get(JOB_KEY)) is not None:
        job_panel.show_job(job_id, key=f"{PAGE}-retag")
    for model, slot in slots.items():  # loading models takes a moment: the page is drawn before
        with slot:
            _offer_retagging(model)


def _arrange(in_use: Sequence[str], uses: Mapping[str, ModelUse]) -> list[str]:
    """All models in the order of their rows: those in use, the others, those without a file.

    After a change the rows stay, until somebody moves a model or opens the page anew.
    """
    stems = {Path(model).stem for model in in_use}
    unused = [model for model in list_models() if Path(model).stem not in stems]
    gone = sorted(uses.keys() - stems - {Path(model).stem for model in unused})
    every = [*in_use, *unused, *gone]
    rows: list[str] = st.session_state.get(ROWS_KEY, [])
    if OPEN_KEY not in st.session_state or sorted(rows) != sorted(every):
        rows = st.session_state[ROWS_KEY] = every
    return rows


def _show_used(model: str, number: int, count: int, use: ModelUse) -> DeltaGenerator:
    """The row of a model in use; where its offer to tag photos again goes."""
    name = display_name(model)
    with _row(model):
        facts = f"{count_noun(use.photos, 'photo')} · {count_noun(use.tags, 'tag')}"
        st.markdown(f"{number + 1}\\. **{escape_markdown(name)}** · {facts}", width="stretch")
        with _buttons(model):
            if number:
                _button("Move up", "arrow_upward", "up", model, _move_up)
            slot = st.container(width="content")
            if count > 1:
                _button("Turn off …", "visibility_off", "off", model, _ask_off)
            with st.container(width="content", key=f"{PAGE}-state-{model}"):
                st.markdown(":material/check: In use")
    return slot


def _show_unused(model: str, use: ModelUse, is_gone: bool) -> None:
    name = display_name(model)
    with _row(model):
        facts = [f"**{escape_markdown(name)}**"]
        if is_gone:
            facts.append("its file is gone")
        if use.off:
            facts.append("off: its tags are hidden")
        elif use.tags:
            facts.append(f"{count_noun(use.tags, 'tag')} on your photos")
        elif not is_gone and needs_building(model):
            facts.append("1,000 kinds of animals, plants and things; may download 14 MB")
        st.markdown(" · ".join(facts), width="stretch")
        with _buttons(model):
            if use.tags and not use.off:
                _button("Hide its tags …", "visibility_off", "off", model, _ask_off)
            if not is_gone:
                _button("Use only this", "check_circle", "use", model, _use)
                _button("Also use", "add_circle", "add", model, _add)


def _offer_retagging(model: str) -> None:
    """A button for the photos that a model in use has not tagged."""
    try:
        if needs_building(model):
            return
        count = open_library().retagging.count_untagged(load_tagger(model))
    except (TaggerError, OSError):
        return
    if count:
        label = f"Re-tag {count_noun(count, 'photo')} …"
        _button(label, "autorenew", "retag", model, _ask_to_retag)


def _ask_to_retag(model: str) -> None:
    ids = open_library().retagging.find_untagged(load_tagger(model))
    retag_dialog.ask(PAGE, ids, [model], JOB_KEY)


def _row(model: str) -> DeltaGenerator:
    return st.container(
        border=True, horizontal=True, vertical_alignment="center", key=f"{PAGE}-row-{model}"
    )


def _buttons(model: str) -> DeltaGenerator:
    return st.container(
        horizontal=True,
        gap="small",
        width="content",
        vertical_alignment="center",
        key=f"{PAGE}-buttons-{model}",
    )


def _button(label: str, icon: str, action: str, model: str, call: Callable[[str], None]) -> None:
    st.button(
        label,
        key=f"{PAGE}-{action}-{model}",
        icon=f":material/{icon}:",
        on_click=run_action,
        args=(call, model),
    )


def _use(model: str) -> None:
    load_tagger(model)
    undo_line.record(PAGE, open_library().use_model(model))
    start_embedding(open_library())  # in its space, if it understands descriptions


def _add(model: str) -> None:
    load_tagger(model)
    undo_line.record(PAGE, open_library().add_model(model))
    start_embedding(open_library())


def _move_up(model: str) -> None:
    undo_line.record(PAGE, open_library().move_model_up(model))
    st.session_state.pop(ROWS_KEY, None)
    start_embedding(open_library())


def _ask_off(model: str) -> None:
    st.session_state[OFF_KEY] = model


def _show_off_dialog() -> None:
    """What would be hidden if a model is switched off, and the button that does it."""
    model = st.session_state.get(OFF_KEY)
    if model is not None:
        title = f"Turn off {escape_markdown(display_name(model))}?"
        st.dialog(title, width="large", on_dismiss=_close)(_ask_to_turn_off)(model)


def _ask_to_turn_off(model: str) -> None:
    with catch_errors():
        library, name = open_library(), Path(model).stem
        use = library.model_uses().get(name, ModelUse())
        st.markdown(
            f"Hides {count_noun(use.tags, 'tag')} on your photos; what you added or confirmed"
            " stays. New photos are not tagged with it. Its tags come back when you use it again."
        )
        with st.container(horizontal=True, gap="small", key=f"{PAGE}-off-actions"):
            st.button(
                "Turn off",
                key=f"{PAGE}-off-go",
                type="primary",
                on_click=run_action,
                args=(_turn_off,),
            )
            st.button("Cancel", key=f"{PAGE}-off-cancel", on_click=run_action, args=(_close,))
        query = format_query(And((Condition("model", "=", name), Condition("by", "=", "model"))))
        photos = library.search(query, "surest", limit=MAX_EXAMPLES).photos
        captions = {
            photo.id: "− "
            + ", ".join(tag.label for tag in photo.tags if tag.model == name and not tag.by_person)
            for photo in photos
        }
        photo_gallery.show_grid(
            photos, key=f"{PAGE}-off-examples", captions=captions, only_captions=True
        )


def _turn_off() -> None:
    """Turn off the model of the dialog, once even if the button was clicked twice."""
    model = st.session_state.pop(OFF_KEY, None)
    if model is not None:
        undo_line.record(PAGE, open_library().turn_off_model(model))


def _close() -> None:
    st.session_state.pop(OFF_KEY, None)

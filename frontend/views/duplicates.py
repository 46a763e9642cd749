"""Duplicates: groups of near copies, to keep the best of each; files are never touched."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from frontend.components import job_panel, undo_line
from frontend.photos.large_photo import show_large_photo, show_thumbnail
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import forget_click, forget_clicks, is_clicked, keep_click, run_action
from frontend.ui.pages import IMPORT, link_photo, link_trash
from frontend.ui.text import escape_markdown, format_size
from tagger.jobs.requests import CompareRequest
from tagger.library.duplicates.choices import Choice
from tagger.library.duplicates.duplicates import DuplicateList
from tagger.library.duplicates.groups import DuplicateGroup, Group, Merit
from tagger.library.records import Photo
from tagger.text import count_noun

PAGE = "duplicates"
PAGE_SIZE = 10  # groups
MAX_CARDS = 12  # photos of a group
THUMBNAIL_WIDTH = 150  # pixels: two in a row on a phone
MERITS: dict[Merit, str] = {
    "there": "its file is there",
    "larger": "largest",
    "sharper": "sharpest",
    "tagged": "has your tags",
}


def show() -> None:
    """The page: what was not compared yet, and the groups."""
    st.title("Duplicates", anchor=False)
    st.markdown(
        "Copies of a photo that were resized, saved again, brightened or cropped a little."
        " Removing one takes it out of the library; your files are not touched."
    )
    undo_line.show(PAGE)
    library = open_library()
    if deleted := library.trash.count():
        link_trash(deleted)
    jobs = library.operations(limit=1, kinds=[CompareRequest.KIND], active=True)
    for job in jobs:
        job_panel.show_job(job.id, key=PAGE)
    duplicates = library.duplicates.list_groups()
    if not duplicates.compared and not duplicates.uncompared:
        st.markdown("Your library is empty.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")
        return
    if duplicates.uncompared and not jobs:
        _offer_search(duplicates)
    if duplicates.groups:
        _show_groups(duplicates)
    elif duplicates.compared and not jobs:
        st.markdown(f"No duplicates among {count_noun(duplicates.compared, 'photo')}.")


def _offer_search(duplicates: DuplicateList) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"{PAGE}-search"):
        photos = count_noun(duplicates.uncompared, "photo")
        verb = "was" if duplicates.uncompared == 1 else "were"
        st.markdown(f"{photos} {verb} not compared yet.", width="content")
        st.button(
            "Look for duplicates",
            key=f"{PAGE}-look",
            type="primary",
            icon=":material/search:",
            on_click=run_action,
            args=(job_panel.start_job, CompareRequest()),
        )


def _show_groups(duplicates: DuplicateList) -> None:
    groups = duplicates.groups
    with st.container(horizontal=True, vertical_alignment="center", key=f"{PAGE}-summary"):
        size = format_size(sum(group.removable for group in groups))
        photos = count_noun(duplicates.removable, "photo")
        st.markdown(
            f"**{count_noun(len(groups), 'group')}** · {photos} could be removed, {size}",
            width="content",
        )
        _offer_all(groups)
    slot = st.container()  # above the pagination
    first = (url_state.pagination(-(-len(groups) // PAGE_SIZE)) - 1) * PAGE_SIZE
    with slot:
        for group in open_library().duplicates.load(groups[first : first + PAGE_SIZE]):
            if len(group.photos) > 1:
                st.fragment(_show_group)(group)


def _offer_all(groups: Sequence[Group]) -> None:
    """Remove all but the best of each group, after a question."""
    photos = count_noun(sum(len(group.ids) - 1 for group in groups), "photo")
    with st.popover("Keep the best of each …", key=f"{PAGE}-all"):
        st.markdown(
            f"{photos} will leave the library. The best of each group stays, with the tags, rating"
            " and caption that you gave the others. Your files are not touched, and you can undo"
            " this."
        )
        st.button(
            f"Remove {photos}",
            key=f"{PAGE}-all-go",
            type="primary",
            on_click=run_action,
            args=(_keep_best, groups),
        )


def _keep_best(groups: Sequence[Group]) -> None:
    choices = [Choice(group.ids[:1], group.ids[1:]) for group in groups]
    undo_line.record(PAGE, open_library().duplicates.choose(choices))


def _show_group(group: DuplicateGroup) -> None:
    """A group; those that are not among the first are kept."""
    best = group.photos[0]
    with st.container(border=True, key=f"{PAGE}-group-{best.id}"):
        kept = []
        with st.container(horizontal=True, gap="small", key=f"{PAGE}-cards-{best.id}"):
            for photo in group.photos[:MAX_CARDS]:
                with st.container(width=THUMBNAIL_WIDTH, gap="xxsmall"):
                    if _show_card(group, photo):
                        kept.append(photo.id)
        left_out = group.photos[MAX_CARDS:]
        kept += [photo.id for photo in left_out]
        if left_out:
            st.caption(f"and {count_noun(len(left_out), 'more photo')}, which stay")
        _offer_choices(group, kept)


def _show_card(group: DuplicateGroup, photo: Photo) -> bool:
    """A photo of a group; whether it is to be kept."""
    best = group.photos[0]
    show_thumbnail(photo)
    keep = st.checkbox(
        f"Keep {escape_markdown(photo.name)}",
        value=photo is best,
        key=f"{PAGE}-keep-{best.id}-{photo.id}",
    )
    facts = [f"{photo.width:,} × {photo.height:,}", format_size(photo.size)]
    if photo.missing:
        facts.append("original missing")
    st.caption(" · ".join(facts))
    if photo is best:
        merits = ", ".join(MERITS[merit] for merit in group.merits)
        st.caption(f"Suggested: {merits}" if merits else "Suggested: as good as the others")
    return keep


def _offer_choices(group: DuplicateGroup, kept: Sequence[int]) -> None:
    best = group.photos[0]
    removed = [photo.id for photo in group.photos if photo.id not in kept]
    with st.container(horizontal=True, gap="small", key=f"{PAGE}-actions-{best.id}"):
        photos = count_noun(len(removed), "photo")
        if removed:
            st.button(
                f"Remove {photos}",
                key=f"{PAGE}-remove-{best.id}",
                icon=":material/delete:",
                disabled=not kept,
                help=None if kept else "Tick at least one photo to keep",
                on_click=run_action,
                args=(_choose, Choice(tuple(kept), tuple(removed))),
            )
        every = tuple(photo.id for photo in group.photos)
        st.button(
            "Keep all",
            key=f"{PAGE}-different-{best.id}",
            help="They are different photos: not shown as duplicates again",
            on_click=run_action,
            args=(_choose, Choice(every)),
        )
        key = f"{PAGE}-compare-{best.id}"
        st.button(
            "Compare", key=key, icon=":material/compare:", on_click=_open_comparison, args=(key,)
        )
    if is_clicked(key):
        dialog = st.dialog("Compare", width="large", on_dismiss=lambda: forget_click(key))
        dialog(_compare)(group)


def _open_comparison(key: str) -> None:
    forget_clicks()  # there is one dialog at a time
    keep_click(key)


def _choose(choice: Choice) -> None:
    undo_line.record(PAGE, open_library().duplicates.choose([choice]))


def _compare(group: DuplicateGroup) -> None:
    """The photos of a group as large as there is room for, two in a row."""
    members = group.photos[:MAX_CARDS]
    for start in range(0, len(members), 2):
        for column, photo in zip(st.columns(2), members[start : start + 2], strict=False):
            with column:
                show_large_photo(photo)
                sharpness = group.sharpness[group.photos.index(photo)]
                facts = [f"{photo.width:,} × {photo.height:,}", format_size(photo.size)]
                facts += [] if sharpness is None else [f"sharpness {sharpness:.2f}"]
                facts.append(str(photo.path.parent) if not photo.stored else "copy in library")
                st.caption(escape_markdown(f"{photo.name} · {' · '.join(facts)}"))
                link_photo(photo.id)


show()

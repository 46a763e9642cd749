"""Tags: all tags with covers and counts; one tag: its name, its words, whether it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from frontend.components import longer_names, photo_gallery, tag_edits, undo_line
from frontend.components.photo_gallery import Cover
from frontend.photos import gallery
from frontend.ui import url_state
from frontend.ui.library import open_library
from frontend.ui.messages import catch_errors, run_action
from frontend.ui.pages import GALLERY, IMPORT, TEACH
from frontend.ui.text import escape_markdown
from tagger.errors import OptionError
from tagger.inference.vocabulary import Entry, Vocabulary
from tagger.library.labels.listing import TagSummary
from tagger.library.search.grammar import And, Condition, Label, format_query
from tagger.text import count_noun, fold

PAGE = "tags"
TAG, FILTER, SORT, SHOW = "tag", "filter", "sort", "which"  # query parameters
SORTS = {"count": "Most photos", "name": "A to Z"}
PAGE_SIZE = 60  # fills rows of two to six
COVERS = 12  # photos of a tag on its page


def show() -> None:
    """The page: the tag that the URL names, or all tags."""
    summaries = open_library().tags.list_all()
    name = url_state.get(TAG)
    summary = next((each for each in summaries if name and _is_named(each, name)), None)
    if summary is not None:
        _show_tag(summary, summaries)
        return
    st.title("Tags", anchor=False)
    tag_edits.show(PAGE, name or "")
    if name:
        st.markdown(escape_markdown(f"No photo has the tag {name}."))
    if summaries:
        _show_list(summaries)
    else:
        st.markdown("No photo has a tag yet.")
        st.page_link(IMPORT, label="Import photos", icon=":material/add_photo_alternate:")


def _show_list(summaries: Sequence[TagSummary]) -> None:
    listed = [each for each in summaries if not (each.hidden or each.never)]
    kinds = {
        "": ("Tags", listed),
        "hidden": ("Hidden", [each for each in summaries if each.hidden]),
        "never": ("Never given", [each for each in summaries if each.never]),
    }
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"{PAGE}-choose"):
        text = url_state.text_input("Find a tag", FILTER, "Find a tag")
        sort = url_state.selectbox("Sort", SORT, SORTS, width=180)
        titles = {
            kind: f"{title} · {len(tags):,}"
            for kind, (title, tags) in kinds.items()
            if tags or not kind
        }
        which = url_state.selectbox("Show", SHOW, titles, width=200)
    tags = [each for each in kinds[which][1] if _matches(each, text)]
    if sort == "count":
        tags.sort(key=lambda each: -each.count)
    if not tags:
        st.markdown("No tags match.")
        return
    slot = st.container()  # above the pagination
    first = (url_state.pagination(-(-len(tags) // PAGE_SIZE)) - 1) * PAGE_SIZE
    with slot:
        _show_covers(tags[first : first + PAGE_SIZE])


def _is_named(summary: TagSummary, name: str) -> bool:
    """Whether it is the tag's name, or that of one that was renamed to it."""
    return fold(name) in map(fold, (summary.name, *summary.names))


def _matches(summary: TagSummary, text: str) -> bool:
    part = fold(text.strip())
    return any(part in fold(name) for name in (summary.name, *summary.names))


def _show_covers(tags: Sequence[TagSummary]) -> None:
    """A tile for each tag with photos, which opens it; the others as buttons."""
    photos = open_library().tags.find_covers(each.name for each in tags)
    covers = [
        Cover(each.name, photos[each.name], count_noun(each.count, "photo"))
        for each in tags
        if each.name in photos
    ]
    photo_gallery.show_covers(covers, key=f"{PAGE}-grid", open=_open)
    with st.container(horizontal=True, gap="small", key=f"{PAGE}-without-photos"):
        for each in tags:
            if each.name not in photos:
                label = f"{escape_markdown(each.name)} · no photos"
                opens = url_state.on_click(**{TAG: each.name})
                st.button(label, key=f"{PAGE}-open-{each.name}", on_click=opens)


def _open(name: str) -> None:
    url_state.update(**{TAG: name, url_state.PAGE: None})


# One tag


def _show_tag(summary: TagSummary, summaries: Sequence[TagSummary]) -> None:
    st.button(
        "All tags",
        key=f"{PAGE}-back",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=url_state.on_click(**{TAG: ""}),
    )
    st.title(escape_markdown(summary.name), anchor=False)
    tag_edits.show(PAGE, url_state.get(TAG) or "")
    st.markdown(" · ".join(_list_facts(summary)))
    with st.container(
        horizontal=True, vertical_alignment="center", gap="xsmall", key=f"{PAGE}-actions"
    ):
        _link_teach(summary)
        with _menu("Rename or merge …", "rename", summary.name):
            _show_rename(summary, summaries)
        with _menu("Hide …", "switches", summary.name):
            _show_switches(summary)
        with _menu("Words …", "words", summary.name):
            _show_words(summary)
    if summary.count:
        query = format_query(Label(summary.name, exact=True))
        page = open_library().search(query, "surest", limit=COVERS)
        gallery.show_photos(PAGE, page.photos, key=f"{PAGE}-photos", matching=page.matching_tags)
        st.page_link(
            GALLERY,
            label=f"Show {'the photo' if summary.count == 1 else f'all {summary.count:,} photos'}",
            icon=":material/grid_view:",
            query_params={"show": query},
        )


def _list_facts(summary: TagSummary) -> list[str]:
    facts = [count_noun(summary.count, "photo")]
    if summary.by_person:
        facts.append(f"{summary.by_person:,} confirmed or added by you")
    if summary.hidden:
        facts.append("hidden")
    if summary.never:
        facts.append("never given by models")
    return facts


def _link_teach(summary: TagSummary) -> None:
    """Links to what is done with the tag's photos, and with others."""
    if summary.count > summary.by_person:
        st.page_link(
            TEACH,
            label="Check its photos",
            icon=":material/rule:",
            query_params={"tag": summary.name, "view": "Check"},
        )
    st.page_link(
        TEACH,
        label="Find more like it",
        icon=":material/model_training:",
        query_params={"tag": summary.name, "view": "Find more"},
    )


def _menu(title: str, kind: str, name: str) -> DeltaGenerator:
    """A menu of a tag, which `_close_menus` closes."""
    return st.popover(title, key=f"{PAGE}-menu-{kind}-{name}", on_change="rerun")


def _close_menus() -> None:
    """Close the menus after an edit: what was done, and its Undo, are above them."""
    for key in st.session_state:
        if str(key).startswith(f"{PAGE}-menu-"):
            st.session_state[key] = False


def _show_rename(summary: TagSummary, summaries: Sequence[TagSummary]) -> None:
    other_names = [each.name for each in summaries if each.name != summary.name]
    key = f"{PAGE}-rename-{summary.name}"
    new = st.selectbox(
        "Another name, or a tag to merge it into",
        other_names,
        index=None,
        accept_new_options=True,
        placeholder="Type a name",
        key=key,
    )
    other = next((each for each in summaries if new and fold(each.name) == fold(new)), None)
    is_merge = other is not None and other.name != summary.name and bool(other.count)
    if other is not None and is_merge:
        photos = count_noun(summary.count, "photo")
        st.caption(escape_markdown(f"{photos} will show {other.name} in place of {summary.name}."))
    if new and other is None:
        choose = partial(st.session_state.__setitem__, key)
        longer_names.offer(PAGE, new, other_names, choose)
    label = f"Merge into {escape_markdown(other.name)}" if other and is_merge else "Rename"
    st.button(label, key=f"{PAGE}-go-rename", on_click=run_action, args=(_rename, summary.name))
    for name in summary.names:
        with st.container(horizontal=True, vertical_alignment="center", key=f"{PAGE}-alias-{name}"):
            is_merged = name in summary.merged
            verb, label = ("Includes", "Separate") if is_merged else ("Was", "Use the old name")
            st.markdown(f"{verb}: {escape_markdown(name)}", width="content")
            _action(label, f"{PAGE}-separate-{name}", open_library().tags.separate, name)


def _rename(name: str) -> None:
    new = st.session_state[f"{PAGE}-rename-{name}"]
    if not new:
        raise OptionError("type a name first")
    _call(open_library().tags.rename, name, new)
    url_state.update(**{TAG: " ".join(new.split())})
    tag_edits.follow(PAGE, url_state.get(TAG) or "")


def _show_switches(summary: TagSummary) -> None:
    tags, name = open_library().tags, summary.name
    with st.container(gap="xsmall", key=f"{PAGE}-switches"):
        if summary.hidden:
            _action("Show it again", f"{PAGE}-hide", tags.hide, name, False)
        else:
            _action("Hide", f"{PAGE}-hide", tags.hide, name, True)
        st.caption(
            "For a tag that you do not want to see: photos keep it, but it is left out of their"
            " tags and of lists. A search for it finds them."
        )
        if summary.never:
            _action("Let models give it", f"{PAGE}-never", tags.forbid, name, False)
            st.caption("Models do not give this tag.")
        else:
            _action("Never say this", f"{PAGE}-never", tags.forbid, name, True)
            st.caption(_explain_never(summary))


def _explain_never(summary: TagSummary) -> str:
    """What happens if models must not give the tag, and to how many photos."""
    by_model = And((Label(summary.name, exact=True), Condition("by", "=", "model")))
    count = open_library().count(format_query(by_model))
    photos = count_noun(count, "photo") if count else "No photo"
    verb = "loses" if count == 1 else "lose" if count else "would lose"
    return (
        "For a tag that is mostly wrong: models do not give it any more, now or at later imports."
        f" {photos} {verb} it; where you added or confirmed it, it stays."
    )


def _show_words(summary: TagSummary) -> None:
    """What the tag's photos show as well, and other words that find it."""
    with catch_errors():
        words = open_library().vocabulary
        entry = _find_entry(words, summary.name)
        with st.form(f"{PAGE}-words-{summary.name}", border=False):
            _multiselect(
                "Its photos also show", words.entries, entry.parents, "parents", summary.name
            )
            _multiselect("Other words for it", (), entry.synonyms, "synonyms", summary.name)
            st.form_submit_button(
                "Save",
                key=f"{PAGE}-go-words",
                on_click=run_action,
                args=(_set_words, summary.name, entry),
            )
        st.caption("A search for any of these words finds the tag.")


def _multiselect(
    title: str, options: Iterable[str], selected: Sequence[str], field: str, name: str
) -> None:
    every = list(dict.fromkeys([*selected, *options]))
    st.multiselect(
        title,
        every,
        default=list(selected),
        accept_new_options=True,
        key=f"{PAGE}-{field}-{name}",
    )


def _set_words(name: str, entry: Entry) -> None:
    parents, synonyms = (
        st.session_state[f"{PAGE}-{field}-{name}"] for field in ("parents", "synonyms")
    )
    if (set(parents), set(synonyms)) != (set(entry.parents), set(entry.synonyms)):
        _call(open_library().tags.set_words, name, parents, synonyms)


def _find_entry(words: Vocabulary, name: str) -> Entry:
    """The vocabulary's entry of a tag, without its own name; an empty one if it lacks the tag."""
    tag = next((tag for tag in words.lookup(name) if fold(name) in words.spellings(tag)), None)
    if tag is None:
        return Entry(name)
    entry = words.entries[tag]
    synonyms = tuple(synonym for synonym in entry.synonyms if fold(synonym) != fold(name))
    return replace(entry, synonyms=synonyms)


def _action(label: str, key: str, call: Callable[..., int], *args: object) -> None:
    """A button that edits the tag, with Undo afterwards."""
    st.button(label, key=key, on_click=run_action, args=(_call, call, *args))


def _call(call: Callable[..., int], *args: object) -> None:
    undo_line.record(PAGE, call(*args))
    _close_menus()


show()

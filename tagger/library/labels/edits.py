"""Edits of tags: rename, merge, hide, exclude from models, parents and synonyms for searches.

Each is an entry of the kind "tag" (see `library.history.entries`): it can be undone, and later
imports obey it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from tagger.errors import OptionError
from tagger.inference import vocabulary
from tagger.inference.vocabulary import Entry, Vocabulary
from tagger.library import derivation, operations
from tagger.library.database.database import Database
from tagger.library.database.schema import labels, tags
from tagger.library.history import entries
from tagger.library.labels import listing as tag_list
from tagger.library.labels.listing import TagSummary
from tagger.library.labels.names import label_ids, load_rules, validate_label
from tagger.library.records import Photo
from tagger.text import fold

Edits = dict[str, dict[str, Any]]  # entries by folded tag


class TagEdits:
    """The tags of a library, and edits of them; each returns its operation.

    Names are of tags as they are shown. Edits raise OptionError for a name that no tag can have,
    and where there is nothing to change.
    """

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home

    def list_all(self) -> list[TagSummary]:
        """Every tag that photos have or that a person hid, forbade or gave words to, by name."""
        with self._database.read_transaction() as connection:
            return tag_list.list_tags(connection)

    def find_covers(self, names: Iterable[str]) -> dict[str, Photo]:
        """A photo for each tag, by its name; none for tags without photos."""
        with self._database.read_transaction() as connection:
            return tag_list.find_covers(connection, names, self._home)

    def shown_names(self, names: Iterable[str]) -> dict[str, str | None]:
        """How photos show the tags that models call so; None for what is hidden or never given."""
        visible: dict[str, str | None] = {name: name for name in names}
        with self._database.read_transaction() as connection:
            ids = label_ids(connection, visible, add=False)
            rules = load_rules(connection)
            targets = {name: rules.resolve(label_id) for name, label_id in ids.items()}
            query = select(labels.c.id, labels.c.name).where(labels.c.id.in_(targets.values()))
            written = {row.id: row.name for row in connection.execute(query)}
        for name, target in targets.items():
            is_left_out = target in rules.hidden or rules.is_never(ids[name])
            visible[name] = None if is_left_out else written[target]
        return visible

    def rename(self, old: str, new: str) -> int:
        """Give a tag another name, or merge it into the tag that has that name.

        Later imports obey, and searches find it by both names.
        """
        old, new = validate_label(old), validate_label(new)
        key, target = fold(old), fold(new)

        def edit(connection: Connection, edits: Edits) -> str:
            name, entry = _name_of(connection, old), edits.get(key, {})
            if new == name:
                raise OptionError(f"the tag is already called {name}: choose another name")
            if key == target:
                edits[key] = entry | {"written": new, "was": entry.get("was", name)}
                return f"Renamed {name} to {new}"
            other = edits.get(target, {})
            if _leads_to(edits, target, key):
                edits[target] = _without_target(other)
            elif "shown_as" in other:
                new_name = other["shown_as"]
                raise OptionError(
                    f"{new} is called {new_name} now: give that name, or separate them"
                )
            is_merge = _is_used(connection, target)
            new_name = _name_of(connection, new)
            edits[key] = _without_target(entry) | {"shown_as": new_name}
            if not is_merge:
                return f"Renamed {name} to {new_name}"
            edits[key]["merged"] = True
            return f"Merged {name} into {new_name}"

        return self._edit(edit)

    def separate(self, name: str) -> int:
        """Give a tag that was renamed or merged its own name back."""
        key = fold(validate_label(name))

        def edit(connection: Connection, edits: Edits) -> str:
            entry = dict(edits.get(key, {}))
            if "shown_as" not in entry:
                raise OptionError(f"{name} is not merged into another tag")
            new_name = entry["shown_as"]
            edits[key] = _without_target(entry)
            return f"Separated {_name_of(connection, name)} from {new_name}"

        return self._edit(edit)

    def hide(self, name: str, hidden: bool = True) -> int:
        """Leave a tag out of photos' tags and of lists, or show it again.

        A search for it finds its photos.
        """
        return self._set_flag(name, "hidden", hidden, "Hid {}" if hidden else "Showed {} again")

    def forbid(self, name: str, never: bool = True) -> int:
        """Keep models from giving a tag, or let them again.

        Photos to which a person gave it keep it.
        """
        title = "Models never say {}" if never else "Let models give {} again"
        return self._set_flag(name, "never", never, title)

    def set_words(
        self, name: str, parents: Sequence[str] | None, synonyms: Sequence[str] | None
    ) -> int:
        """Say what a tag is a kind of, and other words for it; None: as the vocabulary has it.

        Raises VocabularyError for a tag that would be above itself.
        """
        key = fold(validate_label(name))
        words = {
            field: None if names is None else _unique(map(validate_label, names), key)
            for field, names in (("parents", parents), ("synonyms", synonyms))
        }

        def edit(connection: Connection, edits: Edits) -> str:
            entry = {**edits.get(key, {}), **words}
            edits[key] = {field: value for field, value in entry.items() if value is not None}
            load_vocabulary(self._home, edits)
            return f"Changed the words for {_name_of(connection, name)}"

        return self._edit(edit)

    def _set_flag(self, name: str, flag: str, value: bool, title: str) -> int:
        key = fold(validate_label(name))

        def edit(connection: Connection, edits: Edits) -> str:
            entry = {field: each for field, each in edits.get(key, {}).items() if field != flag}
            edits[key] = entry | {flag: True} if value else entry
            return title.format(_name_of(connection, name))

        return self._edit(edit)

    def _edit(self, edit: Callable[[Connection, Edits], str]) -> int:
        """Save the entries that `edit` changes in place, under the title that it returns."""
        with self._database.write_transaction() as connection:
            before: Edits = entries.load(connection, "tag")
            after = {key: dict(value) for key, value in before.items()}
            title = edit(connection, after)
            changed = {key: value for key, value in after.items() if value != before.get(key, {})}
            if not changed:
                raise OptionError("nothing to change")
            operation_id = operations.create(connection, "edit", title)
            with derivation.entries_changing(connection):
                for key, value in changed.items():
                    entries.save(connection, operation_id, "tag", key, value or None)
        derivation.refresh_stale_soon(self._database)
        return operation_id


def load_vocabulary(home: Path, edits: Mapping[str, Mapping[str, Any]]) -> Vocabulary:
    """The vocabulary of searches: built in, the library's own file, and what `edits` of tags say.

    A new name of a tag is another word for it. Raises VocabularyError.
    """
    base = vocabulary.load(home)
    rows: dict[str, Entry] = {}
    for key, edit in edits.items():
        existing = _find_entry(base, key)
        entry = existing or Entry(key)
        synonyms = tuple(edit.get("synonyms", entry.synonyms))
        new_name = edit.get("shown_as")
        if new_name and existing is not None and not base.lookup(new_name):
            synonyms = (*synonyms, new_name)
        parents = tuple(edit.get("parents", entry.parents))
        entry = replace(entry, parents=parents, synonyms=synonyms)
        if entry not in (existing, Entry(key)):
            rows[key] = entry
    for parent in {parent for entry in rows.values() for parent in entry.parents}:
        if fold(parent) not in rows and _find_entry(base, parent) is None:
            rows[fold(parent)] = Entry(parent)
    return vocabulary.load(home, tuple(rows.values())) if rows else base


def _find_entry(words: Vocabulary, name: str) -> Entry | None:
    """The vocabulary's entry of the tag of this name."""
    key = fold(name)
    tag = next((tag for tag in words.lookup(name) if fold(tag) == key), None)
    return None if tag is None else words.entries[tag]


def _name_of(connection: Connection, typed: str) -> str:
    """How a label is written; a new one is added as it was typed."""
    (label_id,) = label_ids(connection, [typed]).values()
    return str(connection.scalar(select(labels.c.name).where(labels.c.id == label_id)) or typed)


def _without_target(edit: Mapping[str, Any]) -> dict[str, Any]:
    """An edit of a tag without what it was renamed to or merged into."""
    return {field: edit[field] for field in edit if field not in ("shown_as", "merged")}


def _is_used(connection: Connection, key: str) -> bool:
    """Whether photos have this tag."""
    has_tag = select(tags.c.photo_id).join(labels, labels.c.id == tags.c.label_id)
    return connection.scalar(has_tag.where(labels.c.folded == key).limit(1)) is not None


def _leads_to(edits: Edits, start: str, end: str) -> bool:
    """Whether a tag is shown as another one, directly or by way of others."""
    passed = set()
    while start not in passed and (new_name := edits.get(start, {}).get("shown_as")):
        passed.add(start)
        start = fold(new_name)
        if start == end:
            return True
    return False


def _unique(names: Iterable[str], key: str) -> list[str]:
    """Names without repeats in another case, and without the tag's own."""
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(fold(name), name)
    by_key.pop(key, None)
    return list(by_key.values())

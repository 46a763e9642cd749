"""Undo: what it restores, what it leaves alone, and undoing an undo."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from sqlalchemy import select, text

from tagger.errors import OptionError
from tagger.jobs import worker
from tagger.jobs.requests import ImportUploadsRequest, RetagRequest, submit
from tagger.library import derivation
from tagger.library.database.schema import (
    entries,
    fields,
    labels,
    models,
    predictions,
    presences,
    verdicts,
)
from tagger.library.database.schema import photos as photos_table
from tagger.library.database.schema import tags as tags_table
from tagger.library.history.entries import Kind
from tagger.library.labels.names import refresh_labels
from tagger.library.library import Library
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw_collection, draw_png, import_folder
from tests.library.predictions import add_photos, predict


def test_an_undo_is_titled_after_its_operation(library: Library, pets: Tagger) -> None:
    first_id = library.add_photo("one.png", draw_png(1), pets).photo.id
    edit = library.edit_tags([first_id], add=["sea"])
    undone = library.undo(edit)
    assert library.operation(undone.operation_id).title == "Undid: Added sea to 1 photo"
    assert (library.operation(edit).undone_by, library.operation(edit).undoable) == (
        undone.operation_id,
        False,
    )
    again = library.undo(undone.operation_id)
    assert library.operation(again.operation_id).title == "Redid: Added sea to 1 photo"
    assert library.operation(edit).undone_by is None
    third = library.undo(again.operation_id)
    assert library.operation(third.operation_id).title == "Undid: Added sea to 1 photo"
    assert library.count("sea") == 0
    assert library.operation(edit).undone_by is not None


def test_undoing_an_import_deletes_the_photo_it_restored(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.png", draw_png(1), pets)
    library.edit_tags([first.photo.id], add=["sea"])
    library.delete([first.photo.id])
    again = library.add_photo("one.png", draw_png(1), pets)
    assert library.count("sea") == 1
    library.undo(again.operation_id or 0)
    assert library.count() == 0
    library.undo(library.operations(1)[0].id)
    assert library.count("sea") == 1


def test_an_undo_leaves_later_changes_alone(library: Library, pets: Tagger) -> None:
    first_id = library.add_photo("one.png", draw_png(1), pets).photo.id
    second_id = library.add_photo("two.png", draw_png(2), pets).photo.id
    first = library.edit_tags([first_id, second_id], add=["sea"])
    library.edit_tags([first_id], remove=["sea"])
    undone = library.undo(first)
    assert (undone.changed, undone.left_alone) == (1, 1)
    library.undo(undone.operation_id)
    assert [tag.label for tag in library.photo(second_id).tags] == ["sea"]
    library.undo(first)
    assert [tag.label for tag in library.photo(second_id).tags] == []
    assert [annotation.present for annotation in library.annotations(first_id)] == [False]


def test_an_undo_that_would_change_nothing_is_refused(library: Library, pets: Tagger) -> None:
    first_id = library.add_photo("one.png", draw_png(1), pets).photo.id
    first = library.edit_tags([first_id], add=["sea"])
    second = library.edit_tags([first_id], remove=["sea"])
    with pytest.raises(OptionError, match="nothing is left to undo"):
        library.undo(first)
    assert library.operation(first).undone_by is None
    assert library.operations()[0].id == second
    library.undo(second)
    library.undo(first)
    assert library.annotations(first_id) == []


def test_an_operation_that_cannot_be_undone_is_an_error(library: Library, pets: Tagger) -> None:
    added = library.add_photo("one.png", draw_png(1), pets)
    library.undo(added.operation_id or 0)
    with pytest.raises(OptionError, match="is undone already"):
        library.undo(added.operation_id or 0)
    with pytest.raises(OptionError, match="none of that number"):
        library.undo(4711)
    waiting = submit(library, ImportUploadsRequest([("a.png", io.BytesIO(draw_png(2)))], "pets"))
    with pytest.raises(OptionError, match="stop it first"):
        library.undo(waiting)


def test_every_operation_can_be_undone_and_redone(
    library: Library, tmp_path: Path, pets: Tagger
) -> None:
    imported = import_folder(library, draw_collection(tmp_path / "photos", 2)).id
    ids = [p.id for p in library.photos(sort="name")]

    def load_state() -> list[object]:
        rows = [(p.id, p.unknown, p.reviewed, p.tags) for p in library.photos(sort="name")]
        return [[(i, u, r, [t.label for t in tags]) for i, u, r, tags in rows]]

    steps = [load_state()]
    edited = library.edit_tags(ids[:3], add=["holiday", "sea"])
    steps.append(load_state())
    removed = library.edit_tags(ids[:2], remove=["sea"])
    steps.append(load_state())
    deleted = library.delete(ids[1:4])
    steps.append(load_state())
    assert library.count() == 3
    undo = library.undo(deleted)
    assert load_state() == steps[2]
    library.undo(undo.operation_id)
    assert load_state() == steps[3]
    assert library.operation(deleted).undone_by is None
    library.undo(deleted)
    library.undo(removed)
    assert load_state() == steps[1]
    library.undo(edited)
    assert load_state() == steps[0]
    library.undo(imported)
    assert library.count() == 0
    library.undo(library.operation(imported).undone_by or 0)
    assert load_state() == steps[0]


def check_histories(library: Library) -> None:
    """Each key has at most one current row, and the derived tables are up to date."""
    with library.database.write_transaction() as connection:
        for table, key in (
            (presences, "photo_id"),
            (f"{predictions} JOIN {models} ON models.id = model_id", "photo_id, models.name"),
            (verdicts, "photo_id, label_id"),
            (fields, "photo_id, field"),
            (entries, "kind, key"),
        ):
            repeats = f"""SELECT count(*) FROM (SELECT 1 FROM {table} WHERE ended_by IS NULL
                GROUP BY {key} HAVING count(*) > 1)"""
            assert connection.scalar(text(repeats)) == 0

        def load_derived() -> list[object]:
            return [
                sorted(map(tuple, connection.execute(select(table.c[*columns]))), key=str)
                for table, columns in (
                    (tags_table, ("photo_id", "label_id", "by_person", "run_id", "score")),
                    (photos_table, ("id", "unknown", "reviewed", "tag_count", "rating", "stale")),
                    (photos_table, ("id", "caption", "model_id", "confidence")),
                    (labels, ("id", "name", "shown_as", "hidden", "never")),
                )
            ]

        before = load_derived()
        derivation.refresh(connection, connection.scalars(select(photos_table.c.id)).all())
        refresh_labels(connection)
        assert load_derived() == before


@pytest.mark.parametrize("seed", range(12))
def test_undoing_newest_first_restores_every_earlier_state(
    library: Library, pets: Tagger, trained: TrainingResult, seed: int
) -> None:
    rng = random.Random(seed)
    taggers = {"pets": pets, str(trained.model): Tagger.load(trained.model)}

    def load_state() -> list[object]:
        return [
            (p.id, p.model, p.unknown, p.reviewed, [(t.label, t.by_person) for t in p.tags])
            for p in library.photos(sort="name")
        ]

    def apply_random_edit() -> int | None:
        existing = [p.id for p in library.photos()]
        chosen = rng.sample(existing, min(len(existing), 2))
        label = rng.choice(["a", "b", "disc"])
        kind = rng.choice(["import", "import", "add", "remove", "withdraw", "delete", "retag"])
        if kind == "import":
            number = rng.randrange(4)
            tagger = rng.choice(list(taggers.values()))
            return library.add_photo(f"{number}.png", draw_png(number), tagger).operation_id
        if not chosen:
            return None
        if kind == "retag":
            operation = submit(library, RetagRequest(model=rng.choice(list(taggers)), ids=chosen))
            worker.run(library, operation)
            return operation if "tagged" in library.operation(operation).counts else None
        if kind == "withdraw":
            labels = [v.label for v in library.annotations(chosen[0])]
            return library.withdraw_annotations(chosen[:1], labels[:1]) if labels else None
        if kind == "delete":
            return library.delete(chosen)
        change = {"add": [label]} if kind == "add" else {"remove": [label]}
        return library.edit_tags(chosen, **change)

    states, done = [load_state()], []
    while len(done) < 9:
        if (operation := apply_random_edit()) is not None:
            done.append(operation)
            states.append(load_state())
    undos = []
    for operation, before in zip(reversed(done), reversed(states[:-1]), strict=True):
        undos.append(library.undo(operation).operation_id)
        assert load_state() == before
        check_histories(library)
    for operation, after in zip(reversed(undos), states[1:], strict=True):
        library.undo(operation)
        assert load_state() == after
        check_histories(library)
    library.undo(done[-1])
    assert load_state() == states[-2]


EDITS = [
    *("predict", "predict", "add", "remove", "skip", "withdraw", "delete", "restore", "rate"),
    *("caption", "use", "also use", "off", "up", "rename", "merge", "hide", "never", "head"),
]
MODELS, LABELS = ("pets", "cifar10", "everyday"), ("a", "b", "c", "Straße")


class RandomEdits:
    """Edits of a few photos, with models that give them tags by chance."""

    def __init__(self, library: Library, seed: int) -> None:
        self.library, self.rng = library, random.Random(seed)
        self.ids = add_photos(library, 4)

    def apply(self) -> int | None:
        """Apply an edit; the operation, or None if there is nothing to do."""
        rng, library = self.rng, self.library
        kind, label, model = rng.choice(EDITS), rng.choice(LABELS), rng.choice(MODELS)
        chosen = rng.sample(library.find_ids(), min(library.count(), rng.randrange(1, 4)))
        match kind:
            case "use":
                return library.use_model(model)
            case "also use":
                return library.add_model(model)
            case "off" | "up" if model not in library.models_in_use()[1:]:
                return None
            case "off":
                return library.turn_off_model(model)
            case "up":
                return library.move_model_up(model)
            case "head":
                switch = rng.choice([False, True, None])
                return library.save_entry("head", label.casefold(), switch, "Switched a head")
            case "rename" | "merge" | "hide" | "never":
                return self._edit_tag(kind, label)
            case "restore":
                return library.add_photo(
                    "x.png", draw_png(rng.randrange(4)), Tagger.load("pets")
                ).operation_id
            case _ if not chosen:
                return None
            case "predict":
                scores = {
                    id: {each: rng.random() for each in rng.sample(LABELS, rng.randrange(3))}
                    for id in chosen
                }
                is_head = rng.random() < 0.3
                name = label if is_head else model
                return predict(
                    library, name, scores, "head" if is_head else "model", rng.randrange(3)
                )
            case "add" | "remove" | "skip":
                return library.edit_tags(chosen, **{kind: [label]})
            case "withdraw":
                return library.withdraw_annotations(chosen, [label])
            case "delete":
                return library.delete(chosen)
            case "rate":
                return library.rate(chosen, rng.randrange(6))
            case _:
                return library.set_caption(chosen[0], rng.choice(["", "one", "two"]))

    def _edit_tag(self, kind: str, label: str) -> int:
        key = label.casefold()
        entry = dict(self.library.entries("tag").get(key, {}))
        target = self.rng.choice(["a", "b", "other", "", ""])
        change = {
            "rename": {"shown_as": target},
            "merge": {"shown_as": target},
            "hide": {"hidden": not entry.get("hidden")},
            "never": {"never": not entry.get("never")},
        }
        entry |= change[kind]
        return self.library.save_entry("tag", key, entry, f"{kind} {label}")

    def load_state(self) -> list[object]:
        """All that a person can see."""
        library = self.library
        photos = [
            (
                *(p.id, p.model, p.unknown, p.reviewed, p.rating, p.caption),
                [(t.label, t.by_person, t.score, t.model) for t in p.tags],
                [(a.label, a.present) for a in library.annotations(p.id)],
                [(each.model, each.scores) for each in library.predictions(p.id)],
            )
            for p in library.photos(sort="rating")
        ]
        entry_kinds: tuple[Kind, ...] = ("models", "tag", "head")
        entry_values = [library.entries(kind) for kind in entry_kinds]
        counts = [library.count(query) for query in ("a", "b", "unknown", "untagged", "reviewed")]
        return [photos, entry_values, counts, library.models_in_use(), library.label_counts()]


@pytest.mark.parametrize("seed", range(6))
def test_edits_of_photos_models_and_tags_are_undone_and_redone(library: Library, seed: int) -> None:
    edits = RandomEdits(library, seed)
    states, done = [edits.load_state()], []
    while len(done) < 14:
        if (operation := edits.apply()) is not None:
            done.append(operation)
            states.append(edits.load_state())
            check_histories(library)
    undos = []
    for operation, before in zip(reversed(done), reversed(states[:-1]), strict=True):
        undos.append(library.undo(operation).operation_id)
        assert edits.load_state() == before
        check_histories(library)
    for operation, after in zip(reversed(undos), states[1:], strict=True):
        library.undo(operation)
        assert edits.load_state() == after
        check_histories(library)


@pytest.mark.parametrize("seed", range(4))
def test_undoing_in_any_order_keeps_the_histories_whole(library: Library, seed: int) -> None:
    edits = RandomEdits(library, 100 + seed)
    done: list[int] = []
    for _ in range(40):
        if done and edits.rng.random() < 0.5:
            operation = edits.rng.choice(done)
            before = edits.load_state()
            try:
                done.append(library.undo(operation).operation_id)
            except OptionError:  # undone already, or changed since
                assert edits.load_state() == before
        elif (new := edits.apply()) is not None:
            done.append(new)
        check_histories(library)

"""Nothing is lost: whatever people and jobs do to a library, in any order, is undone and redone.

To look for more than CI has time for:
EXAMPLES=200 STEPS=50 pytest --hypothesis-profile default tests/library/test_nothing_lost.py
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tagger.errors import OptionError, VocabularyError
from tagger.images import decode
from tagger.jobs import worker
from tagger.jobs.requests import (
    ImportFolderRequest,
    RetagRequest,
    submit,
    submit_changes,
    submit_embedding,
)
from tagger.library.duplicates.choices import Choice
from tagger.library.library import Library
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw, draw_png, draw_scene, import_folder, use_default_model
from tests.library.histories import check_histories, load_answers, load_state
from tests.library.predictions import predict

DISCS, SQUARES, SCENES = 7, 3, 3
LABELS = ("a", "A", "B", "Straße", "disc", "square", "dog", "STRASSE")
TAUGHT = ("ball game", "disc", "B")

labels = st.sampled_from(LABELS)
label_sets = st.lists(labels, max_size=2)
picks = st.lists(st.integers(0, 40), min_size=1, max_size=3)  # of the photos, by number
models = st.integers(0, 2)


class World:
    """A library of drawn photos to begin with, and the folder that they lie in."""

    def __init__(self, root: Path, trained: Path, worded: Path) -> None:
        self.models = ("pets", str(trained), str(worded))
        self.root, self.template = root, root / "template"
        self.folder = root / "Photos"
        self.pristine = root / "pristine"
        for number in range(DISCS):
            self._write(f"disc {number}.png", draw("disc", number))
        for number in range(SQUARES):
            self._write(f"sub/square {number}.png", draw("square", number))
        for number in range(SCENES):
            self._write(f"sub/scene {number}.png", draw_scene(number, 256))
        shutil.copytree(self.pristine, self.folder)
        library = Library.open(self.template)
        library.use_model(str(worded))
        import_folder(library, self.folder, model=str(worded))
        library.folders.add(str(self.folder))
        library.close()

    def _write(self, name: str, pixels: decode.Pixels) -> None:
        path = self.pristine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(decode.encode(pixels, "PNG"))

    def open_library(self) -> Library:
        """A copy of the library, with its photos as they were."""
        home = Path(tempfile.mkdtemp(dir=self.root)) / "library"
        shutil.copytree(self.template, home)
        shutil.rmtree(self.folder)
        shutil.copytree(self.pristine, self.folder)
        return Library.open(home)


class LibraryMachine(RuleBasedStateMachine):
    """Every action; undo and redo of the latest; undo of any, taken back at once."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.library = world.open_library()
        self.done: list[int] = []
        self.states = [load_state(self.library)]  # one more than `done`
        self.undone: list[tuple[int, int, dict[str, object]]] = []  # operation, undo, state after
        self.is_whole = True  # until a step fails

    def act(self, action: Callable[[], int | None]) -> None:
        """Carry out an action, which returns its operation or None; refused ones change nothing."""
        self.is_whole = False
        try:
            operation = action()
        except (OptionError, VocabularyError):
            operation = None
        state = load_state(self.library)
        if operation is None:
            assert state == self.states[-1]
            self.is_whole = True
            return
        assert self.library.operation(operation).status == "done"
        check_histories(self.library)
        self.done.append(operation)
        self.states.append(state)
        self.undone.clear()
        self.is_whole = True

    def run_job(self, job_id: int) -> int:
        """A job, which may change nothing that a person said."""
        before = load_answers(self.library)
        there = set(self.library.find_ids())
        worker.run(self.library, job_id)
        after = load_answers(self.library)
        for kind in ("tag", "search", "folder", "different"):
            assert after[kind] == before[kind]
        for kind in ("annotations", "fields"):
            rows: Any = after[kind]
            assert [row for row in rows if row[0] in there] == before[kind]
        self.embed()
        return job_id

    def embed(self) -> None:
        if (job_id := submit_embedding(self.library)) is not None:
            worker.run(self.library, job_id)

    def choose(self, picks: Sequence[int]) -> list[int]:
        ids = self.library.find_ids()
        return list(dict.fromkeys(ids[each % len(ids)] for each in picks)) if ids else []

    # What a person says of photos

    @rule(picks=picks, rating=st.integers(0, 5))
    def rate(self, picks: list[int], rating: int) -> None:
        self.act(lambda: self.library.rate(self.choose(picks), rating))

    @rule(pick=picks, text=st.sampled_from(["", "Rain", "Straße"]))
    def write_caption(self, pick: list[int], text: str) -> None:
        self.act(lambda: self.library.set_caption((self.choose(pick) or [0])[0], text))

    @rule(picks=picks, add=label_sets, remove=label_sets, skip=label_sets)
    def answer(self, picks: list[int], add: list[str], remove: list[str], skip: list[str]) -> None:
        self.act(lambda: self.library.edit_tags(self.choose(picks), add, remove, skip))

    @rule(picks=picks)
    def confirm(self, picks: list[int]) -> None:
        self.act(lambda: self.library.confirm_tags(self.choose(picks)))

    @rule(picks=picks, names=label_sets)
    def withdraw(self, picks: list[int], names: list[str]) -> None:
        self.act(lambda: self.library.withdraw_annotations(self.choose(picks), names or ["a"]))

    @rule(picks=picks)
    def delete(self, picks: list[int]) -> None:
        self.act(lambda: self.library.delete(self.choose(picks)))

    @rule(picks=picks)
    def restore(self, picks: list[int]) -> None:
        """Some photos of the trash come back."""
        ids = self.library.trash.find_ids()
        chosen = [ids[each % len(ids)] for each in picks if ids]

        def bring_back() -> int:
            operation = self.library.trash.restore(chosen)
            self.embed()
            return operation

        self.act(bring_back)

    @rule(picks=picks, kept=st.integers(0, 2))
    def choose_copies(self, picks: list[int], kept: int) -> None:
        ids = self.choose(picks)
        choice = Choice(tuple(ids[:kept]), tuple(ids[kept:]))
        self.act(lambda: self.library.duplicates.choose([choice]))

    # Tags

    @rule(old=labels, new=labels)
    def rename(self, old: str, new: str) -> None:
        self.act(lambda: self.library.tags.rename(old, new))

    @rule(name=labels)
    def separate(self, name: str) -> None:
        self.act(lambda: self.library.tags.separate(name))

    @rule(name=labels, on=st.booleans(), field=st.sampled_from(["hide", "forbid"]))
    def set_flag(self, name: str, on: bool, field: str) -> None:
        self.act(lambda: int(getattr(self.library.tags, field)(name, on)))

    @rule(name=labels, parents=st.none() | label_sets, synonyms=st.none() | label_sets)
    def set_words(self, name: str, parents: list[str] | None, synonyms: list[str] | None) -> None:
        self.act(lambda: self.library.tags.set_words(name, parents, synonyms))

    # Models and heads

    @rule(
        number=models,
        action=st.sampled_from(["use_model", "add_model", "move_model_up", "turn_off_model"]),
    )
    def change_models(self, number: int, action: str) -> None:
        def change() -> int | None:
            operation: int | None = getattr(self.library, action)(self.world.models[number])
            self.embed()
            return operation

        self.act(change)

    @rule(number=models, picks=picks)
    def tag_again(self, number: int, picks: list[int]) -> None:
        def tag() -> int:
            request = RetagRequest(model=self.world.models[number], ids=self.choose(picks))
            return self.run_job(submit(self.library, request))

        self.act(tag)

    @rule(picks=picks, version=st.integers(0, 3), seed=st.integers(0, 99), is_head=st.booleans())
    def tag_by_another_version(
        self, picks: list[int], version: int, seed: int, is_head: bool
    ) -> None:
        """What retrained models and heads say, of any photo and tag."""
        numbers = random.Random(seed)
        scores = {
            id: {each: numbers.random() for each in numbers.sample(LABELS, numbers.randrange(3))}
            for id in self.choose(picks)
        }
        name = numbers.choice(TAUGHT).casefold() if is_head else Path(self.world.models[1]).stem
        kind = "head" if is_head else "model"
        self.act(lambda: predict(self.library, name, scores, kind, version) if scores else None)

    @rule(tag=st.sampled_from(TAUGHT), count=st.integers(0, DISCS), wrong=st.integers(0, SQUARES))
    def teach(self, tag: str, count: int, wrong: int) -> None:
        discs, squares = (self.library.find_ids(f"name:{each}*") for each in ("disc", "square"))
        self.act(lambda: self.library.teaching.answer(tag, discs[:count], squares[:wrong]))

    @rule(tag=st.sampled_from(TAUGHT), on=st.booleans())
    def switch_head(self, tag: str, on: bool) -> None:
        self.act(lambda: self.library.teaching.switch(tag, on))

    @rule(tag=st.sampled_from(TAUGHT))
    def tag_library(self, tag: str) -> None:
        self.act(lambda: self.library.teaching.tag_library(tag))

    # Imports, folders and searches

    @rule(number=st.integers(0, DISCS + 1), models=st.lists(models, min_size=1, max_size=2))
    def upload(self, number: int, models: list[int]) -> None:
        """A new photo, or one that the library has, or had."""
        taggers = [Tagger.load(self.world.models[each]) for each in dict.fromkeys(models)]
        self.act(
            lambda: self.library.add_photo(f"{number}.png", draw_png(number), taggers).operation_id
        )

    @rule(copy=st.booleans())
    def import_folder(self, copy: bool) -> None:
        request = ImportFolderRequest(str(self.world.folder), copy)
        self.act(lambda: self.run_job(submit(self.library, request)))

    @rule(remove_missing=st.booleans())
    def import_changes(self, remove_missing: bool) -> None:
        def update() -> int | None:
            for changes in self.library.folders.find_changes():
                job_id = submit_changes(self.library, changes, remove_missing=remove_missing)
                return self.run_job(job_id)
            return None

        self.act(update)

    @rule(inner=st.booleans(), copy=st.booleans())
    def watch(self, inner: bool, copy: bool) -> None:
        folder = self.world.folder / "sub" if inner else self.world.folder
        self.act(lambda: self.library.folders.add(str(folder), copy))

    @rule(inner=st.booleans())
    def stop_watching(self, inner: bool) -> None:
        folder = self.world.folder / "sub" if inner else self.world.folder
        self.act(lambda: self.library.folders.remove(str(folder.resolve())))

    @rule(name=st.sampled_from(["one", "Zwei"]), query=st.none() | labels)
    def save_search(self, name: str, query: str | None) -> None:
        value = None if query is None else {"query": query}
        self.act(lambda: self.library.save_entry("search", name, value, "Saved search"))

    @rule(
        number=st.integers(0, DISCS + SQUARES + SCENES),
        change=st.sampled_from(["edit", "replace", "move", "remove", "restore"]),
    )
    def change_file(self, number: int, change: str) -> None:
        """What happens to files outside of the library."""
        files = sorted(self.world.folder.rglob("*.png"))
        if change == "restore" or not files:
            shutil.copytree(self.world.pristine, self.world.folder, dirs_exist_ok=True)
            return
        path = files[number % len(files)]
        match change:
            case "edit":
                pixels = decode.read(path.read_bytes())
                path.write_bytes(decode.encode(cv2.convertScaleAbs(pixels, alpha=0.8), "PNG"))
            case "replace":
                path.write_bytes(draw_png(100 + number))
            case "move":
                path.rename(path.with_name(f"moved {path.name}"))
            case "remove":
                path.unlink()

    # Undo

    @precondition(lambda self: self.done)
    @rule()
    def undo(self) -> None:
        operation, after = self.done.pop(), self.states.pop()
        self.is_whole = False
        undo = self.library.undo(operation).operation_id
        assert load_state(self.library) == self.states[-1]
        check_histories(self.library)
        self.is_whole = True
        self.undone.append((operation, undo, after))

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self) -> None:
        operation, undo, after = self.undone.pop()
        self.is_whole = False
        self.library.undo(undo)
        assert load_state(self.library) == after
        check_histories(self.library)
        self.is_whole = True
        self.done.append(operation)
        self.states.append(after)

    @precondition(lambda self: self.done)
    @rule(number=st.integers(0, 40))
    def undo_any_and_take_it_back(self, number: int) -> None:
        before = load_state(self.library)
        with suppress(OptionError):  # nothing is left to undo
            undo = self.library.undo(self.done[number % len(self.done)]).operation_id
            check_histories(self.library)
            self.library.undo(undo)
            check_histories(self.library)
        assert load_state(self.library) == before

    def teardown(self) -> None:
        try:
            while self.is_whole and self.done:
                self.undo()
            while self.is_whole and self.undone:
                self.redo()
        finally:
            self.library.close()
            shutil.rmtree(self.library.home.parent)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, trained: TrainingResult, worded: Path
) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        use_default_model(patch, worded)
        yield World(tmp_path_factory.mktemp("world"), trained.model, worded)


def test_everything_is_undone_and_redone(world: World) -> None:
    run_state_machine_as_test(
        lambda: LibraryMachine(world),
        settings=settings(
            max_examples=int(os.environ.get("EXAMPLES", "12")),
            stateful_step_count=int(os.environ.get("STEPS", "25")),
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""What a person said of a tag, photo by photo: what heads learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from tagger.errors import OptionError
from tagger.library.database.schema import labels, photos, predictions, tags, verdicts
from tagger.library.database.schema import models as model_table
from tagger.library.derivation import HEAD
from tagger.library.history import entries
from tagger.library.labels.names import find_aliases, label_ids, load_rules, validate_label
from tagger.text import fold


@dataclass(frozen=True)
class TagAnswers:
    """A tag as it is shown, and the photos to which a person gave it, did not, or did not say.

    `keys` are those of its head: one, or the more the more tags with heads were merged into it; the
    first is in use. `label_ids` are those of the tag and of those merged into it.
    """

    tag: str
    keys: tuple[str, ...]
    label_ids: tuple[int, ...]
    yes: tuple[int, ...]
    no: tuple[int, ...]
    skipped: tuple[int, ...]

    @property
    def key(self) -> str:
        """The key of its head."""
        return self.keys[0]

    @property
    def every(self) -> tuple[int, ...]:
        """The photos that need not be asked about again."""
        return *self.yes, *self.no, *self.skipped


def load_answers(connection: Connection, name: str) -> TagAnswers:
    """The answers about a tag by any of its names; without deleted photos. It need not exist.

    Where several tags were merged, a yes counts. Raises OptionError for a name that no tag can
    have.
    """
    return load_answers_of(connection, validate_label(name))


def load_answers_of(connection: Connection, name: str) -> TagAnswers:
    """The same for a name that is valid, or for its key, which may be longer."""
    typed = label_ids(connection, [name], add=False).get(name)
    if typed is None:
        return TagAnswers(name, (fold(name),), (), (), (), ())
    label_id = load_rules(connection).resolve(typed)
    ids = label_id, *find_aliases(connection, [label_id])
    written = connection.execute(select(labels.c.name).where(labels.c.id == label_id)).scalar_one()
    query = (
        select(verdicts.c.photo_id, verdicts.c.present)
        .join(photos, photos.c.id == verdicts.c.photo_id)
        .where(
            verdicts.c.label_id.in_(ids),
            verdicts.c.ended_by.is_(None),
            photos.c.deleted_by.is_(None),
        )
        .order_by(verdicts.c.photo_id)
    )
    answers: dict[int, bool | None] = {}
    for photo_id, present in connection.execute(query):
        earlier = answers.get(photo_id)
        answers[photo_id] = present if earlier is None else earlier or bool(present)
    yes, no, skipped = (
        tuple(photo_id for photo_id, answer in answers.items() if answer is kind)
        for kind in (True, False, None)
    )
    keys = find_keys(connection).get(label_id, [])
    own = fold(written)
    keys = sorted(keys, key=lambda key: key != own) or [own]
    return TagAnswers(written, tuple(keys), ids, yes, no, skipped)


def find_added_tags(connection: Connection, operation_id: int) -> list[str]:
    """The tags that an operation gave to photos for a person, as they are written now."""
    rules = load_rules(connection)
    query = (
        select(verdicts.c.label_id)
        .where(verdicts.c.run_id == operation_id, verdicts.c.present, verdicts.c.ended_by.is_(None))
        .distinct()
    )
    ids = {rules.resolve(label_id) for label_id in connection.scalars(query)}
    names = select(labels.c.name).where(labels.c.id.in_(ids)).order_by(labels.c.folded)
    return list(connection.scalars(names))


def find_keys(connection: Connection) -> dict[int, list[str]]:
    """The keys of the entries of heads, by the label that each is shown as."""
    keys = list(entries.load(connection, "head"))
    rules = load_rules(connection)
    ids = label_ids(connection, keys, add=False)
    by_label: dict[int, list[str]] = defaultdict(list)
    for key in keys:
        if key in ids:
            by_label[rules.resolve(ids[key])].append(key)
    return dict(by_label)


def load_all_answers(connection: Connection) -> dict[int, tuple[list[str], list[str]]]:
    """The tags that a person said each photo has, and has not, by the photo's id."""
    rules = load_rules(connection)
    rows = connection.execute(select(labels.c.id, labels.c.name))
    names = {row.id: row.name for row in rows}
    query = (
        select(verdicts.c.photo_id, verdicts.c.label_id, verdicts.c.present)
        .join(photos, photos.c.id == verdicts.c.photo_id)
        .where(
            verdicts.c.present.is_not(None),
            verdicts.c.ended_by.is_(None),
            photos.c.deleted_by.is_(None),
        )
        .order_by(verdicts.c.photo_id, verdicts.c.id)
    )
    by_photo: dict[int, dict[str, bool]] = defaultdict(dict)
    for photo_id, label_id, present in connection.execute(query):
        name = names[rules.resolve(label_id)]
        by_photo[photo_id][name] = by_photo[photo_id].get(name, False) or present
    return {
        photo_id: (
            [name for name, present in answers.items() if present],
            [name for name, present in answers.items() if not present],
        )
        for photo_id, answers in by_photo.items()
    }


@dataclass(frozen=True)
class TaughtTag:
    """A tag that a person gave to photos, or that has a head.

    `examples` and `counterexamples` are the numbers of a person's answers. `is_on` says whether its
    head tags new photos, `head_tags` how many tags show that the head gave. `by_models`: a model
    in use gives the tag.
    """

    tag: str
    examples: int
    counterexamples: int
    is_on: bool
    head_tags: int
    by_models: bool


def list_taught(connection: Connection, model_labels: frozenset[str]) -> list[TaughtTag]:
    """Every such tag, those with most examples first.

    `model_labels` are the folded labels of the models in use.
    """
    rules = load_rules(connection)
    counts: dict[int, dict[bool, int]] = defaultdict(dict)
    answered = (
        select(verdicts.c.label_id, verdicts.c.present, func.count())
        .join(photos, photos.c.id == verdicts.c.photo_id)
        .where(
            verdicts.c.present.is_not(None),
            verdicts.c.ended_by.is_(None),
            photos.c.deleted_by.is_(None),
        )
        .group_by(verdicts.c.label_id, verdicts.c.present)
    )
    for label_id, present, count in connection.execute(answered):
        of_label = counts[rules.resolve(label_id)]
        of_label[present] = of_label.get(present, 0) + count
    by_head = _count_head_tags(connection)
    heads, keys = entries.load(connection, "head"), find_keys(connection)
    every = {label_id for label_id, of_label in counts.items() if of_label.get(True)}
    every |= keys.keys() | by_head.keys()
    rows = connection.execute(select(labels.c.id, labels.c.name, labels.c.folded)).all()
    taught = [
        TaughtTag(
            tag=row.name,
            examples=counts[row.id].get(True, 0),
            counterexamples=counts[row.id].get(False, 0),
            is_on=any(heads[key] for key in keys.get(row.id, ())),
            head_tags=by_head.get(row.id, 0),
            by_models=row.folded in model_labels,
        )
        for row in rows
        if row.id in every
    ]
    return sorted(taught, key=lambda each: (-each.examples, fold(each.tag)))


def _count_head_tags(connection: Connection) -> Mapping[int, int]:
    """The number of tags that heads gave, by label: those of the photos that they look at."""
    heads = connection.scalars(select(model_table.c.id).where(model_table.c.kind == HEAD)).all()
    query = (
        select(tags.c.label_id, func.count())
        .select_from(predictions)
        .join(
            tags,
            (tags.c.photo_id == predictions.c.photo_id)
            & (tags.c.model_id == predictions.c.model_id),
        )
        .where(
            predictions.c.model_id.in_(heads), predictions.c.ended_by.is_(None), ~tags.c.by_person
        )
        .group_by(tags.c.label_id)
    )
    counts: dict[int, int] = {}
    for label_id, count in connection.execute(query):
        counts[label_id] = count
    return counts


def find_tagged_by_head(connection: Connection, keys: Iterable[str]) -> dict[int, list[int]]:
    """The photos with a current prediction by the heads of these keys, by head, ascending."""
    query = (
        select(predictions.c.model_id, predictions.c.photo_id)
        .join(model_table, model_table.c.id == predictions.c.model_id)
        .where(
            model_table.c.kind == HEAD,
            model_table.c.name.in_(list(keys)),
            predictions.c.ended_by.is_(None),
        )
        .order_by(predictions.c.photo_id)
    )
    by_head: dict[int, list[int]] = defaultdict(list)
    for model_id, photo_id in connection.execute(query):
        by_head[model_id].append(photo_id)
    return dict(by_head)


def require_examples(answers: TagAnswers, count: int) -> None:
    """Raises OptionError where a tag has fewer examples than are needed."""
    if len(answers.yes) < count:
        raise OptionError(
            f"{answers.tag}: {len(answers.yes)} of the {count} photos that are needed have it; add"
            " it to more"
        )

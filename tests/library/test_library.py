"""The library: adding a photo, the active model, similar photos, review and statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.errors import ImageError, LibraryError, ModelError, QueryError
from tagger.images import decode
from tagger.library import derivation
from tagger.library.database.schema import photos
from tagger.library.library import Library
from tagger.library.photos import mark_missing
from tagger.tagger import Tagger
from tagger.training.trainer import TrainingResult
from tests.conftest import draw_png, import_folder


def test_a_prediction_is_stored_with_its_model(library: Library, pets: Tagger) -> None:
    photo = library.add_photo("disc.png", draw_png(1), pets).photo
    prediction = library.prediction(photo.id)
    assert prediction is not None
    assert (prediction.model, prediction.model_sha256) == ("pets", pets.sha256)
    direct = pets.tag(draw_png(1))
    assert prediction.label == direct.label
    assert prediction.confidence == pytest.approx(direct.confidence, abs=1e-6)
    assert prediction.reason == direct.reason
    assert [label for label, _ in prediction.scores] == [score.label for score in direct.scores]


def test_each_change_of_what_is_shown_has_another_version(library: Library, pets: Tagger) -> None:
    versions = [library.version()]

    def check(*_: object) -> None:
        versions.append(library.version())
        assert versions[-1] not in versions[:-1]
        assert library.version() == versions[-1]

    photo_id = library.add_photo("disc.png", draw_png(1), pets).photo.id
    check()
    check(library.edit_tags([photo_id], add=["Disc"]))
    check(library.rate([photo_id], 5))
    check(library.set_caption(photo_id, "A disc"))
    check(library.tags.rename("Disc", "disc"))
    check(library.tags.set_words("disc", None, ["round"]))
    check(deleted := library.delete([photo_id]))
    check(library.undo(deleted))
    with library.database.write_transaction() as connection:  # as an import does that ends
        mark_missing(connection, [photo_id])
    check()
    with library.database.write_transaction() as connection:
        connection.execute(photos.update().values(stale=True))
    check(derivation.refresh_stale(library.database))
    assert library.count("disc") == library.count("round") == 1
    assert library.version() == versions[-1]


def test_a_photo_of_a_cat_is_tagged_cat(library: Library, pets: Tagger, data: Path) -> None:
    cat = next(iter(sorted((data / "pets" / "val" / "cat").iterdir())))
    photo = library.add_photo(cat.name, cat.read_bytes(), pets).photo
    (tag,) = photo.tags
    assert (tag.label, tag.by_person, tag.model) == ("cat", False, "pets")
    assert tag.model_sha256 == pets.sha256
    assert tag.threshold == pets.threshold("cat")
    assert tag.score is not None
    assert tag.score >= tag.threshold
    assert not photo.unknown


def test_adding_a_photo_twice_returns_the_first(library: Library, pets: Tagger) -> None:
    first = library.add_photo("one.png", draw_png(1), pets)
    second = library.add_photo("two.png", draw_png(1), pets)
    assert not first.duplicate
    assert second.duplicate
    assert second.photo.id == first.photo.id
    assert second.photo.name == "one.png"
    assert second.operation_id is None
    assert library.find_by_digest(first.photo.sha256) == first.photo
    library.delete([first.photo.id])
    assert library.find_by_digest(first.photo.sha256) is None
    assert library.find_by_digest("0" * 64) is None


@pytest.mark.parametrize("data", [b"", b"no photo", draw_png(1)[:100]])
def test_adding_a_broken_photo_is_an_error(library: Library, pets: Tagger, data: bytes) -> None:
    with pytest.raises(ImageError, match=r"^broken\.png: "):
        library.add_photo("broken.png", data, pets)
    assert library.count() == 0
    assert library.operations() == []


def test_a_missing_thumbnail_is_made_again(library: Library, pets: Tagger) -> None:
    photo = library.add_photo("big.png", draw_png(1, side=900), pets).photo
    path = library.storage.thumbnail_path(photo.sha256)
    before = library.read_thumbnail(photo)
    assert max(decode.read(before).shape) <= 320
    path.unlink()
    assert max(decode.read(library.read_thumbnail(photo)).shape) <= 320
    assert path.is_file()
    path.unlink()
    photo.path.unlink()
    assert decode.read(library.read_thumbnail(photo)).std() == 0


def test_the_active_model_is_stored(library: Library, trained: TrainingResult) -> None:
    assert library.active_model() in ("pets", "image_tagger")  # the default of these tests
    library.use_model(str(trained.model))
    again = Library.open(library.home)
    assert again.active_model() == str(trained.model)
    again.close()
    with pytest.raises(ModelError):
        library.use_model("nosuch")
    assert library.active_model() == str(trained.model)


def test_a_home_that_is_not_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LibraryError, match="no folder for a library"):
        Library.open(tmp_path / "file" / "library")


def test_similar_photos_are_ordered_by_similarity(
    library: Library, shapes: Path, pets: Tagger
) -> None:
    import_folder(library, shapes)
    for photo in library.search(sort="name", limit=6).photos:
        similar = library.find_similar_to(photo, 5)
        assert len(similar) == 5
        assert photo.id not in [other.id for other, _ in similar]
        similarities = [similarity for _, similarity in similar]
        assert similarities == sorted(similarities, reverse=True)
        ((_, embedding),) = pets.tag_with_embeddings([photo.path])
        itself, similarity = library.find_similar(embedding, pets.space, 1)[0]
        assert itself.id == photo.id
        assert similarity == pytest.approx(1, abs=0.01)
    library.delete([other.id for other, _ in similar])
    assert not {o.id for o, _ in similar} & {o.id for o, _ in library.find_similar_to(photo, 5)}
    assert library.find_similar(embedding, "0" * 64) == []


def test_statistics_count_photos_by_state_label_and_model(
    library: Library, shapes: Path, trained: TrainingResult
) -> None:
    empty = library.statistics()
    assert (empty.photos, empty.by_label, sum(empty.confidence)) == (0, (), 0)
    import_folder(library, shapes, model=str(trained.model))
    ids = [p.id for p in library.photos()][:7]
    library.edit_tags(ids[:3], add=["mine"])
    library.delete(ids[3:])
    counts = library.statistics()
    assert (counts.photos, counts.deleted, counts.reviewed) == (116, 4, 3)
    assert counts.photos == counts.tagged + counts.untagged
    assert dict(counts.by_label)["mine"] == 3
    assert sum(counts.confidence) == 116
    assert counts.by_model == (("shapes", 116),)
    assert sum(count for _, count in counts.added) == 116


@pytest.mark.parametrize("query", ["a AND", "colour:red", "a\x00", '"', "x" * 1001])
def test_an_invalid_query_is_an_error_everywhere(library: Library, query: str) -> None:
    searches = (library.search, library.count, library.find_ids, library.label_counts)
    for search in (*searches, library.explain, library.suggest_tags):
        with pytest.raises(QueryError):
            search(query)

"""The vocabulary: its table, looking up words, and a person's own rows."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tagger.errors import VocabularyError
from tagger.inference import registry, vocabulary
from tagger.inference.vocabulary import Vocabulary
from tagger.models import imagenet, keras_cache
from tagger.paths import MODELS

# The categories of COCO.
COCO = """
person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant stop_sign
parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack umbrella
handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard
surfboard tennis_racket bottle wine_glass cup fork knife spoon bowl banana apple sandwich orange
broccoli carrot hot_dog pizza donut cake chair couch potted_plant bed dining_table toilet tv laptop
mouse remote keyboard cell_phone microwave oven toaster sink refrigerator book clock vase scissors
teddy_bear hair_drier toothbrush
"""


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return vocabulary.load()


@pytest.fixture(scope="module")
def imagenet_names() -> tuple[str, ...]:
    file = keras_cache.cached_path(imagenet.NAMES_FILE)
    if not file.is_file():
        pytest.skip(f"needs ImageNet's class names: {file}")
    return imagenet.class_names(file)


def above(words: Vocabulary, name: str) -> list[str]:
    """The tags that a word means, and all above them."""
    return [tag for each in words.lookup(name) for tag in (each, *words.ancestors(each))]


# The table


def test_names_are_lower_case_words_without_repeats(
    words: Vocabulary, imagenet_names: tuple[str, ...]
) -> None:
    for tag, entry in words.entries.items():
        assert tag == tag.lower() or tag in imagenet_names
        names = (tag, *entry.synonyms)
        assert len({name.casefold().replace("-", " ") for name in names}) == len(names), tag
        assert all(name.isprintable() and name == " ".join(name.split()) for name in names), tag


def test_no_synonym_follows_by_rule(words: Vocabulary) -> None:
    for entry in words.entries.values():
        plurals = {f"{name}s" for name in (entry.tag, *entry.synonyms)}
        assert not plurals & set(entry.synonyms), entry.tag


def test_no_tag_is_another_ones_plural(words: Vocabulary) -> None:
    tags = set(words.entries)
    assert not {tag for tag in tags if {f"{tag}s", f"{tag}es"} & tags}


def test_a_synonym_that_is_a_tag_is_not_above_or_below(words: Vocabulary) -> None:
    for tag, entry in words.entries.items():
        for synonym in words.entries.keys() & set(entry.synonyms):
            assert synonym not in words.ancestors(tag) and tag not in words.ancestors(synonym), tag


def test_every_label_of_the_bundled_models_is_known(words: Vocabulary) -> None:
    for model in registry.BUNDLED:
        card = json.loads((MODELS / f"{model}.json").read_text(encoding="utf-8"))
        assert not [label for label in card["labels"] if not words.lookup(label)]


def test_every_category_of_coco_is_known(words: Vocabulary) -> None:
    assert len(COCO.split()) == 80
    assert not [name for name in COCO.split() if not words.lookup(name)]


def test_every_class_of_imagenet_is_below_a_plain_tag(
    words: Vocabulary, imagenet_names: tuple[str, ...]
) -> None:
    tops = {name for name in imagenet_names if not any(above(words, name)[1:])}
    plain = "balloon cliff mask mushroom parachute restaurant stage swing traffic_light"
    plain += " umbrella vase"
    synonyms = "alp bubble washbasin"
    web = "spider_web"  # it often shows no spider
    assert tops == {name.replace("_", " ") for name in f"{plain} {synonyms} {web}".split()}
    assert all(words.lookup(name) for name in imagenet_names)


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("golden retriever", ["dog", "animal"]),
        ("Granny Smith", ["apple", "fruit", "food"]),
        ("airliner", ["airplane", "aircraft", "vehicle"]),
        ("kite", ["toy"]),
        ("crane (bird)", ["bird", "animal"]),
        ("crane (machine)", ["machine"]),
        ("jay", ["bird"]),
        ("nail", ["hardware"]),
        ("drumstick", ["musical instrument"]),
        ("Madagascar cat", ["lemur", "animal"]),
        ("Angora", ["rabbit"]),
        ("pirate", ["ship", "vehicle"]),
        ("groom", ["person", "wedding"]),
    ],
)
def test_a_kind_is_below_what_people_call_it(words: Vocabulary, name: str, tags: list[str]) -> None:
    assert set(tags) <= set(above(words, name))


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("kite", "bird"),
        ("mouse", "animal"),
        ("Madagascar cat", "cat"),
        ("hot dog", "dog"),
        ("sea lion", "wild cat"),
        ("football", "soccer"),
        ("plane", "airplane"),  # ImageNet's is a carpenter's
        ("glasses", "wine glass"),
        ("lion", "cat"),
        ("toy terrier", "toy"),
    ],
)
def test_a_word_does_not_find_what_it_does_not_mean(
    words: Vocabulary, label: str, word: str
) -> None:
    assert label.casefold() not in words.names(word)


# Looking up words


@pytest.mark.parametrize(
    ("word", "tags"),
    [
        ("dog", ("dog",)),
        ("DOGS", ("dog",)),
        ("people", ("person",)),
        ("Men", ("man",)),
        ("women", ("woman",)),
        ("children", ("child",)),
        ("kids", ("child",)),
        ("policemen", ("police officer",)),
        ("geese", ("goose",)),
        ("wolves", ("wolf",)),
        ("knives", ("knife",)),
        ("butterflies", ("butterfly",)),
        ("benches", ("bench",)),
        ("leaf", ("leaves",)),
        ("leaves", ("leaves",)),
        ("trees", ("tree",)),
        ("mountains", ("mountain",)),
        ("shoe", ("shoes",)),
        ("longsleeve", ("long-sleeved shirt",)),
        ("outwear", ("jacket",)),
        ("T SHIRTS", ("t-shirt",)),
        ("golden_retriever", ("golden retriever",)),
        ("seaside", ("sea", "beach")),
        ("football", ("football", "soccer")),
        ("crane", ("crane (bird)", "crane (machine)")),
        ("mice", ("mouse (animal)", "mouse")),
        ("glasses", ("glasses",)),
        ("french horn", ("french horn",)),
        ("French horn", ("french horn",)),
        ("jack-o’-lantern", ("jack-o'-lantern",)),
        ("cafe\u0301", ("restaurant",)),
        ("", ()),
        ("-", ()),
        ("lighthousekeeper", ()),
    ],
)
def test_a_word_means_tags(words: Vocabulary, word: str, tags: tuple[str, ...]) -> None:
    assert words.lookup(word) == tags


def test_tags_above_and_below_are_nearest_first(words: Vocabulary) -> None:
    assert words.ancestors("golden retriever") == ("retriever", "dog", "animal", "pet")
    assert words.ancestors("animal") == ()
    names = words.names("animal")
    assert names.index("dog") < names.index("terrier") < names.index("toy terrier")


def test_names_are_the_spellings_of_everything_below(words: Vocabulary) -> None:
    names = words.names("Person")
    assert names[0] == "person"
    assert {"people", "man", "men", "kids", "woman", "baby"} <= set(names)
    assert {"golden retriever", "golden_retriever", "golden-retriever", "golden retrievers"} < set(
        words.names("animals")
    )
    assert words.names("Unheard of") == ("unheard of",)
    assert len(set(names)) == len(names)


# A person's own rows


def extend(folder: Path, *rows: str) -> Vocabulary:
    (folder / "vocabulary.csv").write_text("\n".join(("tag,parents,synonyms", *rows)))
    return vocabulary.load(folder)


def test_a_persons_rows_extend_the_built_in_ones(tmp_path: Path, words: Vocabulary) -> None:
    assert vocabulary.load(tmp_path).entries == words.entries
    own = extend(
        tmp_path, "Rex,dog,our dog;Rexie", "garden gnome,,", "", '"gnome, red",garden gnome,'
    )
    assert own.ancestors("Rex") == ("dog", "animal", "pet")
    assert own.lookup("OUR DOGS") == own.lookup("rexie") == ("Rex",)
    assert "rex" in own.names("animal")
    assert own.ancestors("gnome, red") == ("garden gnome",)
    assert words.lookup("Rex") == ()


def test_a_persons_row_replaces_the_built_in_one(tmp_path: Path) -> None:
    own = extend(tmp_path, "Kite,bird of prey,", "puppy,dog,", "family,,Smiths", "our car,car,van")
    assert own.ancestors("Kite") == ("bird of prey", "bird", "animal")
    assert own.lookup("kites") == ("Kite",)
    assert "kite" not in own.names("toy")
    # A tag of one's own is no longer a synonym of another; a synonym may mean both.
    assert own.lookup("puppies") == ("puppy",)
    assert own.lookup("family") == own.lookup("Smiths") == ("family",)
    assert own.lookup("vans") == ("van", "our car")
    assert "puppy" in own.names("dog")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    assert extend(tmp_path, "Rex,dog,").lookup("Rex")
    file = tmp_path / "vocabulary.csv"
    before = file.stat().st_mtime_ns
    extend(tmp_path, "Max,dog,")
    os.utime(file, ns=(before + 1, before + 1))
    assert vocabulary.load(tmp_path).lookup("Rex") == ()
    file.unlink()
    assert vocabulary.load(tmp_path).lookup("Max") == ()


def test_a_spreadsheets_file_can_be_read(tmp_path: Path) -> None:
    text = '\ufeffSynonyms,tag,Parents\r\n"Rexie; our  dog ",Rex," dog ;"\r\n,,\r\n'
    (tmp_path / "vocabulary.csv").write_bytes(text.encode())
    own = vocabulary.load(tmp_path)
    assert own.entries["Rex"] == vocabulary.Entry("Rex", ("dog",), ("Rexie", "our dog"))
    (tmp_path / "vocabulary.csv").write_bytes(text.removeprefix("\ufeff").encode("utf-16"))
    assert vocabulary.load(tmp_path).entries["Rex"] == own.entries["Rex"]


def test_what_is_no_table_is_an_error_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explain() -> str:
        with pytest.raises(VocabularyError) as error:
            vocabulary.load(tmp_path)
        assert (error.value.path, error.value.line) == (file, None)
        return str(error.value)

    file = tmp_path / "vocabulary.csv"
    file.mkdir()
    assert explain() == f"{file}: no file; put the table there, or nothing"
    file.rmdir()
    os.mkfifo(file)  # reading it would wait for ever
    assert "no file" in explain()
    file.unlink()
    file.symlink_to(file)
    assert "cannot be read" in explain()
    file.unlink()
    extend(tmp_path, "Rex,dog,")
    monkeypatch.setattr(vocabulary, "MAX_BYTES", 10)
    assert "a vocabulary has at most" in explain()


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"tag;parents;synonyms\nRex;dog;\n", 1, "the columns are tag,parents,synonyms; got tag;p"),
        (b"tag,parents\nRex,dog\n", 1, "the columns are"),
        (b"tag,parents,synonyms\n\nRex,dog\n", 3, "a row has 3 columns; got 2: Rex,dog"),
        (b"tag,parents,synonyms\nRex,dog,a,b\n", 2, "a row has 3 columns; got 4"),
        (b"tag,parents,synonyms\n,dog,Rex\n", 2, "a row has one tag"),
        (b"tag,parents,synonyms\nRex;Max,dog,\n", 2, "a row has one tag"),
        (b"tag,parents,synonyms\nRex,,\nMax,,\nrex,,\n", 4, "'rex' has a row already, in line 2"),
        (b"tag,parents,synonyms\nRex,hovercraft,\n", 2, "the parent 'hovercraft' is not a tag"),
        (b"tag,parents,synonyms\nRex,Rex,\n", 2, "'Rex' would be above itself"),
        (b"tag,parents,synonyms\nx,,\nanimal,poodle,\n", 3, "'animal' would be above itself"),
        (b"tag,parents,synonyms\nx,,\nR\xe9x,dog,\n", 3, "not UTF-8"),
        (b'tag,parents,synonyms\nx,"dog,\n', 2, "not CSV"),
    ],
)
def test_a_broken_row_is_an_error_with_file_and_line(
    tmp_path: Path, content: bytes, line: int, reason: str
) -> None:
    file = tmp_path / "vocabulary.csv"
    file.write_bytes(content)
    with pytest.raises(VocabularyError) as error:
        vocabulary.load(tmp_path)
    assert (error.value.path, error.value.line) == (file, line)
    assert str(error.value).startswith(f"{file}, line {line}: {reason}")

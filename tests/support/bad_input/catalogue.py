"""Mistakes in a catalogue of one's own, in a mirror's description, and in params.yaml."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.support.bad_input.kinds import add, bad
from tests.support.bad_input.place import ENTRY, Place

CATALOGUE = "data/catalogue.yaml"
LINK = {"kind": "archive", "url": "https://example.org/a.zip"}

ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt key": ({"chanels": 1}, "unknown key `chanels`. Did you mean `channels`?"),
    "a task that nobody knows": ({"task": "detection"}, "key `task`: Input should be 'segmentation' or"),
    "no terms": ({"terms": None}, "key `terms` is missing"),
    "a title of nothing": ({"title": ""}, "key `title`: String should have at least 1 character"),
    "classes that are no list": ({"classes": "nodule"}, "key `classes`: Input should be a valid tuple"),
    "no label": ({"labels": []}, "key `labels`: Tuple should have at least 1 item"),
    "labels that YAML takes for true": ({"labels": [True]}, "key `labels.0`: Input should be a valid string"),
    "no channel": ({"channels": 0}, "key `channels`: Input should be greater than or equal to 1. Found 0"),
    "a number in words": ({"channels": "one"}, "key `channels`: Input should be a valid integer"),
    "a misspelt reader": ({"reader": "bussi"}, "no such reader. Did you mean `busi`? Known: "),
    "an expression that is none": ({"patient": "("}, "key `patient`: Value error, not a regular expression"),
    "an expression without a group": ({"patient": "p[0-9]+"}, "one group in parentheses must hold who was imaged"),
    "volumes cut into something unknown": ({"volume": {"cut": "cubes"}}, "key `volume`: Input tag 'cubes' found"),
    "values that are a list": ({"values": [0, 255]}, "key `values`: Input should be a valid"),
    "values in words": ({"values": {"white": "nodule"}}, "keys must be whole numbers such as 255, or colours"),
    "values of both kinds": ({"values": {0: "background", "#ffffff": "nodule"}}, "must be all numbers or all colours"),
    "a value twice": ({"values": {1: "nodule", "01": "background"}}, "key `values`: Value error, a value is there"),
    "a value of no class": ({"values": {0: "background", 9: "lesion"}}, "'lesion' is neither one of `classes`"),
    "a class without a value": ({"values": {0: "background"}}, "no value means nodule, which is one of `classes`"),
    "values of images to classify": (
        {"values": {0: "background", 1: "nodule"}, "task": "classification"}, "these images are classified; remove"
    ),
    "values that the reader knows": (
        {"values": {0: "background", 1: "nodule"}, "reader": "crack_forest"}, "knows what its masks hold; remove"
    ),
    "a class called ignore": (
        {"values": {0: "background", 1: "ignore"}, "classes": ["background", "ignore"]},
        "pixels that count nowhere are called ignore; rename the class",
    ),
    "no source": ({"sources": []}, "key `sources`: Tuple should have at least 1 item"),
    "a source that is no mapping": ({"sources": ["https://example.org"]}, "key `sources.0`: "),
    "files of an unknown entry": ({"sources_of": "scan"}, "`sources_of`: no such entry. Did you mean `scans`?"),
}  # fmt: skip

SOURCES: dict[str, tuple[dict[str, Any], str]] = {
    "of an unknown kind": ({"kind": "torrent"}, "expected tags: 'generated', 'archive', 'zenodo', 'kaggle', "),
    "without an address": ({"kind": "archive", "file": "a.zip"}, "key `sources.0.archive.url` is missing"),
    "with a file address": ({**LINK, "url": "ftp://e.org/a.zip"}, "`sources.0.archive.url`: String should match"),
    "whose file leads out": ({**LINK, "file": "../a.zip"}, "`sources.0.archive.file`: String should match"),
    "whose folder leads out": ({**LINK, "into": "../raw"}, "`sources.0.archive.into`: String should match"),
    "with half a checksum": ({**LINK, "checksum": "sha256:12"}, "`sources.0.archive.checksum`: String should match"),
    "of many bytes": ({**LINK, "bytes": "many"}, "`sources.0.archive.bytes`: Input should be a valid integer"),
    "with a record in words": ({"kind": "zenodo", "record": "x", "file": "a"}, "`sources.0.zenodo.record`: Input"),
    "whose file on Zenodo is not told": ({"kind": "zenodo", "record": 1}, "key `sources.0.zenodo.file` is missing"),
    "on Kaggle without its owner": ({"kind": "kaggle", "dataset": "a"}, "`sources.0.kaggle.dataset`: String should"),
    "for a person who is not told what to do": (
        {"kind": "manual", "page": "https://example.org", "file": "a"}, "key `sources.0.manual.how` is missing"
    ),
    "that makes no image": ({"kind": "generated", "count": 0, "seed": 0}, "count`: Input should be greater than"),
}  # fmt: skip


def _change(changes: dict[str, Any], place: Place) -> None:
    place.describe(scans=changes)


for name, (changes, message) in ENTRIES.items():
    add(f"catalogue with {name}", "fetch scans", (f"{CATALOGUE}, data set scans: ", message), partial(_change, changes))
for name, (source, message) in SOURCES.items():
    where = (f"{CATALOGUE}, data set scans: ", message)
    add(f"source {name}", "fetch scans", where, partial(_change, {"sources": [source]}))


@bad("fetch scans", CATALOGUE, "not valid YAML")
def catalogue_that_is_no_yaml(place: Place) -> None:
    (place.data / "catalogue.yaml").write_text("scans: [")


@bad("fetch scans", CATALOGUE, "not a text in UTF-8")
def catalogue_in_another_encoding(place: Place) -> None:
    (place.data / "catalogue.yaml").write_bytes("scans: {title: Größe}".encode("utf-16"))


@bad("fetch scans", CATALOGUE, "expected keys and values. Found list")
def catalogue_that_is_a_list(place: Place) -> None:
    (place.data / "catalogue.yaml").write_text("- scans\n")


@bad("fetch scans", CATALOGUE, "key 'scans' stands twice")
def catalogue_with_a_name_twice(place: Place) -> None:
    (place.data / "catalogue.yaml").write_text("scans: {}\nscans: {}\n")


@bad("fetch scans", f"{CATALOGUE}, data set scans", "expected keys and values. Found 3")
def catalogue_whose_entry_is_a_number(place: Place) -> None:
    place.describe(scans=3)


@bad("fetch scans", f"{CATALOGUE}, data set My scans", "key `name`: String should match")
def catalogue_with_a_name_of_two_words(place: Place) -> None:
    place.describe(**{"My scans": {**ENTRY, "sources": [LINK]}})


@bad("fetch scans", CATALOGUE, "the name 'busi' is taken by", "Choose another one")
def catalogue_with_a_name_of_ours(place: Place) -> None:
    place.describe(busi={**ENTRY, "sources": [LINK]})


@bad("fetch scans", CATALOGUE, "one and two both store a.zip; give one of them another `file`")
def catalogue_with_two_archives_of_one_name(place: Place) -> None:
    place.describe(one={"sources": [LINK]}, two={"sources": [LINK]})


@bad("fetch scan", "data/catalogue.yaml", "no data set is called 'scan'. Did you mean `scans`?")
def name_that_no_data_set_has(place: Place) -> None:
    """Nothing is spoilt but the command."""


@bad("fetch mirrored", "mirror/mirror.yaml: no such file. DMF_DATA_MIRROR must name a folder")
def mirror_without_description(place: Place) -> None:
    (place.folder / "mirror/mirror.yaml").unlink()


@bad("fetch mirrored", "mirror/mirror.yaml", "not valid YAML")
def mirror_whose_description_is_no_yaml(place: Place) -> None:
    (place.folder / "mirror/mirror.yaml").write_text("mirrored: }")


@bad("fetch mirrored", "mirror/mirror.yaml, data set mirrored", "expected keys and values. Found 'a.zip'")
def mirror_whose_copy_is_a_name(place: Place) -> None:
    (place.folder / "mirror/mirror.yaml").write_text("mirrored: a.zip")


@bad("fetch mirrored", "mirror/mirror.yaml, data set mirrored", "key `sha256` is missing")
def mirror_without_checksum(place: Place) -> None:
    place.copies(sha256=None)


@bad("fetch mirrored", "mirror/mirror.yaml, data set mirrored", "key `file`: String should match")
def mirror_whose_file_leads_out(place: Place) -> None:
    place.copies(file="../mirrored.zip")


@bad("fetch mirrored", "mirror/mirror.yaml, data set mirrored", "key `files`: Tuple should have at least 1 item")
def mirror_with_no_files(place: Place) -> None:
    place.copies(files=[])


@bad("fetch mirrored", "mirror/mirrored.zip: no such file, as mirror/mirror.yaml says")
def mirror_without_the_archive(place: Place) -> None:
    (place.folder / "mirror/mirrored.zip").unlink()


@bad("fetch mirrored", "mirror/mirrored.zip: wrong checksum. Found sha256:", "Expected sha256:0000")
def mirror_with_another_archive(place: Place) -> None:
    place.copies(sha256="0" * 64)

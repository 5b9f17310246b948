"""Images and masks that cannot be used."""

from __future__ import annotations

import shutil

import numpy as np
from PIL import Image

from pipelines.datasets.catalogue import find_entries
from pipelines.fetch.obtain import fetch
from tests.support.bad_input.kinds import bad
from tests.support.bad_input.place import FIRST, Place

IMAGE, MASK = f"data/raw/scans/images/{FIRST}", f"data/raw/scans/masks/{FIRST}"


@bad(
    "audit scans",
    "data/raw/scans/manifest.json: no such file; scans was not fetched",
    "pipelines.fetch --dataset scans",
)
def data_set_that_was_not_fetched(place: Place) -> None:
    shutil.rmtree(place.raw)


@bad(
    "audit scans",
    "data/raw/scans/images/benign: no such folder; files of the data set were expected",
    "Found in data/raw/scans: folders masks",
)
def data_set_without_images(place: Place) -> None:
    shutil.rmtree(place.raw / "images")


@bad("audit scans", "data/raw/scans/images/malignant: no such folder")
def label_without_a_folder(place: Place) -> None:
    shutil.rmtree(place.raw / "images/malignant")


@bad(
    "audit scans",
    IMAGE,
    "an image without its mask masks/benign/b00",
    "Add or rename the mask",
)
def image_without_mask(place: Place) -> None:
    (place.raw / "masks" / FIRST).unlink()


@bad("audit scans", MASK, "a mask without its image")
def mask_without_image(place: Place) -> None:
    (place.raw / "images" / FIRST).unlink()


@bad("audit scans", "data/raw/scans/masks/benign/b00", "a second mask beside", "Move the one that is not meant")
def image_with_two_masks(place: Place) -> None:
    mask = place.raw / "masks" / FIRST
    shutil.copy(mask, mask.with_suffix(".bmp"))


@bad("audit scans", MASK, "the mask has 9 x 7 pixels (height x width), its image b00.png 20 x 24. Replace the mask")
def mask_of_another_size(place: Place) -> None:
    Image.fromarray(np.zeros((9, 7), np.uint8)).save(place.raw / "masks" / FIRST)


@bad("audit scans", IMAGE, "cannot be read as a picture", "Replace it by a copy that a viewer opens")
def image_that_is_cut(place: Place) -> None:
    path = place.raw / "images" / FIRST
    path.write_bytes(path.read_bytes()[:60])


@bad("audit scans", IMAGE, "cannot be read as a picture")
def image_that_is_a_text(place: Place) -> None:
    (place.raw / "images" / FIRST).write_text("no picture")


@bad("audit scans", IMAGE, "cannot be read as a picture")
def image_of_no_bytes(place: Place) -> None:
    (place.raw / "images" / FIRST).write_bytes(b"")


@bad("audit scans", IMAGE, "pictures of mode 'I;16' are not read. Known: 1, L", "Convert it to 8 bits")
def image_of_sixteen_bits(place: Place) -> None:
    Image.fromarray(np.ones((20, 24), np.uint16)).save(place.raw / "images" / FIRST)


@bad(
    "audit scans",
    MASK,
    "a mask of background (0) and nodule (one other value) was expected. Found 0, 1, 2",
    "Say in the catalogue what they mean, for instance `values: {0: background, 1: nodule, 2: ignore}`",
)
def mask_of_three_values(place: Place) -> None:
    pixels = np.zeros((20, 24), np.uint8)
    pixels[2:9, 2:9], pixels[12:18, 12:18] = 1, 2
    Image.fromarray(pixels).save(place.raw / "masks" / FIRST)


@bad("audit scans", MASK, "expected the `values` of the catalogue, 0, 1. Found 255 in", "or correct the mask")
def mask_of_values_that_the_catalogue_does_not_name(place: Place) -> None:
    place.describe(scans={"values": {0: "background", 1: "nodule"}})
    fetch(find_entries(["scans"], place.data)[0], place.data)


@bad("filter scans", MASK, "cannot be read as a picture")
def mask_that_is_cut(place: Place) -> None:
    path = place.raw / "masks" / FIRST
    path.write_bytes(path.read_bytes()[:60])


@bad("audit scans", IMAGE, "`patient: ^(p[0-9]+)_` of the catalogue does not say who was imaged", "Rename the file")
def name_that_does_not_say_who_was_imaged(place: Place) -> None:
    place.describe(scans={"patient": "^(p[0-9]+)_"})
    fetch(find_entries(["scans"], place.data)[0], place.data)


@bad("split scans", "data/raw/scans: expected images of each label (benign, malignant)", "malignant missing")
def label_without_images(place: Place) -> None:
    for path in (*(place.raw / "images/malignant").iterdir(), *(place.raw / "masks/malignant").iterdir()):
        path.unlink()

"""Which reader knows which layout, and how that publisher's masks are encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.readers import beside, cracks, labelled, land_cover, mri, pairs, skin, ultrasound
from pipelines.datasets.readers.case import Case
from pipelines.datasets.readers.masks import MaskDecoder, probable
from pipelines.datasets.readers.volumes import Alignment


@dataclass(frozen=True)
class Reader:
    """How to read one publisher's layout.

    Attributes:
        find: `(folder, labels) -> cases`, with paths relative to the folder. It may find more labels than those.
        decode: From one mask file to class indices, where the publisher's encoding is known. Else the entry's `values`
            say what is what (`understood`); volumes' masks are 1 where they are not 0 if it has none.
        grid: Whether the modalities of a volume must share their grid or are resampled to the first one's.
    """

    find: Callable[[Path, Sequence[str]], list[Case]]
    decode: MaskDecoder | None = None
    grid: Alignment = "same"


READERS: Mapping[str, Reader] = {
    "phantom": Reader(beside.read_phantom),
    "phantom3d": Reader(pairs.read_image_mask_folders),
    "busi": Reader(beside.read_busi),
    "busc": Reader(ultrasound.read_busc),
    "bus_synthetic": Reader(ultrasound.read_bus_synthetic, probable),
    "bus_bra": Reader(ultrasound.read_bus_bra),
    "isic2017": Reader(skin.read_isic2017),
    "isic2018": Reader(skin.read_isic2018),
    "ph2": Reader(skin.read_ph2),
    "brats2018": Reader(mri.read_brats2018),
    "picai2022": Reader(mri.read_picai2022, grid="first"),
    "brain_tumor_mri": Reader(labelled.read_brain_tumor_mri),
    "brain_tumor_binary": Reader(labelled.read_brain_tumor_binary),
    "tomato_leaf": Reader(labelled.read_tomato_leaf),
    "tomato_leaf_binary": Reader(labelled.read_tomato_leaf_binary),
    "deepglobe": Reader(land_cover.read_deepglobe, land_cover.decode),
    "deepglobe_dominant": Reader(land_cover.read_deepglobe_dominant),
    "deepglobe_water": Reader(land_cover.read_deepglobe_water),
    "deepglobe_water_majority": Reader(land_cover.read_deepglobe_water_majority),
    "crack_forest": Reader(cracks.read_crack_forest, cracks.decode),
    "crack_forest_patches": Reader(cracks.read_crack_forest_patches),
    "crack_collections": Reader(cracks.read_crack_collections),
    "crack_collections_binary": Reader(cracks.read_crack_collections_binary),
    "image_mask_folders": Reader(pairs.read_image_mask_folders),
    "label_folders": Reader(labelled.read_label_folders),
}

"""The studies of the papers are what the papers print, row by row."""

from __future__ import annotations

from functools import cache

import pytest

from dmf.training.spec import TrialSpec
from pipelines.datasets.catalogue import load_catalogue
from pipelines.datasets.deals import Deal
from pipelines.datasets.readers.parts import Patches, Slices
from tune_spaces import load_study, study_names
from tune_spaces.expand import expand
from tune_spaces.study import FOLDER

PAPERS = ("dmf", "adaptive_focal", "adaptive_focal_3d", "adapt_exp", "adapt_exp_ablation", "adapt_exp_noise",
          "adapt_exp_folds", "loss_ngrams", "loss_fusion_water", "activations", "fusion_parameters")  # fmt: skip
AT_HAND = {"phantom", "phantom3d", "busi", "bus_bra", "crack_forest", "crack_forest_patches", "brain_tumor_mri",
           "brain_tumor_binary"}  # fmt: skip


@cache
def specs(study: str) -> list[TrialSpec]:
    """Of all rows, those that share another one's trial too."""
    cells = expand(load_study(study)).cells
    return [spec for cell in cells for spec in (cell.spec, *(twin.spec for twin in cell.twins))]


def on(study: str, dataset: str) -> list[TrialSpec]:
    return [spec for spec in specs(study) if spec.dataset == dataset]


def comment(study: str) -> str:
    lines = (FOLDER / f"{study}.yaml").read_text().splitlines()
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))


@pytest.mark.parametrize("study", sorted(set(PAPERS) - {"adapt_exp_noise"}))
def test_a_papers_study_says_where_it_leaves_the_paper(study: str) -> None:
    assert "eaves the paper" in comment(study)


@pytest.mark.parametrize("study", [*PAPERS, "leakage", "leakage_brain", "weightings", "architectures"])
def test_every_study_has_a_small_one_on_data_that_are_at_hand(study: str) -> None:
    assert f"{study}_small" in study_names()
    assert set(load_study(f"{study}_small").datasets) <= AT_HAND


def test_the_adapt_exp_paper_is_dealt_as_its_table_2_prints() -> None:
    sides = {}
    for dataset in ("isic2018", "isic2017", "ph2"):
        (split,) = {spec.split for spec in on("adapt_exp", dataset)}
        deal = Deal.named(split)
        assert deal is not None
        sides[dataset] = deal.method, tuple((deal.counts or {}).values())
    assert sides == {
        "isic2018": ("random", (1815, 259, 520)),
        "isic2017": ("official", (1400, 150, 600)),
        "ph2": ("random", (140, 20, 40)),
    }
    assert load_catalogue()["isic2018"].sides == ("train",)
    assert {spec.split for spec in specs("adapt_exp_official")} == {"official"}


def test_adapt_exp_has_the_five_losses_of_table_8() -> None:
    own = {spec.losses for spec in specs("adapt_exp") if spec.model == "rfe_unet:resnet101"}
    assert own == {("binary_cross_entropy",), ("dice",), ("focal",), ("exponential",), ("adapt_exp",)}


@pytest.mark.parametrize("study", ["adaptive_focal", "adaptive_focal_3d", "adaptive_focal_small"])
def test_magnetic_resonance_is_not_filtered(study: str) -> None:
    assert not any(spec.filtered for spec in specs(study))


def test_adaptive_focal_sees_whole_volumes_in_slices_and_in_patches() -> None:
    cuts = {study: [load_catalogue()[name].volume for name in load_study(study).datasets]
            for study in ("adaptive_focal", "adaptive_focal_3d", "adaptive_focal_3d_small")}  # fmt: skip
    assert all(cut and cut.keep == "all" for of_study in cuts.values() for cut in of_study)
    assert all(isinstance(cut, Slices) for cut in cuts["adaptive_focal"])
    for study in ("adaptive_focal_3d", "adaptive_focal_3d_small"):
        for cut in cuts[study]:
            assert isinstance(cut, Patches)
            assert {cut.size[1], cut.size[2]} == {spec.image_size for spec in specs(study)}
        assert {spec.model for spec in specs(study)} == {"unet3d"}


def test_ten_repeats_of_dmf_are_ten_deals() -> None:
    assert {(spec.seed, spec.split) for spec in specs("dmf")} == {(seed, f"random:{seed}") for seed in range(10)}
    assert {spec.fidelity for spec in specs("dmf")} == {"paper", "reference", "stable"}


def test_brain_tumours_are_tested_on_kaggles_testing_folder() -> None:
    for dataset in ("brain_tumor_mri", "brain_tumor_binary"):
        assert {spec.split for spec in on("loss_ngrams", dataset)} == {"official"}
        assert {spec.split for spec in on("leakage_brain", dataset)} == {"official", "grouped"}


def test_loss_fusion_is_grey_and_has_both_readings_of_water_and_of_cracks() -> None:
    datasets = load_study("loss_ngrams").datasets
    assert {"deepglobe_water_majority", "crack_collections", "crack_collections_binary"} <= set(datasets)
    assert load_study("loss_fusion_water").datasets == ["deepglobe_water"]
    assert {load_catalogue()[name].channels for name in datasets} == {1}
    assert {load_catalogue()[name].at_most for name in ("tomato_leaf", "tomato_leaf_binary")} == {1000}
    assert {spec.model for spec in specs("loss_fusion_water")} == {"unet_classifier", "timm:vgg16"}
    assert {frozenset(spec.augmentation) for spec in specs("loss_ngrams")} == {
        frozenset({"horizontal_flip", "rotation", "crop", "brightness", "contrast"})
    }


def test_fusion_parameters_come_one_at_a_time() -> None:
    """Each row differs in one parameter from another one that is nearer to the plain fusion."""
    rows = [spec for spec in specs("fusion_parameters") if spec.seed == 0]
    assert {spec.losses for spec in rows} == {("cross_entropy", "smooth_l1", "paced_focal", "dice")}

    def differences(one: TrialSpec, other: TrialSpec) -> int:
        asked = [
            {(loss, name): value for loss, params in spec.loss_params.items() for name, value in params.items()}
            for spec in (one, other)
        ]
        pace = {"adaptive_gamma", "epoch_scaling_factor"}  # one parameter and how much of it
        names = {key if key[1] not in pace else "pace" for key in {**asked[0], **asked[1]}
                 if asked[0].get(key) != asked[1].get(key)}  # fmt: skip
        return len(names) + (one.weighting != other.weighting)

    assert all(min(differences(row, other) for other in rows if other is not row) == 1 for row in rows)


def test_an_activation_stands_before_the_softmax_too() -> None:
    found = {(spec.activation, spec.output_activation) for spec in specs("activations")}
    assert len(found) == 1 + 4 * 2
    assert (None, True) not in found


@pytest.mark.parametrize("study", ["architectures", "architectures_small"])
def test_architectures_losses_and_weightings_are_crossed(study: str) -> None:
    rows = {(spec.model, spec.losses, spec.weighting) for spec in specs(study)}
    sizes = [len(set(axis)) for axis in zip(*rows, strict=True)]
    assert len(rows) == sizes[0] * sizes[1] * sizes[2]
    assert min(sizes) > 1

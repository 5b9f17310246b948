"""From counts to one number per metric: rules, protocols, and agreement with other libraries where they coincide."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmf.checks import UnknownName
from dmf.metrics import METRICS, PROTOCOLS, confusion_counts, empty_masks, per_image, summarise
from tests.support.oracle import notebook

ORACLE_NAMES = {"f1": "f1_score", "cb_dice": "class_balanced_dice_score", "sensitivity": "recall"}


def counts_of(*rows: tuple[int, int, int, int]) -> torch.Tensor:
    """Binary counts of images given by their lesion's tp, fp, fn, tn; the background's follow."""
    return torch.tensor([[(tn, fn, fp, tp), (tp, fp, fn, tn)] for tp, fp, fn, tn in rows])


def random_counts(seed: int, images: int, classes: int, pixels: int = 30) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randint(0, classes, (2, images, pixels), generator=generator)
    return confusion_counts(prediction, target, classes)


any_counts = st.builds(
    random_counts, st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 4), pixels=st.integers(1, 30)
)
protocols = st.sampled_from(sorted(PROTOCOLS))

# --- hand-worked values ---


def test_hand_worked_lesion_scores() -> None:
    scores = {name: value.item() for name, value in per_image(counts_of((6, 2, 4, 88))).items()}
    lesion, background = 12 / 18, 176 / 182
    assert scores == pytest.approx(
        {
            "dice": 12 / 18,
            "iou": 6 / 12,
            "f1": 12 / 18,
            "precision": 6 / 8,
            "recall": 6 / 10,
            "sensitivity": 6 / 10,
            "specificity": 88 / 90,
            "accuracy": 94 / 100,
            # 10 lesion and 90 background pixels: weights 0.9 and 0.1.
            "cb_dice": 0.9 * lesion + 0.1 * background,
        }
    )


def test_the_mean_over_images_and_the_pooled_score_differ() -> None:
    """A large lesion found exactly and a small one missed: half the images right, but 90 % of the lesion pixels."""
    counts = counts_of((90, 0, 0, 10), (0, 0, 10, 90))
    assert summarise(counts, "per_image")["dice"] == 0.5
    assert summarise(counts, "pooled")["dice"] == pytest.approx(2 * 90 / (2 * 90 + 10))


def test_the_reference_counts_the_background_as_a_class() -> None:
    counts = counts_of((6, 2, 4, 88))
    assert summarise(counts, "reference")["dice"] == pytest.approx((12 / 18 + 176 / 182) / 2)


def test_the_references_f1_is_not_dice() -> None:
    summary = summarise(counts_of((6, 2, 4, 88)), "reference")
    precision, recall = (6 / 8 + 88 / 92) / 2, (6 / 10 + 88 / 90) / 2
    assert summary["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert abs(summary["f1"] - summary["dice"]) > 1e-3


def test_foreground_classes_have_equal_say() -> None:
    target, prediction = torch.tensor([[0, 0, 1, 1, 1, 1, 2, 2]]), torch.tensor([[0, 0, 1, 1, 1, 1, 0, 0]])
    assert summarise(confusion_counts(prediction, target, 3))["dice"] == 0.5


# --- the rules for empty masks ---


@pytest.mark.parametrize(
    ("lesion", "expected"),
    [((0, 0, 0, 9), 1.0), ((0, 0, 3, 6), 0.0), ((0, 3, 0, 6), 0.0), ((9, 0, 0, 0), 1.0)],
    ids=["both empty", "missed", "invented", "lesion everywhere"],
)
def test_both_empty_scores_one_and_one_empty_scores_zero(lesion: tuple[int, int, int, int], expected: float) -> None:
    scores = per_image(counts_of(lesion))
    for name in ("dice", "iou", "f1", "precision", "recall", "sensitivity"):
        assert scores[name].item() == expected, name


def test_cb_dice_follows_the_rules_for_empty_masks() -> None:
    nothing, perfect, missed, invented = per_image(counts_of((0, 0, 0, 9), (3, 0, 0, 6), (0, 0, 3, 6), (0, 3, 0, 6)))[
        "cb_dice"
    ]
    assert nothing == perfect == 1
    assert missed == pytest.approx(1 / 3 * 12 / 15)  # weights 2/3 and 1/3; the background's Dice is 12 / 15
    assert invented == 0  # all weight is on the class that is not there


def test_specificity_without_a_negative_is_one() -> None:
    assert per_image(counts_of((9, 0, 0, 0)))["specificity"].item() == 1


def test_the_summary_says_how_often_the_rules_decided() -> None:
    counts = counts_of((0, 0, 0, 9), (0, 0, 3, 6), (0, 0, 2, 7), (0, 3, 0, 6), (3, 0, 0, 6))
    summary = summarise(counts)
    assert (summary["both_empty"], summary["missed"], summary["invented"], summary["images"]) == (1, 2, 1, 5)
    assert {name: value.item() for name, value in empty_masks(counts).items()} == {
        "both_empty": 1,
        "missed": 2,
        "invented": 1,
    }


def test_an_image_without_a_pixel_to_judge_is_left_out() -> None:
    """Two images, a lesion missed in the first, the second ignored as a whole: Dice 0 of one image, not 1/2 of two."""
    prediction, target = torch.tensor([[0, 0, 0], [0, 1, 1]]), torch.tensor([[0, 1, 1], [9, 9, 9]])
    counts = confusion_counts(prediction, target, 2, ignore_index=9)
    summary = summarise(counts)
    assert (summary["dice"], summary["images"], summary["missed"], summary["both_empty"]) == (0, 1, 1, 0)
    for protocol in PROTOCOLS:
        assert summarise(counts, protocol) == summarise(counts[:1], protocol)


def test_a_class_in_neither_mask_scores_zero_in_the_reference_and_is_no_class_in_macro() -> None:
    target = torch.tensor([[0, 0, 1, 1]])
    counts = confusion_counts(target, target, 3)
    assert summarise(counts, "reference")["dice"] == pytest.approx(2 / 3)
    assert summarise(counts, "macro")["dice"] == 1


def test_a_declared_class_that_never_occurs_is_absent_from_the_mean_instead_of_scoring_one() -> None:
    """A liver of Dice 0.44 with a tumour that no mask holds is 0.44; it was (0.44 + 1) / 2."""
    target, prediction = torch.zeros(2, 100, dtype=torch.long), torch.zeros(2, 100, dtype=torch.long)
    target[:, :50], prediction[:, 28:78] = 1, 1
    for protocol in ("per_image", "pooled"):
        three, two = (summarise(confusion_counts(prediction, target, classes), protocol) for classes in (3, 2))
        assert three["dice"] == two["dice"] == 0.44
        assert three["specificity"] == two["specificity"]


def test_a_class_that_is_invented_or_missed_counts() -> None:
    target, prediction = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 2]]), torch.tensor([[0, 1, 1, 2], [0, 1, 1, 1]])
    assert per_image(confusion_counts(prediction, target, 3))["dice"].tolist() == [(4 / 5 + 0) / 2] * 2


# --- the reference against the authors' numbers ---


def test_the_reference_reproduces_the_authors_numbers() -> None:
    cases = notebook()["metrics"]
    assert cases
    for case in cases:
        prediction, target = torch.tensor(case["logits"]).argmax(-1), torch.tensor(case["labels"])
        found = summarise(confusion_counts(prediction, target, case["num_classes"]), "reference")
        expected = {name: case["values"][ORACLE_NAMES.get(name, name)] for name in METRICS}
        assert {name: found[name] for name in METRICS} == pytest.approx(expected, abs=1e-6)


# --- properties ---


@settings(deadline=None)
@given(counts=any_counts, protocol=protocols)
def test_every_score_is_a_fraction(counts: torch.Tensor, protocol: str) -> None:
    summary = summarise(counts, protocol)
    assert set(METRICS) <= set(summary)
    assert all(0 <= summary[name] <= 1 for name in METRICS)


@settings(deadline=None)
@given(counts=any_counts)
def test_dice_is_at_least_iou_and_follows_from_it_in_binary(counts: torch.Tensor) -> None:
    scores = per_image(counts)
    assert (scores["dice"] >= scores["iou"]).all()
    if counts.shape[1] == 2:
        torch.testing.assert_close(scores["dice"], 2 * scores["iou"] / (1 + scores["iou"]))


@settings(deadline=None)
@given(counts=any_counts)
def test_exchanging_prediction_and_target_exchanges_precision_and_recall(counts: torch.Tensor) -> None:
    scores, exchanged = per_image(counts), per_image(counts[..., [0, 2, 1, 3]])
    for name, other in {"dice": "dice", "iou": "iou", "accuracy": "accuracy", "precision": "recall"}.items():
        assert torch.equal(scores[name], exchanged[other])


@settings(deadline=None)
@given(counts=any_counts, protocol=protocols, seed=st.integers(0, 2**31))
def test_the_order_of_images_does_not_matter(counts: torch.Tensor, protocol: str, seed: int) -> None:
    order = torch.randperm(len(counts), generator=torch.Generator().manual_seed(seed))
    assert summarise(counts[order], protocol) == pytest.approx(summarise(counts, protocol))


@settings(deadline=None)
@given(counts=any_counts, protocol=protocols)
def test_seeing_every_image_twice_changes_no_score(counts: torch.Tensor, protocol: str) -> None:
    once, twice = summarise(counts, protocol), summarise(torch.cat([counts, counts]), protocol)
    assert {name: twice[name] for name in METRICS} == pytest.approx({name: once[name] for name in METRICS}, abs=1e-6)


@settings(deadline=None)
@given(counts=any_counts)
def test_pooling_one_image_is_that_image(counts: torch.Tensor) -> None:
    single, pooled = per_image(counts[:1]), summarise(counts[:1], "pooled")
    assert {name: value.item() for name, value in single.items()} == {name: pooled[name] for name in METRICS}


@settings(deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 4), pixels=st.integers(1, 30))
def test_a_perfect_prediction_scores_one_throughout(seed: int, classes: int, pixels: int) -> None:
    target = torch.randint(0, classes, (3, pixels), generator=torch.Generator().manual_seed(seed))
    counts = confusion_counts(target, target, classes)
    for protocol in sorted(set(PROTOCOLS) - {"reference"}):
        summary = summarise(counts, protocol)
        assert [summary[name] for name in METRICS] == pytest.approx([1.0] * len(METRICS))


# --- agreement with other libraries, where the definitions coincide ---


def mean_of_known(scores: torch.Tensor, known: torch.Tensor | None = None) -> torch.Tensor:
    """Of each image's classes; 1 where there is none."""
    scores = scores.double() if known is None else scores.double().masked_fill(~known, torch.nan)
    return scores.nanmean(1).nan_to_num(1.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 4), share=st.sampled_from([0.0, 0.05, 0.5]))
def test_per_image_agrees_with_monai(seed: int, classes: int, share: float) -> None:
    """Its `ignore_empty=False` scores an empty target 1 only if the prediction is empty, too."""
    monai = pytest.importorskip("monai.metrics")
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randint(1, classes, (2, 3, 8, 8), generator=generator)
    prediction, target = (m * (torch.rand(m.shape, generator=generator) < share) for m in (prediction, target))
    scores = per_image(confusion_counts(prediction, target, classes))
    hot = [torch.nn.functional.one_hot(m, classes).movedim(-1, 1) for m in (prediction, target)]
    for name, theirs in (("dice", monai.compute_dice), ("iou", monai.compute_iou)):
        expected = theirs(*hot, include_background=False, ignore_empty=False)
        shown = torch.stack(hot).any(0)[:, 1:].flatten(2).any(2)
        torch.testing.assert_close(scores[name], mean_of_known(expected, shown), rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(counts=any_counts)
def test_per_image_and_pooled_agree_with_segmentation_models_pytorch(counts: torch.Tensor) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    stats = counts[:, 1:].unbind(-1)
    pooled = [stat.sum(0, keepdim=True) for stat in stats]
    for name, theirs in (("dice", smp.metrics.f1_score), ("iou", smp.metrics.iou_score)):
        expected = mean_of_known(theirs(*stats, reduction=None, zero_division=torch.nan))
        torch.testing.assert_close(per_image(counts)[name], expected, rtol=1e-6, atol=1e-6)
        expected = mean_of_known(theirs(*pooled, reduction=None, zero_division=torch.nan))
        assert summarise(counts, "pooled")[name] == pytest.approx(expected.item(), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(2, 5), images=st.integers(1, 40))
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_classification_agrees_with_scikit_learn(average: str, seed: int, classes: int, images: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    prediction, target = torch.randint(0, classes, (2, images), generator=torch.Generator().manual_seed(seed))
    summary = summarise(confusion_counts(prediction, target, classes), average)
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(
        target, prediction, average=average, zero_division=0
    )
    iou = sklearn.jaccard_score(target, prediction, average=average, zero_division=0)
    accuracy = sklearn.accuracy_score(target, prediction)
    found = [summary[name] for name in ("precision", "recall", "f1", "iou", "accuracy")]
    assert found == pytest.approx([precision, recall, f1, iou, accuracy])


# --- what is refused ---


def test_an_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"Unknown metric protocol 'per_imag'\. Did you mean 'per_image'"):
        summarise(counts_of((1, 0, 0, 1)), "per_imag")


@pytest.mark.parametrize("side", ["prediction", "target"])
def test_masks_of_0_and_255_are_refused_with_what_to_do(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what counts them on a CPU; by what reads the counts where counting waits for no device."""
    masks = {"prediction": torch.tensor([[0, 1, 1]]), "target": torch.tensor([[0, 1, 1]])}
    masks[side] = masks[side] * 255
    with pytest.raises(
        ValueError, match=rf"The {side} must hold .* Found 2 pixels with others, 255 among them.*by 255"
    ):
        confusion_counts(masks["prediction"], masks["target"], 2)
    monkeypatch.setattr("dmf.metrics.counts.require_label_maps", lambda *_: None)
    counts = confusion_counts(masks["prediction"], masks["target"], 2)
    with pytest.raises(ValueError, match=rf"The {side} must hold class indices from 0 to 1\. Found 2 pixels.*by 255"):
        summarise(counts)


@pytest.mark.parametrize("counts", [torch.zeros(0, 2, 4), torch.zeros(3, 2, 4), torch.ones(3, 4), torch.ones(1, 1, 4)])
def test_counts_of_nothing_are_refused(counts: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"shape \(B, C, 4\) with two classes or more and a pixel to judge"):
        summarise(counts)

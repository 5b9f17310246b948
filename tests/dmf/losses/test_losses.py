"""Each loss against values worked by hand, and what a wrong parameter is answered with."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dmf.checks import UnknownName
from dmf.losses import LOSSES, VARIANTS, build_loss

# Four pixels, two classes. Probabilities of class 1: .8 .4 .3 .1; labels 1 1 0 0.
# Class 1: TP 1.2, FP 0.4, FN 0.8. Class 0: TP 1.6, FP 0.8, FN 0.4. True-class probabilities: .8 .4 .7 .9.
LESION = torch.tensor([0.8, 0.4, 0.3, 0.1], dtype=torch.float64)
LOGITS = torch.stack([(1 - LESION).log(), LESION.log()]).view(1, 2, 2, 2)
TARGET = torch.tensor([[[1, 1], [0, 0]]])
TRUE = (0.8, 0.4, 0.7, 0.9)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("cross_entropy", {}, -mean([math.log(p) for p in TRUE])),
        ("binary_cross_entropy", {}, -mean([math.log(p) for p in TRUE])),
        ("focal", {}, -0.25 * mean([(1 - p) ** 2 * math.log(p) for p in TRUE])),
        ("focal", {"alpha": 1, "gamma": 0}, -mean([math.log(p) for p in TRUE])),
        (
            "focal",
            {"alpha": (0.1, 0.9), "gamma": 1},
            -mean([a * (1 - p) * math.log(p) for a, p in zip((0.9, 0.9, 0.1, 0.1), TRUE, strict=True)]),
        ),
        ("iou", {}, 1 - (1.2 / 2.4 + 1.6 / 2.8) / 2),
        ("dice", {}, 1 - (2.4 / 3.6 + 3.2 / 4.4) / 2),
        ("tversky", {}, 1 - (1.2 / (1.2 + 0.28 + 0.24) + 1.6 / (1.6 + 0.56 + 0.12)) / 2),
        ("tversky", {"alpha": 0.5, "beta": 0.5}, 1 - (2.4 / 3.6 + 3.2 / 4.4) / 2),
        ("cb_dice", {}, 1 - (2.4 / 3.6 + 3.2 / 4.4) / 2),  # both classes cover half: equal weights
        ("mse", {}, mean([(1 - p) ** 2 for p in TRUE])),
        ("smooth_l1", {}, mean([(1 - p) ** 2 for p in TRUE]) / 2),
        ("smooth_l1", {"beta": 0.25}, mean([0.2**2 / 0.5, 0.6 - 0.125, 0.3 - 0.125, 0.1**2 / 0.5])),
        ("exponential", {}, mean([math.exp(-p) for p in TRUE])),
        ("adapt_exp", {}, mean([2 * math.exp(-p) for p in TRUE])),
        ("cross_entropy", {"difficulty_weight": 2}, -mean([(3 - 2 * p) * math.log(p) for p in TRUE])),
        ("focal", {"difficulty_weight": 1}, -0.25 * mean([(2 - p) * (1 - p) ** 2 * math.log(p) for p in TRUE])),
        # The negatives' probabilities are .2 .6 .3 .1: with a threshold of .25 the first and the last are easy.
        (
            "mse",
            {"hard_negative_threshold": 0.25, "easy_negative_weight": 0.5},
            mean([w * (1 - p) ** 2 for w, p in zip((0.75, 1, 1, 0.75), TRUE, strict=True)]),
        ),
        (
            "smooth_l1",
            {"hard_negative_threshold": 0.25, "easy_negative_weight": 0},
            mean([w * (1 - p) ** 2 / 2 for w, p in zip((0.5, 1, 1, 0.5), TRUE, strict=True)]),
        ),
        (
            "binary_cross_entropy",
            {"hard_negative_threshold": 0.25},
            -mean([w * math.log(p) for w, p in zip((0.55, 1, 1, 0.55), TRUE, strict=True)]),
        ),
        ("paced_focal", {}, -mean([(1 - p) ** 2 * math.log(p) for p in TRUE])),
    ],
)
def test_worked_by_hand(name: str, params: dict[str, float], expected: float) -> None:
    assert build_loss(name, 2, **params)(LOGITS, TARGET).item() == pytest.approx(expected, abs=1e-5)


def test_class_balanced_dice_weighs_by_inverse_share() -> None:
    """Three pixels of class 0 and one of class 1: ratios 3/4 and 1/4, weights 1/4 and 3/4."""
    target = torch.tensor([[[1, 0], [0, 0]]])
    dice_1 = 2 * 0.8 / (1.6 + 1)
    dice_0 = 2 * (0.6 + 0.7 + 0.9) / (2.4 + 3)
    expected = 1 - (0.25 * dice_0 + 0.75 * dice_1)
    assert build_loss("cb_dice", 2)(LOGITS, target).item() == pytest.approx(expected, abs=1e-5)


def test_class_balanced_dice_without_lesions() -> None:
    """As published, the absent class takes all the weight and the gradient with it; `stable` gives it none."""
    empty = torch.zeros_like(TARGET)

    def worth(fidelity: str) -> tuple[float, float]:
        logits = LOGITS.clone().requires_grad_()
        value = build_loss("cb_dice", 2, fidelity)(logits, empty)
        return value.item(), torch.autograd.grad(value, logits)[0].abs().sum().item()

    value, slope = worth("paper")
    assert value == pytest.approx(1, abs=1e-3)
    assert slope < 1e-5
    value, slope = worth("stable")
    assert value == pytest.approx(1 - 2 * 2.4 / (2.4 + 4), abs=1e-5)
    assert slope > 0.1


def test_adapt_exp_weighs_image_by_image() -> None:
    """One lesion pixel of four: λ1 = 4, λ2 = 4/3. A second image with two of four: λ1 = λ2 = 2."""
    target = torch.cat([torch.tensor([[[1, 0], [0, 0]]]), TARGET])
    first = 4 * math.exp(-0.8) + 4 / 3 * sum(math.exp(-p) for p in (0.6, 0.7, 0.9))
    second = 2 * sum(math.exp(-p) for p in TRUE)
    value = build_loss("adapt_exp", 2)(LOGITS.repeat(2, 1, 1, 1), target)
    assert value.item() == pytest.approx((first + second) / 8, abs=1e-5)


def test_adapt_exp_of_an_empty_mask_is_the_exponential_loss() -> None:
    empty = torch.zeros_like(TARGET)
    expected = build_loss("exponential", 2)(LOGITS, empty)
    assert build_loss("adapt_exp", 2)(LOGITS, empty).item() == pytest.approx(expected.item(), abs=1e-5)


def test_adaptive_focal_by_hand() -> None:
    """Mask rows 1 1 / 0 0: f = 1/2, α = 1/2; the gradient is 1 down the columns everywhere: γ = 1/2 + 1."""
    expected = -mean([0.5 * (1 - p) ** 1.5 * math.log(p) for p in TRUE])
    assert build_loss("adaptive_focal", 2)(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-9)


def test_adaptive_focal_outline_is_the_central_difference() -> None:
    """One lesion pixel amid 5 x 5: slopes of 1/2 at its four neighbours, so γ_msa = 2/25 and γ_va = 1/25."""
    target = torch.zeros(1, 5, 5, dtype=torch.long)
    target[0, 2, 2] = 1
    logits = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
    gamma, alpha = 3 / 25, 24 / 25
    expected = (alpha + 24 * (1 - alpha)) / 25 * 0.5**gamma * math.log(2)
    assert build_loss("adaptive_focal", 2)(logits, target).item() == pytest.approx(expected, rel=1e-9)
    volume = build_loss("adaptive_focal", 2)(
        logits.unsqueeze(2).repeat(1, 1, 4, 1, 1), target.unsqueeze(1).repeat(1, 4, 1, 1)
    )
    assert volume.item() == pytest.approx(expected, rel=1e-9)


def test_adaptive_focal_reference_swaps_the_weights() -> None:
    """50 lesion pixels of 10,000: the background channel weighs .995, the lesion channel .005."""
    target = torch.zeros(1, 100, 100, dtype=torch.long)
    target[0, 0, :50] = 1
    logits = torch.zeros(1, 2, 100, 100, requires_grad=True)
    slope = torch.autograd.grad(build_loss("adaptive_focal", 2, "reference")(logits, target), logits)[0]
    assert (slope[0, 0, 0, 0] / slope[0, 1, 0, 0]).abs().item() == pytest.approx(0.995 / 0.005, rel=1e-4)


def test_adaptive_focal_looks_at_every_sample_by_itself() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(3, 2, 6, 6, dtype=torch.float64), torch.randint(0, 2, (3, 6, 6))
    target[1] = 0
    for fidelity in ("paper", "reference"):
        loss = build_loss("adaptive_focal", 2, fidelity)
        alone = [loss(logits[i : i + 1], target[i : i + 1]) for i in range(3)]
        torch.testing.assert_close(loss(logits, target), torch.stack(alone).mean())


# What the authors' notebook computes.


def test_reference_region_losses_carry_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    for name in ("dice", "iou", "tversky", "focal", "cb_dice"):
        assert not build_loss(name, 2, "reference")(logits, TARGET).requires_grad
        assert build_loss(name, 2)(logits, TARGET).requires_grad
    assert build_loss("cross_entropy", 2, "reference")(logits, TARGET).requires_grad


def test_reference_of_a_class_that_is_nowhere() -> None:
    """Its Dice and IoU are 0, its Tversky index 1, its focal term infinite; cross-entropy stops at −log 1e-7."""
    logits = torch.tensor([40.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    names = ("dice", "iou", "tversky", "focal", "cb_dice")
    values = {name: build_loss(name, 3, "reference")(logits, target).item() for name in names}
    assert values["dice"] == values["iou"] == pytest.approx(2 / 3)
    assert values["tversky"] == pytest.approx(0, abs=1e-6)
    assert values["focal"] == math.inf
    assert values["cb_dice"] == pytest.approx(1, abs=1e-5)
    wrong = build_loss("cross_entropy", 3, "reference")(logits, target + 1)
    assert wrong.item() == pytest.approx(-math.log(1e-7), rel=1e-6)


def test_reference_takes_the_first_of_equal_classes() -> None:
    tied = torch.zeros(1, 2, 2, 2)
    assert build_loss("iou", 2, "reference")(tied, torch.zeros_like(TARGET)).item() == pytest.approx(0.5)


# Wrong use.


def test_names_and_fidelities() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'dice'"):
        build_loss("dise", 2)
    with pytest.raises(ValueError, match=r"`fidelity` must be one of paper, reference, stable\. Found 'exact'"):
        build_loss("dice", 2, "exact")
    with pytest.raises(ValueError, match=r"'dice'.*cannot take these parameters"):
        build_loss("dice", 2, gamma=2)
    assert set(LOSSES) == set(VARIANTS["paper"])


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("dice", {"smooth": 0}),
        ("tversky", {"alpha": -1}),
        ("tversky", {"alpha": 0, "beta": 0}),
        ("focal", {"gamma": -1}),
        ("focal", {"alpha": (1, 2, 3)}),
        ("focal", {"alpha": 0}),
        ("adapt_exp", {"epsilon": 0}),
        ("smooth_l1", {"beta": 0}),
        ("iou", {"smooth": float("nan")}),
    ],
)
def test_bad_parameters_name_themselves(name: str, params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"`{next(iter(params))}`.* must be .*Found|0/0. Found|divides by 0"):
        build_loss(name, 2, **params)


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long), r"`logits` must be \(B, 2, "),
        (
            torch.zeros(2, 2, 4, 4),
            torch.zeros(2, 3, 4, 4),
            r"`target` must be of shape \(2, 4, 4\) or \(",
        ),
        (torch.zeros(2, 2, 4, 4), torch.zeros(2, 4, 4).to(torch.complex64), "`target` must hold labels"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.long), "`logits` must be"),
    ],
)
def test_bad_shapes_say_what_was_expected(logits: Tensor, target: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_loss("dice", 2)(logits, target)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="a binary task has two logits"):
        build_loss("dice", 1)


def test_a_paced_focal_loss_sharpens_and_fades_epoch_by_epoch() -> None:
    loss = build_loss("paced_focal", 2, epoch_scaling_factor=0.5, focal_weight_decay=0.9)
    loss.set_epoch(4)
    gamma = 2 * (1 + 0.5 * 4 * mean([1 - p for p in TRUE]))
    expected = -(0.9**4) * mean([(1 - p) ** gamma * math.log(p) for p in TRUE])
    assert loss(LOGITS, TARGET).item() == pytest.approx(expected, rel=1e-6)
    steady = build_loss("paced_focal", 2, adaptive_gamma=False, focal_weight_decay=1)
    steady.set_epoch(4)
    assert torch.equal(steady(LOGITS, TARGET), build_loss("paced_focal", 2)(LOGITS, TARGET))
    restored = build_loss("paced_focal", 2, epoch_scaling_factor=0.5, focal_weight_decay=0.9)
    restored.load_state_dict(loss.state_dict())
    assert torch.equal(restored(LOGITS, TARGET), loss(LOGITS, TARGET))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cross_entropy", {"difficulty_weight": 3}),
        ("focal", {"difficulty_weight": 3}),
        ("focal", {"difficulty_weight": 3, "gamma": 0.5}),
        ("mse", {"hard_negative_threshold": 0.3}),
        ("smooth_l1", {"hard_negative_threshold": 0.3, "beta": 0.5}),
        ("binary_cross_entropy", {"hard_negative_threshold": 0.3}),
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_emphasis_has_the_gradient_of_its_value(name: str, params: dict[str, float], classes: int) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, classes, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, classes, (2, 3, 3), generator=generator)
    loss = build_loss(name, classes, **params)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cross_entropy", {"difficulty_weight": -1}),
        ("focal", {"difficulty_weight": math.nan}),
        ("mse", {"hard_negative_threshold": 1.5}),
        ("smooth_l1", {"easy_negative_weight": -0.1}),
        ("paced_focal", {"focal_weight_decay": 0}),
        ("paced_focal", {"epoch_scaling_factor": -1}),
    ],
)
def test_emphasis_out_of_range_is_named(name: str, params: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(params))}`"):
        build_loss(name, 2, **params)

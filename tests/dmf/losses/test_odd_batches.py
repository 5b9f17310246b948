"""What a batch may be, all at once: labels of every type, ignored pixels that hold nothing, logits that are infinite.

The oracle is float64, which no compiled loop reads, on int64 labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from dmf.losses import FusedLosses, Loss, build_loss, evaluate
from dmf.losses.fused_pass import plain_statistics
from dmf.losses.region import DiceLoss
from dmf.losses.true_class import CrossEntropyLoss
from dmf.metrics import confusion_counts, soft_sums

SIX = ("cross_entropy", "focal", "iou", "dice", "tversky", "cb_dice")
EVERY = (*SIX, "mse", "exponential", "adaptive_focal")
TYPES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64)


def batch(classes: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(2, classes, 7, 5, generator=generator)
    return z, torch.randint(0, classes, (2, 7, 5), generator=generator)


def strided(z: Tensor) -> Tensor:
    """The same numbers where no loop reads them."""
    wide = torch.zeros(*z.shape[:-1], 2 * z.shape[-1], dtype=z.dtype)
    wide[..., ::2] = z
    return wide[..., ::2]


def gradient(losses: Sequence[Loss], z: Tensor, y: Tensor) -> Tensor:
    z = z.detach().requires_grad_()
    return torch.autograd.grad(evaluate(losses, z, y).sum(), z)[0]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("ignored", [None, 1, -1, 255, 256, 65535, -100])
@pytest.mark.parametrize("classes", [2, 3])
def test_labels_of_every_integer_type_are_those_of_int64(dtype: torch.dtype, ignored: int | None, classes: int) -> None:
    z, y = batch(classes)
    losses = [build_loss(name, classes, ignore_index=ignored) for name in EVERY]
    expected = evaluate(losses, z.double(), y)
    for logits in (z, strided(z), z.double()):
        torch.testing.assert_close(evaluate(losses, logits, y.to(dtype)).double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ignored", [-1, 256])
def test_no_label_of_another_type_is_the_ignored_one(ignored: int) -> None:
    z, y = batch(3)
    void = y.to(torch.uint8)
    void[0, 0, 0] = 255
    loss = build_loss("cross_entropy", 3, ignore_index=ignored)
    for logits in (z, z.double()):
        with pytest.raises(ValueError, match="255 among them"):
            loss(logits, void)
    with pytest.raises(ValueError, match="255 among them"):
        FusedLosses([loss])(z, void)


@pytest.mark.parametrize("ignored", [None, 256])
def test_metrics_take_every_integer_type(ignored: int | None) -> None:
    prediction, target = batch(3)[1], batch(3)[1].flip(0)
    expected = confusion_counts(prediction, target, 3)
    sums = soft_sums(batch(3)[0], target)
    for dtype in TYPES:
        found = confusion_counts(prediction.to(dtype), target.to(dtype), 3, ignore_index=ignored)
        assert found.equal(expected)
        hot = torch.stack([target == label for label in range(3)], dim=1).to(dtype)
        assert confusion_counts(prediction.to(dtype), hot, 3, ignore_index=ignored).equal(expected)
        assert soft_sums(batch(3)[0], target.to(dtype), ignore_index=ignored).equal(sums)


@pytest.mark.parametrize("name", ["mse", "dice", "cb_dice", "cross_entropy"])
def test_more_classes_than_a_byte_counts(name: str) -> None:
    z = torch.randn(1, 300, 6, generator=torch.Generator().manual_seed(1))
    y = torch.tensor([[0, 1, 44, 0, 255, 2]])
    loss = build_loss(name, 300)
    for logits in (z, z.double()):
        torch.testing.assert_close(loss(logits, y.to(torch.uint8)), loss(logits, y))
    counts = confusion_counts(y.flip(1), y, 300)
    assert confusion_counts(y.flip(1).to(torch.uint8), y.to(torch.uint8), 300).equal(counts)


def test_a_mask_of_bytes_that_is_viewed_as_bool_is_one_of_0_and_1() -> None:
    z, y = batch(2)
    mask = (y.to(torch.uint8) * 255).view(torch.bool)
    for name in EVERY:
        torch.testing.assert_close(build_loss(name, 2)(z, mask), build_loss(name, 2)(z, y))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("hidden", [strided, torch.Tensor.double, torch.clone], ids=["strided", "float64", "loops"])
def test_a_pixel_that_is_ignored_may_hold_anything(value: float, classes: int, hidden: object) -> None:
    z, y = batch(classes)
    y[0, 0, 0] = 255
    broken = z.clone()
    broken[0, :, 0, 0] = value
    broken = hidden(broken)  # type: ignore[operator]
    losses = [build_loss(name, classes, ignore_index=255) for name in (*EVERY, "paced_focal", "binary_cross_entropy")]
    for loss in losses:
        expected, seen = gradient([loss], z.double(), y), gradient([loss], broken, y)
        assert seen[0, :, 0, 0].eq(0).all(), loss
        torch.testing.assert_close(seen.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [*EVERY, "binary_cross_entropy", "paced_focal"])
def test_a_class_that_a_network_rules_out_costs_nothing_where_it_is_not_true(name: str) -> None:
    z, y = batch(3)
    z[:, 2], y = -torch.inf, y.clamp(max=1)
    low = z.clone()
    low[:, 2] = -60.0
    for logits in (z, strided(z), z.double()):
        torch.testing.assert_close(build_loss(name, 3)(logits, y), build_loss(name, 3)(low.to(logits.dtype), y))
        assert gradient([build_loss(name, 3)], logits, y).isfinite().all()


@pytest.mark.parametrize("name", ["cross_entropy", "focal", "adaptive_focal"])
def test_a_true_class_that_is_ruled_out_costs_infinitely_much_and_has_a_gradient(name: str) -> None:
    z, y = batch(3)
    z[0, :, 0, 0] = torch.tensor([-torch.inf, 0.0, 0.0])
    y[0, 0, 0] = 0
    for logits in (z, strided(z), z.double()):
        assert build_loss(name, 3)(logits, y) == torch.inf
        assert gradient([build_loss(name, 3)], logits, y).isfinite().all()


@pytest.mark.parametrize("margin", [4.0, 14.0, 17.0, 18.0, 30.0])
@pytest.mark.parametrize("name", ["dice", "cb_dice", "iou", "tversky"])
def test_what_a_sure_answer_leaves_over_counts_in_either_view_of_two_classes(name: str, margin: float) -> None:
    z, y = torch.zeros(1, 2, 64, 64), torch.zeros(1, 64, 64, dtype=torch.long)
    z[:, 0] = margin
    loss = build_loss(name, 2)
    for logits in (z, strided(z)):
        torch.testing.assert_close(loss(logits, y), loss(z.double(), y).float(), rtol=1e-4, atol=1e-6)
        exact = gradient([loss], z.double(), y).float()
        torch.testing.assert_close(gradient([loss], logits, y), exact, rtol=1e-3, atol=0)


class HardDice(DiceLoss):
    hard = True


class Twice(DiceLoss):
    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return 2 * super().forward(logits, target)


def test_hard_counts_are_hard_by_whatever_way() -> None:
    z, y = batch(3)
    z.requires_grad_()
    found = HardDice(3)(z, y)
    torch.testing.assert_close(found, evaluate([HardDice(3)], z, y, plain_statistics)[0])
    assert not found.requires_grad
    assert found != DiceLoss(3)(z, y)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_forward_of_ones_own_counts_among_others_too(reduction: str) -> None:
    z, y = batch(3)
    twice, entropy = Twice(3, reduction=reduction), CrossEntropyLoss(3, reduction=reduction)
    expected = torch.stack([2 * DiceLoss(3, reduction=reduction)(z, y), entropy(z, y)], dim=-1)
    torch.testing.assert_close(FusedLosses([twice, entropy])(z, y), expected)


@pytest.mark.parametrize("name", [*SIX, "exponential", "mse"])
def test_labels_that_change_before_the_backward_pass_are_an_error(name: str) -> None:
    z, y = batch(3)
    z.requires_grad_()
    value = build_loss(name, 3)(z, y)
    y.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_labels_of_inference_mode_may_be_trained_on() -> None:
    z, _ = batch(3)
    with torch.inference_mode():
        y = batch(3)[1]
    for name in EVERY:
        assert gradient([build_loss(name, 3)], z, y).isfinite().all()


@pytest.mark.parametrize("name", ["cross_entropy", "dice", "exponential", "mse"])
def test_function_transforms_see_plain_logits_and_labels_of_their_own(name: str) -> None:
    z, y = batch(3)
    loss = build_loss(name, 3)
    torch.testing.assert_close(torch.func.grad(lambda w: w * loss(z, y))(torch.ones(())), loss(z, y))

    def of_one(z: Tensor, y: Tensor) -> Tensor:
        return loss(z.unsqueeze(0), y.unsqueeze(0))

    each = torch.func.vmap(torch.func.grad(of_one))(z, y)
    expected = torch.stack([gradient([loss], z[i : i + 1], y[i : i + 1])[0] for i in range(2)])
    torch.testing.assert_close(each, expected)


def test_forward_mode_is_the_product_with_the_gradient() -> None:
    z, y = batch(3)
    along = torch.randn(z.shape, generator=torch.Generator().manual_seed(5))
    for name in EVERY:
        loss = build_loss(name, 3)
        with torch.autograd.forward_ad.dual_level():
            found = torch.autograd.forward_ad.unpack_dual(
                loss(torch.autograd.forward_ad.make_dual(z, along), y)  # type: ignore[no-untyped-call]
            ).tangent
        torch.testing.assert_close(found, (gradient([loss], z, y) * along).sum())


def test_the_weights_of_focal_are_one_setting() -> None:
    z, y = batch(3)
    loss = build_loss("focal", 3, alpha=(0.2, 0.3, 0.5))
    before = loss(z, y)
    loss.alpha = (1.0, 1.0, 1.0)
    torch.testing.assert_close(loss(z.double(), y).float(), before)
    torch.testing.assert_close(loss(z, y), before)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("dice", {"smooth": 1e-170}, "`smooth` must be at least"),
        ("dice", {"smooth": float("inf")}, "`smooth` must be at least"),
        ("dice", {"class_weights": (1, float("nan"), 1)}, "`class_weights` must be"),
        ("dice", {"class_weights": (1, float("inf"), 1)}, "`class_weights` must be"),
        ("focal", {"alpha": (0.1, float("nan"), 0.2)}, "`alpha` must be"),
        ("focal", {"alpha": float("inf")}, "`alpha` must be"),
        ("dice", {"ignore_index": 1.5}, "`ignore_index` must be a whole number"),
    ],
)
def test_a_parameter_that_no_value_would_come_of_is_refused(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_loss(name, 3, **params)


def test_a_label_to_ignore_may_be_a_tensor() -> None:
    assert build_loss("dice", 3, ignore_index=torch.tensor(255)).ignore_index == 255


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("logits", [torch.zeros(()), torch.zeros(6)[::2]])
def test_logits_without_channels_are_named(reduction: str, logits: Tensor) -> None:
    with pytest.raises(ValueError, match="`logits` must be"):
        build_loss("dice", 3, reduction=reduction)(logits, torch.tensor(1))


def test_complex_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="`logits` must be real"):
        build_loss("dice", 3)(torch.zeros(1, 3, 2, dtype=torch.complex64), torch.zeros(1, 2, dtype=torch.long))


def test_a_loss_of_torch_may_be_among_those_that_are_fused() -> None:
    z, y = batch(3)
    found = FusedLosses([torch.nn.CrossEntropyLoss(), DiceLoss(3)])(z, y)
    torch.testing.assert_close(found, torch.stack([torch.nn.functional.cross_entropy(z, y), DiceLoss(3)(z, y)]))


def test_a_trace_holds_the_losses() -> None:
    z, y = batch(3)
    losses = FusedLosses([build_loss(name, 3) for name in ("dice", "cross_entropy")])
    traced = torch.jit.trace(losses, (z, y), check_trace=False)
    torch.testing.assert_close(traced(z, y), losses(z, y))


def test_without_a_class_that_counts_all_count_alike() -> None:
    z, y = batch(3)
    loss = build_loss("cb_dice", 3, fidelity="stable", ignore_index=255)
    for logits in (z, strided(z), z.double()):
        torch.testing.assert_close(loss(logits, torch.full_like(y, 255)).float(), torch.zeros(()))
    sure = torch.tensor([[60.0, 0.0, 0.0]])
    assert build_loss("cb_dice", 3, fidelity="stable")(sure, torch.tensor([0])) == 0

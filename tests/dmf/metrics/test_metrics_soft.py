"""Soft Dice and IoU: values worked by hand, and where they meet the hard ones."""

from __future__ import annotations

import math

import pytest
import torch

from dmf.metrics import confusion_counts, soft_sums, summarise, summarise_soft


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_a_picture_of_two_pixels_by_hand() -> None:
    """Foreground .8 and .1 where the first is lesion; background .4 and .5, which need not be the rest of 1."""
    logits = torch.tensor([[[logit(0.4), logit(0.5)], [logit(0.8), logit(0.1)]]])
    target = torch.tensor([[1, 0]])
    sums = soft_sums(logits, target)
    assert sums[0].tolist() == [pytest.approx([0.5, 0.41, 1]), pytest.approx([0.8, 0.65, 1])]
    found = summarise_soft(sums)
    assert found["dice"] == pytest.approx((2 * 0.5 / 1.41 + 2 * 0.8 / 1.65) / 2)
    assert found["iou"] == pytest.approx((0.5 / (1.41 - 0.5) + 0.8 / (1.65 - 0.8)) / 2)


def test_a_class_is_scored_on_the_images_that_hold_it() -> None:
    sure = torch.tensor([[50.0, -50.0], [-50.0, 50.0]])  # background, then lesion
    logits = torch.stack([sure, sure])
    target = torch.tensor([[0, 1], [0, 0]])
    found = summarise_soft(soft_sums(logits, target))
    assert found["dice"] == pytest.approx((((1 + 2 / 3) / 2) + 1) / 2), "the lesion's is that of the first image"
    assert found["images"] == 2


@pytest.mark.parametrize("spatial", [(6, 5), (3, 4, 5)])
def test_of_a_network_that_is_sure_they_are_the_hard_ones(spatial: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    target, predicted = (torch.randint(0, 2, (1, *spatial), generator=generator) for _ in range(2))
    logits = 100.0 * (2 * torch.nn.functional.one_hot(predicted, 2).movedim(-1, 1) - 1)
    soft, hard = summarise_soft(soft_sums(logits, target)), summarise(confusion_counts(predicted, target, 2), "macro")
    assert (soft["dice"], soft["iou"]) == pytest.approx((hard["dice"], hard["iou"]))


def test_neither_the_order_of_images_nor_the_batch_matters() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, target = torch.randn(7, 3, 4, 4, generator=generator), torch.randint(0, 3, (7, 4, 4), generator=generator)
    whole = summarise_soft(soft_sums(logits, target))
    parts = torch.cat([soft_sums(logits[part], target[part]) for part in (slice(4, 7), slice(0, 4))])
    assert summarise_soft(parts) == pytest.approx(whole)


def test_what_counts_nowhere_is_in_no_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 5, generator=generator), torch.randint(0, 3, (2, 4, 5), generator=generator)
    target[:, 1:3] = 255
    kept = [0, 3]
    expected = soft_sums(logits[:, :, kept], target[:, kept])
    torch.testing.assert_close(soft_sums(logits, target, ignore_index=255), expected)


def test_an_image_without_a_pixel_to_judge_is_no_image() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(2, 2, 4, 5, generator=generator), torch.randint(0, 2, (2, 4, 5), generator=generator)
    target[1] = 255
    found = summarise_soft(soft_sums(logits, target, ignore_index=255))
    assert found == summarise_soft(soft_sums(logits[:1], target[:1]))
    assert found["images"] == 1

"""Adaptive focal loss: focus and class weights from the size and the outline of each image's lesion."""

from __future__ import annotations

from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from dmf.checks import require
from dmf.losses.base import LOSSES, REFERENCE, Common, Loss, TrueClassLoss
from dmf.losses.families import Pixels, Whole
from dmf.losses.labels import Labels, SoftLabels
from dmf.targets import SOFTMAX


@LOSSES.register("adaptive_focal")
class AdaptiveFocalLoss(TrueClassLoss):
    """A-FL: `−1/N Σ_i α_i (1 − p_i)^γ log p_i`, with α and γ from the true mask of pixel i's image.

    With `f` the foreground's share of the image, `α = 1 − f` for foreground and `f` for background; `γ = γ_va +
    γ_msa`, where `γ_va = f` and `γ_msa` is the mean length of the mask's gradient (central differences along each
    axis, one-sided at the border). Images of 2 or 3 dimensions; every class but 0 is foreground. A batch of single
    labels counts as one image without outline.

    An image whose mask is empty or full gives every pixel the weight 0 and teaches nothing: the formula as published.

    Source: "Enhancing Semantic Segmentation with Adaptive Focal Loss", arXiv 2407.09828; its code runs batches of
    one volume, here each image of a batch has its own α and γ. The fidelity `reference` is that code.

    >>> p, y = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    >>> round(AdaptiveFocalLoss(2)(p.log(), y).item(), 4)  # −½ (¼^½ log ¾ + ½^½ log ½) / 2: half is foreground
    0.1585
    """

    def value(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        return -self.alpha(labels) * pixels.small_q.pow(self.gamma(labels)) * pixels.log_p

    def slope(self, pixels: Pixels, labels: Labels) -> Float[Tensor, "B S"]:
        q = pixels.small_q
        gamma = self.gamma(labels)
        return self.alpha(labels) * q.pow(gamma) * (gamma * pixels.times_p(pixels.log_p) / q - 1)

    def alpha(self, labels: Labels) -> Float[Tensor, "B S"]:
        """Weight of each pixel."""
        share = foreground_share(labels).unsqueeze(1)
        return labels.select(torch.cat([share, (1 - share).expand(-1, labels.num_classes - 1)], dim=1))

    def gamma(self, labels: Labels) -> Float[Tensor, "B 1"]:
        """Focus of each image."""
        return (foreground_share(labels) + outline(labels)).unsqueeze(1)


def foreground_share(labels: Labels) -> Float[Tensor, " B"]:
    """Pixels of classes other than 0, as a share of the valid ones, image by image."""
    pixels = labels.class_pixels
    return pixels[:, 1:].sum(1) / pixels.sum(1).clamp_min(1)


def outline(labels: Labels) -> Float[Tensor, " B"]:
    """Mean length of the gradient of the foreground mask, image by image; 0 for labels without an image."""
    mask = labels.foreground
    axes = [axis for axis in labels.spatial if mask.shape[axis] > 1]
    if not axes:
        return mask.new_zeros(len(mask))
    squares = [slope.square() for slope in torch.gradient(mask, dim=axes)]
    return torch.stack(squares).sum(0).sqrt().flatten(1).mean(1)


@REFERENCE.register("adaptive_focal")
class ReferenceAdaptiveFocalLoss(Loss, Whole):
    """A-FL as its authors' code computes it: `−1/(N C) Σ_i Σ_c α_c (1 − p_ic)^γ log p_ic` over sigmoid channels.

    Each logit is a channel by itself: `p_ic` is `σ(z_ic)` where c is the true class, else `1 − σ(z_ic)`. The class
    weights come out swapped: the background channel gets `1 − f`, the foreground channels `f`, so 50 lesion pixels in
    10,000 weigh 0.005. `f` and γ as in `adaptive_focal`, image by image.

    Source: the code of arXiv 2407.09828, which contradicts the paper.

    >>> z, y = torch.zeros(2, 2), torch.tensor([0, 1])
    >>> round(ReferenceAdaptiveFocalLoss(2)(z, y).item(), 4)  # −½ ½^½ log ½ of each channel: half is foreground
    0.2451
    """

    def __init__(self, num_classes: int, **common: Unpack[Common]) -> None:
        super().__init__(num_classes, **common)
        fixed = "as by default: `adaptive_focal` of fidelity reference takes each channel through a sigmoid already"
        require(self.activation == SOFTMAX, "activation", self.activation, fixed)
        require(self.table is None, "class_weights or include_background", self.class_weights, fixed)

    def from_labels(self, z: Float[Tensor, "B C S"], labels: Labels) -> Float[Tensor, ""]:
        if isinstance(labels, SoftLabels):
            raise ValueError("Loss `adaptive_focal` (fidelity reference) takes no soft labels: its code has none.")
        share = foreground_share(labels).view(-1, 1, 1)
        gamma = share + outline(labels).view(-1, 1, 1)
        alpha = torch.cat([1 - share, share.expand(-1, self.num_classes - 1, -1)], dim=1)
        log_p = logsigmoid(z * (2 * labels.one_hot - 1))
        q = (-torch.expm1(log_p)).clamp_min(torch.finfo(z.dtype).tiny)
        pixels = labels.checked(labels.class_pixels.sum())
        return labels.total(-alpha * q.pow(gamma) * log_p) / (pixels * self.num_classes)

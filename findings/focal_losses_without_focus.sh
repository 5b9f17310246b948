#!/usr/bin/env bash
# MONAI 1.6.1, kornia 0.9.0, segmentation-models-pytorch 0.6.0: no focal loss is cross-entropy where gamma is 0.
#
# Guessed: all three give ln 3 for three classes of equal logits, as Lin et al.'s equation (4) does at gamma = 0 without
# alpha. Seen: MONAI and kornia divide by the number of classes too, over all of which they take the mean (ln 3 / 3);
# smp in mode "multiclass" is one sigmoid a class against the rest (ln 2). Who meets this: weights of a sum with Dice
# that are carried over from one library, or paper, to another: they are off by C, or belong to another loss.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 monai==1.6.1 kornia==0.9.0 \
    segmentation-models-pytorch==0.6.0
"$room/venv/bin/python" - <<'PYTHON'
import math

import torch
from kornia.losses import focal_loss
from monai.losses import FocalLoss as OfMonai
from segmentation_models_pytorch.losses import FocalLoss as OfSmp
from torch.nn.functional import cross_entropy

logits, labels = torch.zeros(1, 3, 2, 2), torch.tensor([[[0, 0], [1, 2]]])
found = {
    "cross-entropy": cross_entropy(logits, labels),
    "monai": OfMonai(gamma=0, use_softmax=True, to_onehot_y=True)(logits, labels[:, None]),
    "kornia": focal_loss(logits, labels, alpha=None, gamma=0.0, reduction="mean"),
    "smp": OfSmp("multiclass", gamma=0)(logits, labels),
}
found = {name: round(value.item(), 5) for name, value in found.items()}
print(found)
third, two = round(math.log(3) / 3, 5), round(math.log(2), 5)
expected = {"cross-entropy": round(math.log(3), 5), "monai": third, "kornia": third, "smp": two}
assert found == expected, "one of them has another mean now"
PYTHON

#!/usr/bin/env bash
# torchmetrics 1.9.0: what a class scores that neither mask holds depends on the class of metric: `GeneralizedDiceScore`
# per class takes it for a failure, `DiceScore` and `MeanIoU` leave it out.
#
# Guessed: a perfect prediction of two images, one of which lacks a class, has 1 for each class in all three. Seen:
# GeneralizedDiceScore(per_class=True) has 0.5 for that class, the mean of 1 and 0; for the image alone the three say 0,
# nan and -1. Who meets this: a table of Dice per class over patients of whom few have each lesion.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 torchmetrics==1.9.0
"$room/venv/bin/python" - <<'PYTHON'
import torch
from torchmetrics.segmentation import DiceScore, GeneralizedDiceScore, MeanIoU

both = torch.tensor([[[0, 0], [1, 2]], [[0, 0], [1, 1]]])
metrics = {
    "generalized": lambda: GeneralizedDiceScore(3, per_class=True, input_format="index"),
    "dice": lambda: DiceScore(3, average="none", input_format="index"),
    "iou": lambda: MeanIoU(3, per_class=True, input_format="index"),
}
pair = {name: metric()(both, both).tolist() for name, metric in metrics.items()}
alone = {name: metric()(both[1:], both[1:]).tolist()[2] for name, metric in metrics.items()}
print("both images:", pair)
print("third class of the image without it:", alone)
assert pair == {"generalized": [1.0, 1.0, 0.5], "dice": [1.0] * 3, "iou": [1.0] * 3}, "another mean now"
assert (alone["generalized"], alone["iou"]) == (0.0, -1.0) and alone["dice"] != alone["dice"]
PYTHON

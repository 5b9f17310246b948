#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0: a perfect prediction has an IoU of 1/C where metrics are reduced "weighted-imagewise".
#
# Guessed: 1, as with the other reductions that are given class weights. Seen: weights that sum to one are multiplied in
# and the mean over classes is taken after that, so that scores are C times too small; "weighted" takes the sum. All
# metrics of the module share the reduction. "macro" and "macro-imagewise" do the same to whoever passes class weights
# to every reduction; without weights they are right. Who meets this: a paper that reports weighted scores per image.
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 segmentation-models-pytorch==0.6.0
"$room/venv/bin/python" - <<'PYTHON'
import torch
from segmentation_models_pytorch.metrics import f1_score, get_stats, iou_score, recall

image = torch.tensor([[[0, 0, 1, 2]]])
counts = get_stats(image, image, mode="multiclass", num_classes=3)
seen = {
    reduction: [round(metric(*counts, reduction=reduction, class_weights=[1.0, 1.0, 2.0]).item(), 4)
                for metric in (iou_score, f1_score, recall)]
    for reduction in ("micro", "weighted", "micro-imagewise", "weighted-imagewise")
}
print("IoU, F1, recall of a perfect prediction:", seen)
assert seen.pop("weighted-imagewise") == [0.3333] * 3, "the weighted mean over classes is one now"
assert all(scores == [1.0] * 3 for scores in seen.values())
PYTHON

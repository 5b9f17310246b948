#!/usr/bin/env bash
# torchjd 0.18.0: below a size of gradients that training reaches, UPGrad is the plain mean and CAGrad stands still.
#
# Guessed: both give a hundredth of the direction for a hundredth of the gradients, as their definitions do. Seen:
# `norm_eps`, "to avoid division by zero", is compared to the squared norm of all gradients together and is 1e-4: from
# a norm of .01 down UPGrad no longer resolves conflicts, and CAGrad's update is zero, which ends the training. A loss
# that is a mean over pixels has such gradients with respect to its logits from the first step. MGDA, ConFIG, IMTL-G,
# AlignedMTL and PCGrad do not depend on the size. (Ours divides the Gramian by its mean diagonal first:
# dmf/weightings/gradients.py.)
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 "torchjd[cagrad,quadprog-projector]==0.18.0"
"$room/venv/bin/python" - <<'PYTHON'
import torch
from torchjd.aggregation import MGDA, CAGrad, Mean, UPGrad

conflicting = torch.tensor([[1.0, 0.0], [-0.9, 0.5]])


def direction(method, scale):
    return method(conflicting * scale) / scale


large, small = 1.0, 1e-3
for method in (UPGrad(), CAGrad(c=0.5), MGDA()):
    print(method, direction(method, large).tolist(), direction(method, small).tolist())
torch.testing.assert_close(direction(UPGrad(), small), direction(Mean(), small))
assert not torch.allclose(direction(UPGrad(), large), direction(Mean(), large), rtol=0.1), "no conflict in the example"
assert direction(CAGrad(c=0.5), small).eq(0).all() and direction(CAGrad(c=0.5), large).abs().sum() > 0.1
torch.testing.assert_close(direction(MGDA(), small), direction(MGDA(), large), rtol=1e-3, atol=0)
PYTHON

"""An nnU-Net v2 trainer with Dynamic Memory Fusion in its loss slot.

nnU-Net finds trainers in its own folder only: copy this file into `nnunetv2/training/nnUNetTrainer/`, then
`nnUNetv2_train DATASET 2d 0 -tr nnUNetTrainerFusion`, and `--c` to resume.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

import dmf


class nnUNetTrainerFusion(nnUNetTrainer):
    """Cross-entropy and Dice, weighted by their memory; all scales of a batch are one step of it."""

    fusion_params: dict[str, Any] = {}  # noqa: RUF012

    def _build_loss(self) -> Callable[[list[Tensor], list[Tensor]], Tensor]:
        scales = len(self._get_deep_supervision_scales()) if self.enable_deep_supervision else 1
        weights = [2.0**-scale for scale in range(scales)]
        if scales > 1:
            weights[-1] = 1e-6 if self.is_ddp else 0.0  # as nnU-Net has it: the coarsest teaches nothing
        self.fusion = dmf.DynamicMemoryFusion(
            ["cross_entropy", "dice"],
            weighting="variance",
            num_classes=self.label_manager.num_segmentation_heads,
            ignore_index=self.label_manager.ignore_label,
            scale_weights=weights,
            weighting_params=self.fusion_params,
        ).to(self.device)
        return lambda output, target: self.fusion(output, target).total

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename)
        if self.local_rank == 0 and not self.disable_checkpointing:
            checkpoint = torch.load(filename, map_location="cpu", weights_only=False)
            torch.save({**checkpoint, "fusion": self.fusion.state_dict()}, filename)

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        super().load_checkpoint(filename_or_checkpoint)
        checkpoint = torch.load(filename_or_checkpoint, map_location=self.device, weights_only=False)
        self.fusion.load_state_dict(checkpoint["fusion"])

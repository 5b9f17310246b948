"""Dynamic Memory Fusion in Hugging Face's Trainer: a module around network and fusion returns `loss`."""

from __future__ import annotations

import torch
from shapes import Shapes, options, report
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation, Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

import dmf

TINY = SegformerConfig(
    num_channels=1,
    num_labels=2,
    num_encoder_blocks=2,
    depths=[1, 1],
    sr_ratios=[2, 1],
    hidden_sizes=[8, 16],
    patch_sizes=[3, 3],
    strides=[2, 2],
    num_attention_heads=[1, 2],
    mlp_ratios=[2, 2],
    decoder_hidden_size=16,
)


class Segmentation(nn.Module):
    """A module around network and fusion, so that the trainer's checkpoint holds the state of both as it is."""

    def __init__(self, accumulate: int = 1) -> None:
        super().__init__()
        self.network = SegformerForSemanticSegmentation(TINY)
        self.fusion = dmf.DynamicMemoryFusion(
            ["cross_entropy", "iou", "dice"],
            weighting="variance",
            auxiliary="cb_dice",
            weighting_params={"history_size": 4},  # remember so little only where a training is so short
            accumulation_steps=accumulate,
        )

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.logits(pixel_values)
        return {"loss": self.fusion(logits, labels).total, "logits": logits}

    def logits(self, pixel_values: Tensor) -> Tensor:
        return F.interpolate(self.network(pixel_values).logits, pixel_values.shape[-2:], mode="bilinear")


class Logits(nn.Module):
    def __init__(self, model: Segmentation) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.logits(images)


def collate(pairs: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    images, labels = zip(*pairs, strict=True)
    return {"pixel_values": torch.stack(images), "labels": torch.stack(labels)}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of an optimiser step")
    args = parser.parse_args()
    set_seed(0)
    model = Segmentation(args.accumulate)
    trainer = Trainer(
        model,
        TrainingArguments(
            str(args.folder),
            use_cpu=True,
            num_train_epochs=args.epochs,
            per_device_train_batch_size=4,
            per_device_eval_batch_size=1,
            gradient_accumulation_steps=args.accumulate,
            learning_rate=1e-2,
            lr_scheduler_type="constant",
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            report_to="none",
            disable_tqdm=True,
        ),
        data_collator=collate,
        train_dataset=Shapes(args.images),
        eval_dataset=Shapes(args.validation, seed=1),
    )
    last = get_last_checkpoint(str(args.folder)) if args.folder.exists() else None
    trainer.train(resume_from_checkpoint=last)
    report(Logits(model), model.fusion, trainer.state.global_step)


if __name__ == "__main__":
    main()

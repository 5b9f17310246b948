"""Dynamic Memory Fusion in Lightning: the fusion is a part of the module, which saves it and says when to evaluate."""

from __future__ import annotations

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from shapes import Shapes, network, options, report
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

import dmf

Batch = tuple[Tensor, Tensor]


class Segmentation(lightning.LightningModule):
    def __init__(self, accumulate: int) -> None:
        super().__init__()
        self.network = network()
        self.fusion = dmf.DynamicMemoryFusion(
            ["cross_entropy", "iou", "dice"],
            weighting="variance",
            auxiliary="cb_dice",
            weighting_params={"history_size": 4},  # remember so little only where a training is so short
            accumulation_steps=accumulate,
        )

    def training_step(self, batch: Batch) -> Tensor:
        images, labels = batch
        out = self.fusion(self.network(images), labels)
        self.log_dict(
            {f"weight/{name}": weight for name, weight in zip(self.fusion.loss_names, out.weights, strict=True)}
        )
        return out.total

    def validation_step(self, batch: Batch) -> None:
        images, labels = batch
        self.log("validation loss", self.fusion(self.network(images), labels).total, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of an optimiser step")
    parser.add_argument("--devices", type=int, default=1, help="processes")
    args = parser.parse_args()
    module = Segmentation(args.accumulate)
    seen, unseen = Shapes(args.images), Shapes(args.validation, seed=1)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=args.devices,
        strategy="ddp" if args.devices > 1 else "auto",
        max_epochs=args.epochs,
        accumulate_grad_batches=args.accumulate,
        use_distributed_sampler=False,  # ours, in one process too: its order is that of the epoch, also after a resume
        callbacks=[ModelCheckpoint(args.folder, save_last=True)],
        logger=CSVLogger(args.folder, "log", version=0),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    order = DistributedSampler(seen, args.devices, trainer.global_rank)
    last = args.folder / "last.ckpt"
    trainer.fit(
        module,
        DataLoader(seen, batch_size=4, sampler=order),
        DataLoader(unseen, batch_size=1),
        ckpt_path=last if last.exists() else None,
    )
    report(module.network, module.fusion, trainer.global_step)


if __name__ == "__main__":
    main()

"""Dynamic Memory Fusion in MONAI's SupervisedTrainer, with deep supervision; two processes by torchrun."""

from __future__ import annotations

import os

import ignite.distributed as idist
import torch
from ignite.engine import Events
from ignite.metrics import Loss
from monai.data import Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import CheckpointLoader, CheckpointSaver, StatsHandler, ValidationHandler
from monai.networks.nets import DynUNet
from monai.utils import set_determinism
from shapes import Shapes, options, report
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

import dmf


def dictionaries(shapes: Shapes) -> Dataset:
    return Dataset([{"image": image, "label": label[None]} for image, label in shapes])


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of an optimiser step")
    args = parser.parse_args()
    if "WORLD_SIZE" in os.environ:
        idist.initialize("gloo")
    ranks, rank = idist.get_world_size(), idist.get_rank()
    set_determinism(0)
    network = DynUNet(
        2, 1, 2, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2], filters=[4, 8, 16, 16], deep_supervision=True, deep_supr_num=2
    )
    fusion = dmf.DynamicMemoryFusion(
        ["cross_entropy", "iou", "dice"],
        weighting="variance",
        auxiliary="cb_dice",
        weighting_params={"history_size": 4},  # remember so little only where a training is so short
        accumulation_steps=args.accumulate,
    )
    parallel = DistributedDataParallel(network) if ranks > 1 else network
    optimizer = torch.optim.Adam([*network.parameters(), *fusion.parameters()], lr=1e-2)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        """Of all scales at once, (B, scales, C, H, W) in training: without MONAI's DeepSupervisionLoss around it."""
        return fusion(logits.unbind(1) if logits.ndim == 5 else logits, labels).total

    seen = dictionaries(Shapes(args.images))
    order = DistributedSampler(seen, ranks, rank)
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(dictionaries(Shapes(args.validation, seed=1)), batch_size=1),
        network=parallel,
        key_val_metric={"loss": Loss(loss, output_transform=lambda output: (output["pred"], output["label"]))},
        val_handlers=[StatsHandler(output_transform=lambda output: None)],
        decollate=False,
    )
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=args.epochs,
        train_data_loader=DataLoader(seen, batch_size=4, sampler=order),
        network=parallel,
        optimizer=optimizer,
        loss_function=loss,
        train_handlers=[ValidationHandler(interval=1, validator=evaluator)],
        decollate=False,
        accumulation_steps=args.accumulate,
    )
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: order.set_epoch(engine.state.epoch))
    state = {"network": network, "fusion": fusion, "optimizer": optimizer, "trainer": trainer}
    # On every rank, of which the first writes: what ignite does is done together.
    CheckpointSaver(str(args.folder), state, save_final=True, final_filename="last.pt").attach(trainer)
    if (args.folder / "last.pt").exists():
        CheckpointLoader(str(args.folder / "last.pt"), state).attach(trainer)
    trainer.run()
    report(network, fusion, trainer.state.iteration // args.accumulate)
    idist.finalize()


if __name__ == "__main__":
    main()

"""Dynamic Memory Fusion with Hugging Face Accelerate; two processes: accelerate launch --cpu --num_processes 2 ..."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from shapes import Shapes, network, options, report
from torch.utils.data import DataLoader

import dmf


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of an optimiser step")
    args = parser.parse_args()
    set_seed(0)
    order = DataLoaderConfiguration(use_seedable_sampler=True)  # that of the epoch, also after a resume
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=args.accumulate, dataloader_config=order)
    model = network()
    fusion = dmf.DynamicMemoryFusion(
        ["cross_entropy", "iou", "dice"],
        weighting="variance",
        auxiliary="cb_dice",
        weighting_params={"history_size": 4},  # remember so little only where a training is so short
        accumulation_steps=args.accumulate,
    ).to(accelerator.device)
    optimizer = torch.optim.Adam([*model.parameters(), *fusion.parameters()], lr=1e-2)
    batches = DataLoader(Shapes(args.images), batch_size=4, shuffle=True)
    unseen = DataLoader(Shapes(args.validation, seed=1), batch_size=1)
    model, optimizer, batches, unseen = accelerator.prepare(model, optimizer, batches, unseen)
    accelerator.register_for_checkpointing(fusion)  # not prepared: its state is the same on every rank

    done = len(list(args.folder.glob("epoch_*")))
    if done:
        accelerator.load_state(args.folder / f"epoch_{done}")
    steps = done * (len(batches) // args.accumulate)
    for epoch in range(done, args.epochs):
        batches.set_epoch(epoch)
        model.train()
        fusion.train()
        for images, labels in batches:
            with accelerator.accumulate(model):
                accelerator.backward(fusion(model(images), labels).total)
                optimizer.step()
                optimizer.zero_grad()
                steps += accelerator.sync_gradients

        model.eval()
        fusion.eval()  # it answers from memory, and remembers nothing
        with torch.no_grad():
            losses = [accelerator.gather(fusion(model(images), labels).total[None]) for images, labels in unseen]
        accelerator.print(f"epoch {epoch}: validation loss {torch.cat(losses).mean():.4f}")
        accelerator.save_state(args.folder / f"epoch_{epoch + 1}")

    report(accelerator.unwrap_model(model), fusion, steps)
    accelerator.end_training()


if __name__ == "__main__":
    main()

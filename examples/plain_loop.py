"""Dynamic Memory Fusion in a plain PyTorch loop; two processes: torchrun --nproc-per-node 2 examples/plain_loop.py"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from shapes import Shapes, network, options, report
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

import dmf


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--accumulate", type=int, default=1, help="micro-batches of an optimiser step")
    args = parser.parse_args()
    ranks, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if ranks > 1:
        dist.init_process_group("gloo")

    model = network()
    fusion = dmf.DynamicMemoryFusion(
        ["cross_entropy", "iou", "dice"],
        weighting="variance",
        auxiliary="cb_dice",
        weighting_params={"history_size": 4},  # remember so little only where a training is so short
        accumulation_steps=args.accumulate,
    )
    parallel = DistributedDataParallel(model) if ranks > 1 else model
    optimizer = torch.optim.Adam([*model.parameters(), *fusion.parameters()], lr=1e-2)
    sampler = DistributedSampler(Shapes(args.images), ranks, rank)
    batches = DataLoader(sampler.dataset, batch_size=4, sampler=sampler)
    unseen = DataLoader(Shapes(args.validation, seed=1), batch_size=1)

    done, steps, checkpoint = 0, 0, args.folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        done, steps = saved["epochs"], saved["steps"]
        for name, part in {"model": model, "fusion": fusion, "optimizer": optimizer}.items():
            part.load_state_dict(saved[name])

    for epoch in range(done, args.epochs):
        sampler.set_epoch(epoch)
        model.train()
        fusion.train()
        for index, (images, labels) in enumerate(batches, start=1):
            (fusion(parallel(images), labels).total / args.accumulate).backward()
            if index % args.accumulate == 0:
                optimizer.step()
                optimizer.zero_grad()
                steps += 1

        model.eval()
        fusion.eval()  # it answers from memory, and remembers nothing
        with torch.no_grad():
            loss = sum(fusion(model(images), labels).total.item() for images, labels in unseen)
        if rank == 0:
            print(f"epoch {epoch}: validation loss {loss / max(1, len(unseen)):.4f}", flush=True)
            args.folder.mkdir(parents=True, exist_ok=True)
            state = {"model": model.state_dict(), "fusion": fusion.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({**state, "epochs": epoch + 1, "steps": steps}, checkpoint)

    report(model, fusion, steps)
    if ranks > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()

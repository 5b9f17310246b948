"""Dynamic Memory Fusion with a network, a loss and the metrics of segmentation-models-pytorch."""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch
from shapes import Shapes, options, report
from torch.utils.data import DataLoader, DistributedSampler

import dmf


def main() -> None:
    args = options(__doc__).parse_args()
    torch.manual_seed(0)
    model = smp.Unet("mobilenet_v2", encoder_weights=None, in_channels=1, classes=2, decoder_channels=(32, 16, 8, 8, 8))
    fusion = dmf.DynamicMemoryFusion(
        ["cross_entropy", "dice", smp.losses.LovaszLoss("multiclass")],
        weighting="variance",
        auxiliary="cb_dice",
        weighting_params={"history_size": 4},  # remember so little only where a training is so short
    )
    optimizer = torch.optim.Adam([*model.parameters(), *fusion.parameters()], lr=1e-2)
    order = DistributedSampler(Shapes(args.images), 1, 0)  # in an order that is that of the epoch, also after a resume
    batches = DataLoader(order.dataset, batch_size=4, sampler=order)
    unseen = DataLoader(Shapes(args.validation, seed=1), batch_size=1)

    done, checkpoint = 0, args.folder / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        done = saved["epochs"]
        for name, part in {"model": model, "fusion": fusion, "optimizer": optimizer}.items():
            part.load_state_dict(saved[name])

    for epoch in range(done, args.epochs):
        order.set_epoch(epoch)
        model.train()
        fusion.train()
        for images, labels in batches:
            optimizer.zero_grad()
            fusion(model(images), labels).total.backward()
            optimizer.step()

        model.eval()
        fusion.eval()  # it answers from memory, and remembers nothing
        loss, counts = 0.0, []
        with torch.no_grad():
            for images, labels in unseen:
                logits = model(images)
                loss += fusion(logits, labels).total.item() / len(unseen)
                counts.append(smp.metrics.get_stats(logits.argmax(1), labels, mode="multiclass", num_classes=2))
        iou = smp.metrics.iou_score(*map(torch.cat, zip(*counts, strict=True)), reduction="macro-imagewise")
        print(f"epoch {epoch}: validation loss {loss:.4f}, IoU {iou:.4f}")
        args.folder.mkdir(parents=True, exist_ok=True)
        state = {"model": model.state_dict(), "fusion": fusion.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**state, "epochs": epoch + 1}, checkpoint)

    report(model, fusion, args.epochs * len(batches))


if __name__ == "__main__":
    main()

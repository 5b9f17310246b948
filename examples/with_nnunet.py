"""Dynamic Memory Fusion in nnU-Net v2: a tiny data set, planned, preprocessed and trained by nnUNetTrainerFusion."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import torch
from shapes import Shapes, options, report

CASES = 8


def write_data(raw: Path) -> None:
    """As nnU-Net wants them: a folder of images, one of labels, and dataset.json."""
    from nnunetv2.dataset_conversion.generate_dataset_json import generate_dataset_json

    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    for index, (image, label) in enumerate(Shapes(CASES)):
        grey = ((image[0].clamp(-1, 2) + 1) / 3 * 255).byte().numpy()
        imageio.imwrite(raw / f"imagesTr/disc_{index:02}_0000.png", grey)
        imageio.imwrite(raw / f"labelsTr/disc_{index:02}.png", label.byte().numpy())
    generate_dataset_json(str(raw), {0: "grey"}, {"background": 0, "disc": 1}, CASES, ".png")


def plan_and_preprocess(data: Path) -> None:
    from nnunetv2.experiment_planning import plan_and_preprocess_api as api

    write_data(data / "raw" / "Dataset001_Discs")
    api.extract_fingerprints([1], num_processes=1, show_progress_bar=False)
    api.plan_experiments([1])
    api.preprocess([1], configurations=["2d"], num_processes=[1], show_progress_bar=False)


def install_trainer() -> None:
    """Put our trainer where nnU-Net looks for trainers."""
    import nnunetv2.training.nnUNetTrainer as package

    shutil.copy(Path(__file__).with_name("nnUNetTrainerFusion.py"), Path(package.__file__).parent)


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002
    torch.manual_seed(number)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path("runs/nnunet"), help="nnU-Net's raw and preprocessed data")
    args = parser.parse_args()
    os.environ.update(nnUNet_raw=str(args.data / "raw"), nnUNet_preprocessed=str(args.data / "preprocessed"))
    os.environ.update(nnUNet_results=str(args.folder), nnUNet_def_n_proc="1")
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    if not (args.data / "preprocessed" / "Dataset001_Discs" / "nnUNetPlans.json").exists():
        plan_and_preprocess(args.data)
    install_trainer()

    os.environ.update(nnUNet_n_proc_DA="0")  # augment in this process, whose draws can be seeded
    seed(0)
    resume = any(args.folder.rglob("checkpoint_*.pth"))
    trainer: Any = get_trainer_from_args(
        "1", "2d", 0, "nnUNetTrainerFusion", "nnUNetPlans", resume, torch.device("cpu")
    )
    trainer.fusion_params = {"history_size": 4}  # remember so little only where a training is so short
    trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = args.images // 4, args.validation
    trainer.num_epochs = 4  # of the learning rate's schedule
    trainer.initialize()
    maybe_load_checkpoint(trainer, resume, validation_only=False)
    trainer.num_epochs, begin = args.epochs, trainer.on_epoch_start

    def on_epoch_start() -> None:
        seed(trainer.current_epoch)  # nnU-Net draws as it likes; so drawn, a resumed run is the uninterrupted one
        begin()

    trainer.on_epoch_start = on_epoch_start
    trainer.run_training()
    trainer.set_deep_supervision_enabled(False)
    report(trainer.network, trainer.fusion, args.epochs * trainer.num_iterations_per_epoch)


if __name__ == "__main__":
    main()

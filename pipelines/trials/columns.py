"""What the columns of a trial's tables are called, where they are written and where they are read."""

from __future__ import annotations

from dmf.training.recorder import StepColumns


class HistoryColumns(StepColumns):
    """history.parquet: one row a training step, counted over the whole training."""

    step = "step"
    epoch = "epoch"


class EpochColumns:
    """epochs.parquet: one row an epoch."""

    epoch = "epoch"
    train_total = "train_total"
    seconds = "seconds"
    learning_rate = "learning_rate"

    @staticmethod
    def validation(metric: str) -> str:
        """The column of a validation metric after the epoch."""
        return f"val/{metric}"

    digests = "digest/order", "digest/augmentation", "digest/weights"
    """What identifies an epoch, see `pipelines.trials.digests`."""


class ImageColumns:
    """images.parquet: one row a test image; the other columns are the values of `Predictions.images`."""

    image = "image"
    label = "label"

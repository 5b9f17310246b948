"""Dynamic Memory Fusion in Keras on torch: a layer of the model, which `compute_loss` calls and `fit` saves."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers
from shapes import Shapes, options, report
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

import dmf


class Segmentation(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.network = keras.Sequential(
            [
                layers.Conv2D(8, 5, padding="same", data_format="channels_first"),
                layers.BatchNormalization(axis=1),
                layers.ReLU(),
                layers.Conv2D(8, 5, padding="same", data_format="channels_first"),
                layers.BatchNormalization(axis=1),
                layers.ReLU(),
                layers.Conv2D(2, 1, data_format="channels_first"),
            ]
        )
        fusion = dmf.DynamicMemoryFusion(
            ["cross_entropy", "iou", "dice"],
            weighting="variance",
            auxiliary="cb_dice",
            weighting_params={"history_size": 4},  # remember so little only where a training is so short
        )
        self.fusion = layers.TorchModuleWrapper(fusion)

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        return self.network(images, training=training)

    def compute_loss(
        self,
        x: Tensor | None = None,
        y: Tensor | None = None,
        y_pred: Tensor | None = None,
        sample_weight: None = None,
        training: bool = True,
    ) -> Tensor:
        self.fusion.module.train(training)
        return self.fusion.module(y_pred, y).total


def main() -> None:
    args = options(__doc__).parse_args()
    keras.utils.set_random_seed(0)
    seen, unseen = Shapes(args.images), Shapes(args.validation, seed=1)
    order = DistributedSampler(seen, 1, 0)  # in an order that is that of the epoch, also after a resume
    model = Segmentation()
    model(seen.images[:1])  # builds it
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(
        DataLoader(seen, batch_size=4, sampler=order),
        validation_data=DataLoader(unseen, batch_size=1),
        epochs=args.epochs,
        callbacks=[
            keras.callbacks.BackupAndRestore(args.folder, delete_checkpoint=False),
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: order.set_epoch(epoch)),
        ],
        verbose=2,
    )
    report(model.network, model.fusion.module, int(model.optimizer.iterations))


if __name__ == "__main__":
    main()

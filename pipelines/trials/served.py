"""A trial's network as MLflow loads it: MLflow runs this file, wherever the model has been carried to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np

from pipelines.trials.predictor import predictor_of


class Network(mlflow.pyfunc.PythonModel):
    """`pipelines.predict` for a batch of pictures of one size."""

    def load_context(self, context: Any) -> None:
        self._predictor = predictor_of(Path(context.artifacts["trial"]))

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow would check hints
        """Class indices (N, H, W) of segmented pictures, or probabilities (N, K) of classified ones.

        Args:
            context: MLflow's.
            model_input: UInt8 (N, H, W, C), grey (C = 1) or in colour (C = 3), of any size: prepared as in training.
            params: None are known.
        """
        pictures: list[np.ndarray] = [
            picture[..., 0] if picture.shape[-1] == 1 else picture for picture in np.asarray(model_input)
        ]
        segmented = self._predictor.preparation.task == "segmentation"
        return np.stack([(self._predictor.mask if segmented else self._predictor.probabilities)(p) for p in pictures])


mlflow.models.set_model(Network())

"""A trained network as ONNX gives the predictor's masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import dmf
from tests.support.toy import toy_data, toy_spec


@pytest.mark.integrations
def test_the_masks_are_the_same(tmp_path: Path) -> None:
    """For a batch of any size."""
    import onnxruntime  # and onnxscript, which torch's export asks for

    spec, data = toy_spec(epochs=1), toy_data()
    result = dmf.train(spec, data)
    torch.save(result.weights, tmp_path / "model.pt")
    preparation = {"classes": data.classes, "channels": 1, "spatial": [16, 16], "task": "segmentation"}
    record = {"spec": spec.to_dict(), "preparation": preparation}
    (tmp_path / "trial.json").write_text(json.dumps(record))
    predictor, images = dmf.load_predictor(tmp_path), torch.as_tensor(data.images)[result.rows]
    batch, path = {"images": {0: torch.export.Dim("batch")}}, tmp_path / "network.onnx"
    torch.onnx.export(predictor, (images[:2],), path, dynamic_shapes=batch, verbose=False)
    session = onnxruntime.InferenceSession(path)
    for shown in (images, images[:1]):
        (probabilities,) = session.run(None, {"images": shown.numpy()})
        np.testing.assert_allclose(probabilities, predictor(shown).detach().numpy(), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(probabilities.argmax(1), predictor.mask(shown).numpy())
    np.testing.assert_array_equal(predictor.mask(images).numpy(), result.predictions)

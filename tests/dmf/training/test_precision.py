"""`precision: auto` is what the device computes itself, and says what that was."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from dmf.training import precision
from dmf.training.precision import bf16_speed, computes_bf16, used_precision
from dmf.training.trial import Trial, train
from tests.support.toy import toy_data, toy_spec

X86 = torch.cpu.get_capabilities().get("architecture") == "x86_64"


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_a_precision_that_is_asked_for_is_used(asked: str) -> None:
    assert used_precision(asked, "cpu") == asked


def test_auto_trains_as_the_precision_that_it_comes_to() -> None:
    auto, data = Trial(toy_spec(precision="auto"), toy_data(images=8)), toy_data(images=8)
    used = auto.training_step.precision
    assert used == used_precision("auto", "cpu")
    found, named = (train(toy_spec(precision=name, epochs=1), data) for name in ("auto", used))
    np.testing.assert_array_equal(found.predictions, named.predictions)
    assert found.test == named.test


@pytest.mark.skipif(not X86, reason="oneDNN's instruction sets are those of x86")
def test_a_cpu_without_avx512_has_no_bf16() -> None:
    lines = "from dmf.training.precision import *; print(used_precision('auto', 'cpu'), computes_bf16('cpu'))"
    narrow = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    found = subprocess.run([sys.executable, "-c", lines], env=narrow, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["fp32", "False"]


@pytest.mark.skipif(not X86, reason="names of x86 instructions")
def test_a_cpu_with_instructions_for_bf16_uses_them() -> None:
    flags = torch.cpu.get_capabilities()
    if not (flags["avx512_bf16"] or flags["amx_bf16"]):
        pytest.skip("this CPU has none")
    assert computes_bf16("cpu")
    assert used_precision("auto", "cpu") == "bf16"


@pytest.mark.parametrize(("times", "expected"), [(0.1, "fp32"), (1.05, "fp32"), (1.5, "bf16")])
def test_a_device_that_does_not_say_is_measured(times: float, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"})
    monkeypatch.setattr(precision, "bf16_speed", lambda device: times)
    assert computes_bf16("cpu") is None
    assert used_precision("auto", "cpu") == expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_by_its_compute_capability(
    capability: tuple[int, int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert used_precision("auto", "cuda") == expected


def test_the_measurement_is_a_ratio_and_draws_no_random_number() -> None:
    before = torch.get_rng_state()
    assert bf16_speed("cpu") > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert bf16_speed("cpu") == bf16_speed("cpu")  # measured once

"""What a trial ran on: no part of its identity, but of its record, since it changes last digits."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch
from torch import nn

from dmf import kernels
from dmf.training.trial import Trial
from pipelines.trials.stored import Strict


class Environment(Strict):
    """Machine and libraries of one attempt at a trial.

    Attributes:
        platform: Operating system and architecture, such as "Linux x86_64".
        torch: With its build, such as "2.15.0+cu132".
        libraries: Versions of NumPy, of the libraries that network and losses are made of, such as timm, and of numba
            where it stands in for torch's operations.
        device: The GPU's name, or "CPU".
        instruction_set: The CPU's that torch uses, such as "AVX512".
        threads: Of the CPU, for one operation.
        precision: The one that was used: "bf16" for autocast, "fp32", or "fp32 with TF32 in convolutions" where a GPU
            shortens factors.
    """

    node: str
    python: str
    platform: str
    torch: str
    libraries: dict[str, str]
    device: str
    instruction_set: str
    threads: int
    precision: str

    @classmethod
    def of(cls, trial: Trial) -> Environment:
        """That of a trial in this process."""
        on_gpu = trial.device.type == "cuda"
        compiler = {} if on_gpu or not kernels.installed() else {"numba": version("numba")}
        libraries = _libraries((*trial.model.modules(), *trial.fusion.modules()))
        return cls(
            node=platform.node(),
            python=platform.python_version(),
            platform=f"{platform.system()} {platform.machine()}",
            torch=torch.__version__,
            libraries={"numpy": np.__version__, **libraries, **compiler},
            device=torch.cuda.get_device_name(trial.device) if on_gpu else "CPU",
            instruction_set=torch.backends.cpu.get_cpu_capability(),
            threads=torch.get_num_threads(),
            precision=_precision(trial.training_step.precision, on_gpu),
        )

    def digits(self, asked: str) -> dict[str, str]:
        """What decides the last digits of a result, each in words, by what it is about.

        Two environments may give other digits if they say different things about one of them. Node and Python change
        none; of two precisions that were `asked` for by specs, each is a matter of its own.
        """
        words = {"torch": f"PyTorch {self.torch}", "device": self.device, "platform": self.platform}
        if self.device == "CPU":
            words |= {
                "instruction_set": self.instruction_set,
                "threads": f"{self.threads} thread{'s' * (self.threads > 1)}",
            }
        words |= {f"precision {asked}": self.precision}
        return words | {name: f"{name} {number}" for name, number in self.libraries.items()}


def _libraries(modules: Iterable[nn.Module]) -> dict[str, str]:
    packages = sorted({type(module).__module__.partition(".")[0] for module in modules} - {"dmf", "torch"})
    return {package: found for package in packages if (found := _version(package))}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # such as a module of a person's own
        return ""


def _precision(used: str, on_gpu: bool) -> str:
    backends = {
        "convolutions": torch.backends.cudnn.conv,  # type: ignore[attr-defined]
        "matrix products": torch.backends.cuda.matmul,
    }
    if used != "fp32" or not on_gpu or not torch.cuda.is_tf32_supported():
        return used
    short = [name for name, backend in backends.items() if backend.fp32_precision == "tf32"]  # type: ignore[attr-defined]
    return f"{used} with TF32 in {' and '.join(short)}" if short else used

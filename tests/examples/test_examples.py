"""Programs of examples/: each trainer evaluates, resumes, accumulates and runs in two processes as if nothing were.

The last line of a program names the weights, counts the steps, and ends in digests of network and memory: runs of
equal last lines learned the same, bit for bit.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import subprocess
import sys
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path

import pytest

from tests.support.places import ROOT

EXAMPLES = ROOT / "examples"
DIGEST = "[0-9a-f]{12}"
LAST = re.compile(rf"dice 0\.\d+ \| [^|\n]* \| (\d+) steps, (\d+) remembered \| network {DIGEST}, memory {DIGEST}")
EPOCHS, STEPS = 2, 16

trainers = [pytest.param("plain_loop")] + [
    pytest.param(f"with_{name}", marks=pytest.mark.integrations)
    for name in ("lightning", "accelerate", "huggingface", "monai", "nnunet", "smp", "keras")
]
trainer = pytest.mark.parametrize("trainer", trainers)
ACCUMULATE = ("plain_loop", "with_lightning", "with_accelerate", "with_huggingface", "with_monai")
accumulating = pytest.mark.parametrize("trainer", [one for one in trainers if one.values[0] in ACCUMULATE])


@pytest.fixture(scope="module")
def nnunet_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planned and preprocessed by the first program that needs it."""
    return tmp_path_factory.mktemp("nnunet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, nnunet_data: Path) -> dict[str, str]:
    """The last line of each trainer's uninterrupted run, from the first test that asks for it on."""
    return Whole(tmp_path_factory, nnunet_data)


class Whole(dict[str, str]):
    def __init__(self, folders: pytest.TempPathFactory, data: Path) -> None:
        self.folders, self.data = folders, data

    def __missing__(self, trainer: str) -> str:
        self[trainer] = run(trainer, self.folders.mktemp(trainer), self.data)
        return self[trainer]


def run(trainer: str, folder: Path, data: Path, **options: int) -> str:
    """The last line of a program."""
    arguments = spelled(folder=folder, **options)
    if trainer == "with_nnunet":  # which reads its folders from the environment when it is imported
        said = outcome([sys.executable, str(EXAMPLES / f"{trainer}.py"), *arguments, f"--data={data}"])
    else:
        said = inside(trainer, arguments)
    last = LAST.search(said)
    assert last is not None, said[-4000:]
    return last.group()


def spelled(**options: int | Path) -> list[str]:
    return [f"--{name}={value}" for name, value in {"epochs": EPOCHS, **options}.items()]


def inside(trainer: str, arguments: list[str]) -> str:
    """What a program prints that is run in this process, which spares its imports."""
    program, said = str(EXAMPLES / f"{trainer}.py"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
        patch.setattr(sys, "argv", [program, *arguments])
        patch.syspath_prepend(str(EXAMPLES))
        with suppress(SystemExit) if arguments == ["--help"] else nullcontext():
            runpy.run_path(program, run_name="__main__")
    return said.getvalue()


def outcome(command: list[str]) -> str:
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def counts(line: str) -> tuple[int, int]:
    """Steps of the optimiser, and of the memory."""
    found = LAST.fullmatch(line)
    assert found is not None
    return int(found[1]), int(found[2])


@trainer
def test_help_says_what_it_is(trainer: str) -> None:
    said = inside(trainer, ["--help"])
    assert "Dynamic Memory Fusion" in said
    assert "--validation" in said


@trainer
def test_every_step_of_the_optimiser_is_one_of_the_memory(trainer: str, whole: dict[str, str]) -> None:
    """MONAI and nnU-Net train with deep supervision here: several scales are one step, too."""
    assert counts(whole[trainer]) == (STEPS, STEPS)
    weights = [float(weight) for weight in re.findall(r" (0\.\d{4})", whole[trainer])]
    assert sum(weights) == pytest.approx(1, abs=1e-3)
    assert max(weights) - min(weights) > 1e-3, "The memory has spoken."


@trainer
def test_a_resumed_run_is_the_uninterrupted_one(
    trainer: str, whole: dict[str, str], nnunet_data: Path, tmp_path: Path
) -> None:
    assert counts(run(trainer, tmp_path, nnunet_data, epochs=1)) == (STEPS // 2, STEPS // 2)
    assert run(trainer, tmp_path, nnunet_data) == whole[trainer]


@trainer
def test_a_hundred_validation_steps_change_nothing(
    trainer: str, whole: dict[str, str], nnunet_data: Path, tmp_path: Path
) -> None:
    assert run(trainer, tmp_path, nnunet_data, validation=100) == whole[trainer]


@accumulating
def test_four_micro_batches_are_one_step(trainer: str, nnunet_data: Path, tmp_path: Path) -> None:
    assert counts(run(trainer, tmp_path, nnunet_data, accumulate=4)) == (STEPS // 4, STEPS // 4)


@pytest.mark.integrations
@accumulating
def test_two_processes_remember_the_same(trainer: str, tmp_path: Path) -> None:
    """With gloo, each on half of the images."""
    one, other = two_processes(trainer, tmp_path, accumulate=2)
    assert counts(one) == counts(other) == (STEPS // 4, STEPS // 4)
    assert memory(one) == memory(other)


@pytest.mark.integrations
def test_a_fusion_within_a_parallel_module_remembers_what_one_beside_it_does(tmp_path: Path) -> None:
    """The mean over ranks and micro-batches, although the module's buffers are sent from the first rank to all."""
    within, beside = (two_processes(trainer, tmp_path / trainer, accumulate=2)[0] for trainer in ACCUMULATE[1::-1])
    assert (
        within.partition(" | network")[0] == beside.partition(" | network")[0]
    )  # gradients are summed in another order


def two_processes(trainer: str, folder: Path, **options: int) -> list[str]:
    """The last lines of both."""
    arguments = spelled(folder=folder, **options)
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    if trainer == "with_lightning":
        start, arguments = [], [*arguments, "--devices=2"]
    said = outcome([sys.executable, *start, str(EXAMPLES / f"{trainer}.py"), *arguments])
    return [last.group() for last in LAST.finditer(said)]


def memory(line: str) -> str:
    """The digest of the memory."""
    return line.rpartition(" ")[2]

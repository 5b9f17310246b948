"""Trial folders as the grid writes them, with made-up training: for looking at the report and for testing it."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from dmf.training.diagnostics import RANDOM_START, Finding
from dmf.training.spec import TrialSpec
from pipelines.report.data import DataFacts
from pipelines.trials.columns import EpochColumns
from pipelines.trials.identity import identifier
from pipelines.trials.plan import PlannedTrial
from pipelines.trials.record import DONE, Start, TrialRecord
from tests.support.grids import planned_trial
from tests.support.records import begun, record_of_planned

SIDE = 64
BASE = TrialSpec(
    dataset="phantom", seed=0, model_params={"base_filters": 16}, image_size=SIDE, epochs=6, batch_size=8, tick=17
)
Score = Callable[[TrialSpec], float]
Attempt = Callable[[TrialSpec], Start]


def paper_specs(dataset: str = "phantom", seeds: int = 3) -> list[TrialSpec]:
    """The paper's 13 configurations, seed by seed."""
    grid = [(w, a) for w in ("variance", "mad", "bayesian") for a in ("tversky", "focal", "cb_dice", None)]
    return [
        dataclasses.replace(BASE, dataset=dataset, seed=seed, weighting=weighting, auxiliary=auxiliary)
        for seed in range(seeds)
        for weighting, auxiliary in [*grid, ("fixed", None)]
    ]


def name_of(spec: TrialSpec) -> str:
    return f"{spec.weighting} · {spec.auxiliary or 'none'}"


def fold_of(spec: TrialSpec) -> int:
    """Each fold tests on images of its own."""
    return int(spec.split.removeprefix("fold:")) if spec.split.startswith("fold:") else 0


def plausible(spec: TrialSpec) -> float:
    """A Dice that depends on configuration and seed the way real ones do."""
    luck = _generator("score", name_of(spec), spec.seed, spec.dataset).normal()
    shared = _generator("seed", spec.seed, spec.dataset).normal()
    lift = {"variance": 0.02, "mad": 0.015, "bayesian": 0.0}.get(spec.weighting, 0.0)
    lift += {"cb_dice": 0.03, "tversky": 0.01, "focal": 0.012}.get(spec.auxiliary or "", 0.0)
    return float(np.clip(0.72 + lift + 0.01 * luck + 0.012 * shared, 0, 1))


def plan_trials(root: Path, specs: Iterable[TrialSpec]) -> list[PlannedTrial]:
    return [planned_trial(identifier(spec, "data", "code"), name_of(spec), spec, root / "s") for spec in specs]


def on_one_machine(spec: TrialSpec) -> Start:
    return begun(started=f"2026-01-01T00:0{spec.seed}:00+00:00")


def write_trials(
    planned: Iterable[PlannedTrial],
    facts: DataFacts,
    score: Score = plausible,
    attempt: Attempt = on_one_machine,
    random_start: Callable[[TrialSpec], bool] = lambda spec: False,
) -> None:
    """Fill every planned folder; `score` is the lesion Dice per image, from which all other scores follow."""
    for trial in planned:
        spec = trial.spec
        lacking = (Finding(RANDOM_START, 0, "It began from random ones."),) if random_start(spec) else ()
        _write_trial(trial, facts, score(spec), attempt(spec), (*lacking, *_findings(spec)))


def records_of(specs: Iterable[TrialSpec], score: Score = plausible) -> list[TrialRecord]:
    """Finished trials without folders: only their scores, and the Dice of five test images around each of them."""
    records = []
    for trial in plan_trials(Path("nowhere"), specs):
        dice = score(trial.spec)
        test = _measured(trial.spec, dice, 5, ("reference", "per_image", "pooled"))
        record = record_of_planned(trial, test=test, validation=test)
        around = np.clip(dice + np.linspace(-0.05, 0.05, 5), 0, 1)
        record.__dict__["images"] = pd.DataFrame({"image": [f"case_{n:03}.png" for n in range(15, 20)], "dice": around})
        records.append(record)
    return records


def make_facts(dataset: str = "phantom", images: int = 20) -> DataFacts:
    """Speckled pictures with a dark ellipse; the last five are the test images."""
    rng = _generator("images", dataset)
    truths = np.stack([_ellipse(*_shape(rng)) for _ in range(images)]).astype(np.uint8)
    speckle = rng.rayleigh(size=(images, SIDE, SIDE))
    pictures = (np.clip(70 * speckle * np.where(truths, 0.35, 1.0), 0, 255)).astype(np.uint8)[:, None]
    moved = [np.roll(pictures.astype(float), (i, j), (2, 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    smooth = np.mean(moved, axis=0)
    return DataFacts(
        name=dataset,
        title="Simulated & real_istic ultrasound",
        task="segmentation",
        classes=("background", "lesion"),
        foreground="lesion",
        terms="Made by this project; 100 % free.",
        citation="Nobody et al. (2026).",
        reduced="longest side 256 px",
        split="grouped split",
        images={"train": images - 10, "val": 5, "test": 5},
        size=SIDE,
        checksum="0" * 64,
        originals=pictures,
        filtered=smooth.astype(np.uint8),
        truths=truths,
        cases=tuple(f"case_{index:03}.png" for index in range(images)),
    )


def make_classified(dataset: str = "phantom", images: int = 24) -> DataFacts:
    """The same pictures, each of one of three classes."""
    facts = make_facts(dataset, images)
    truths = (np.arange(images) % 3).astype(np.uint8)
    classes = ("no tumour", "glioma", "meningioma_of_some_length")
    return dataclasses.replace(facts, task="classification", classes=classes, foreground="", truths=truths)


def _write_trial(
    trial: PlannedTrial, facts: DataFacts, dice: float, attempt: Start, findings: tuple[Finding, ...]
) -> None:
    spec, folder = trial.spec, trial.folder
    folder.mkdir(parents=True)
    rng = _generator("trial", name_of(spec), spec.seed, spec.dataset)
    tested = np.roll(np.arange(len(facts.cases)), fold_of(spec) * facts.images["test"])[-facts.images["test"] :]
    predicted, images, confusion = (_found if facts.task == "segmentation" else _named)(facts, tested, rng)
    _history(spec, rng).to_parquet(folder / "history.parquet", index=False)
    _epochs(spec, dice, rng).to_parquet(folder / "epochs.parquet", index=False)
    names = [facts.cases[index] for index in tested]
    pd.DataFrame({"image": names, "label": "benign", **images}).to_parquet(folder / "images.parquet", index=False)
    np.savez_compressed(folder / "predictions.npz", index=tested, masks=predicted)
    record = record_of_planned(
        trial,
        attempts=(attempt,),
        best_epoch=spec.epochs - 2,
        test=_measured(spec, dice, len(tested), facts.protocols),
        validation=_summary(dice + 0.01, 5),
        confusion=confusion,
        diagnostics=findings,
    )
    (folder / DONE).write_text(record.to_json())


def _found(
    facts: DataFacts, tested: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, object], tuple[tuple[int, ...], ...]]:
    """Masks that are a little off, what each scores, and the pixels of each class by predicted class."""
    predicted = np.stack([np.roll(facts.truths[index], rng.integers(-5, 6, size=2), (0, 1)) for index in tested])
    overlap = [_dice(mask, facts.truths[index]) for mask, index in zip(predicted, tested, strict=True)]
    return (
        predicted,
        {"dice": overlap, "hd95": rng.uniform(1, 9, len(tested)), "hausdorff": np.full(len(tested), 9.5)},
        ((900, 20), (30, 50)),
    )


def _named(
    facts: DataFacts, tested: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, object], tuple[tuple[int, ...], ...]]:
    """Classes of which the first is wrong, what each image's true class is given, and the images by predicted class."""
    predicted = facts.truths[tested].copy()
    predicted[0] = (predicted[0] + 1) % len(facts.classes)
    confusion = np.zeros((len(facts.classes), len(facts.classes)), dtype=int)
    np.add.at(confusion, (facts.truths[tested], predicted), 1)
    images = {"correct": predicted == facts.truths[tested], "probability": rng.uniform(0.2, 1, len(tested))}
    return predicted, images, tuple(map(tuple, confusion.tolist()))


def _findings(spec: TrialSpec) -> tuple[Finding, ...]:
    if spec.weighting != "bayesian":
        return ()
    step = 20 + spec.seed
    message = f"`dice` has 99 % of the weight <since> step {step}."
    return (Finding("weight_collapse", step, message, "dice"),)


def _measured(spec: TrialSpec, dice: float, images: int, protocols: Collection[str]) -> dict[str, dict[str, float]]:
    """Scores of the test images by protocol, on noisy ones too where the spec asks for them."""
    summary = {name: scores for name, scores in _summary(dice, images).items() if name in protocols}
    summary |= {f"{name}@noise={level}": dict(summary[name]) for name in list(summary) for level in spec.test_noise}
    if "per_image" in summary:
        summary["per_image"] |= {"hd95": 30 * (1 - dice), "hausdorff": 40 * (1 - dice)}
    return summary


def _summary(dice: float, images: int) -> dict[str, dict[str, float]]:
    lesion = {"dice": dice, "iou": dice / (2 - dice), "f1": dice, "precision": dice + 0.02, "recall": dice - 0.02}
    lesion |= {"sensitivity": dice - 0.02, "specificity": 0.9 + dice / 10, "accuracy": 0.97, "cb_dice": dice - 0.01}
    counts = {"both_empty": 0.0, "missed": 1.0, "invented": 0.0, "images": float(images)}
    lifted = {name: (value + 1) / 2 for name, value in lesion.items()}
    protocols = {"per_image": lesion, "pooled": lesion, "reference": lifted, "macro": lifted, "weighted": lifted}
    return {name: values | counts for name, values in protocols.items()}


def _history(spec: TrialSpec, rng: np.random.Generator) -> pd.DataFrame:
    steps = spec.epochs * 10
    time = np.arange(steps) / steps
    table = {"step": np.arange(steps), "epoch": np.arange(steps) // 10, "gamma": 5 * np.exp(-time)}
    walk = rng.normal(size=(len(spec.losses), steps)).cumsum(axis=1) * (spec.weighting != "fixed") * 0.08
    weights = np.exp(walk) / np.exp(walk).sum(axis=0)
    for place, loss in enumerate(spec.losses):
        decay = (0.8 - 0.15 * place) * np.exp(-(3 + place) * time) + 0.05
        table[f"loss/{loss}"] = decay * rng.lognormal(0, 0.08, steps)
        table[f"weight/{loss}"] = weights[place]
    total = sum(table[f"loss/{loss}"] * table[f"weight/{loss}"] for loss in spec.losses)
    return pd.DataFrame(table | {"auxiliary": 0.3 * np.exp(-time), "total": total})


def _epochs(spec: TrialSpec, dice: float, rng: np.random.Generator) -> pd.DataFrame:
    epoch = np.arange(spec.epochs)
    score = (1 + dice) / 2 * (1 - 0.5 * np.exp(-epoch / spec.epochs * 5)) + rng.normal(0, 0.004, spec.epochs)
    columns = {"epoch": epoch, "train_total": 1 / (epoch + 1), "seconds": 2.0, "learning_rate": 1e-3}
    columns |= dict.fromkeys(EpochColumns.digests, "0" * 32)
    return pd.DataFrame(columns | {"val/dice": score, "val/cb_dice": score - 0.01, "val/images": 5.0})


def _shape(rng: np.random.Generator) -> tuple[float, float, float, float]:
    return (*rng.uniform(20, 44, 2), *rng.uniform(6, 16, 2))  # type: ignore[return-value]


def _ellipse(row: float, column: float, height: float, width: float) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    return ((y - row) / height) ** 2 + ((x - column) / width) ** 2 < 1


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * int((a & b).sum()) / int(a.sum() + b.sum())


def _generator(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))

"""`docs/targets.md` says of every loss what it takes, and each takes that and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from dmf.losses import build_loss
from tests.support.forms import EVERY, example, hot, presence, soft
from tests.support.places import ROOT

PAGE = (ROOT / "docs" / "targets.md").read_text("utf-8")
SHAPE = (2, 3, 4, 5)
LABELS = example(SHAPE)[1]


def table(begins: str) -> list[dict[str, str]]:
    lines = PAGE[PAGE.index(f"| {begins} |") :].partition("\n\n")[0].splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


ROWS = {
    (words[0] if len(words) > 1 else "paper", words[-1]): {name: cell for name, cell in row.items() if name != "losses"}
    for row in table("losses")
    for words in (entry.split() for entry in re.findall(r"`([^`]+)`", row["losses"]))
}


def value(loss: tuple[str, str], target: torch.Tensor, classes: int = 3, **options: Any) -> torch.Tensor:
    fidelity, name = loss
    return build_loss(name, classes, fidelity, **options)(example((2, classes, 4, 5))[0], target)


FORMS: dict[str, Callable[[tuple[str, str]], torch.Tensor]] = {
    "class indices": lambda loss: value(loss, LABELS),
    "one-hot": lambda loss: value(loss, hot(LABELS, 3)),
    "soft labels": lambda loss: value(loss, soft(SHAPE)),
    "one logit": lambda loss: value(loss, LABELS.clamp_max(1), 1, activation="sigmoid"),
    "several labels": lambda loss: value(loss, presence(SHAPE), activation="sigmoid"),
    "`class_weights`": lambda loss: value(loss, LABELS, class_weights=[1, 2, 3]),
    "`include_background=False`": lambda loss: value(loss, LABELS, include_background=False),
}


def test_the_page_knows_every_loss() -> None:
    assert sorted(ROWS) == sorted(EVERY)
    assert all(set(row) == set(FORMS) for row in ROWS.values())


@pytest.mark.parametrize("loss", EVERY, ids=" ".join)
def test_each_loss_takes_what_the_page_says(loss: tuple[str, str]) -> None:
    for form, said in ROWS[loss].items():
        if said == "yes":
            assert not FORMS[form](loss).isnan()
            continue
        with pytest.raises(ValueError, match=r"adaptive_focal|one logit leaves|a mean over pixels"):
            FORMS[form](loss)
        if said == "sigmoid":
            value(loss, presence(SHAPE), activation="sigmoid", include_background=False)
        else:
            assert said == "no"


DTYPES = {
    "bool": [torch.bool],
    "any integer": [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64],
    "floats": [torch.float16, torch.bfloat16, torch.float32, torch.float64],
}


def dtypes(cell: str) -> list[torch.dtype]:
    return [dtype for kind, found in DTYPES.items() if kind in cell for dtype in found]


@pytest.mark.parametrize("row", table("target"), ids=lambda row: f"{row['target']} {row['`activation`']}")
def test_the_forms_of_the_page_are_taken(row: dict[str, str]) -> None:
    """Every shape in every dtype, the labels being 0 and 1, and half for what may be soft."""
    first = next(one for one in table("target") if one["target"] == "class indices")
    shapes = re.findall(r"`(\(B, [^`]*)`", (row if row["shape"] != "as above" else first)["shape"])
    kinds = dtypes((row if row["dtype"] != "as above" else first)["dtype"])
    sigmoid, one = row["`activation`"].startswith("sigmoid"), "num_classes=1" in row["`activation`"]
    classes = 1 if one else 3
    loss = build_loss("dice", classes, activation="sigmoid" if sigmoid else "softmax")
    labels = LABELS.clamp_max(1)
    dense = presence(SHAPE) if sigmoid else hot(labels, 3)
    forms = {"(B, *spatial)": labels, "(B, 1, *spatial)": labels.unsqueeze(1), "(B, C, *spatial)": dense}
    logits = example((2, classes, 4, 5))[0]
    assert shapes
    assert kinds
    for target in (forms[shape] for shape in shapes):
        values = [loss(logits, target.to(dtype)).item() for dtype in kinds]
        assert values == pytest.approx([loss(logits, target).item()] * len(kinds), rel=1e-9)
    if "from 0 to 1" in row["dtype"] or row["target"] == "soft labels":
        assert loss(logits, torch.full_like(forms[shapes[0]].double(), 0.5 if sigmoid else 1 / 3)).isfinite()


def test_the_pages_program_runs() -> None:
    names: dict[str, Any] = {}
    exec(PAGE.partition("```python\n")[2].partition("```")[0], names)
    assert names["logits"].grad[0, 1, :4].abs().sum() == 0
    assert names["logits"].grad[0, 1, 4:].abs().min() > 0

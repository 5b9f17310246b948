"""What is said of an argument that will not do."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable

import pytest

from dmf import checks
from tests.support.places import ROOT


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: checks.require_at_least(1, epochs=0), "`epochs` must be at least 1. Found 0."),
        (lambda: checks.require_at_least(1, "batch", tick=0), "`tick` must be at least 1 batch. Found 0."),
        (lambda: checks.require_at_least(0, tau=0, gamma0=-2.5), "`gamma0` must be at least 0. Found -2.5."),
        (lambda: checks.require_above(0, rate=0), "`rate` must be more than 0. Found 0."),
        (lambda: checks.require_within(0, 1, rho=1.5), "`rho` must be from 0 to 1. Found 1.5."),
        (lambda: checks.require_between(0, 1, a=1.0), "`a` must be more than 0 and less than 1. Found 1.0."),
        (lambda: checks.require_between(0, math.inf, a=0), "`a` must be more than 0 and finite. Found 0."),
        (lambda: checks.require_choice("scale", 3, ("own", "sum1")), "`scale` must be one of own, sum1. Found 3."),
        (lambda: checks.require_shape("losses", (2,), (3,)), "`losses` must have shape (3,). Found (2,)."),
    ],
)  # fmt: skip
def test_a_refusal_names_the_parameter_what_it_must_be_and_what_was_found(
    check: Callable[[], None], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^Parameter {re.escape(message)}$"):
        check()


@pytest.mark.parametrize("check", [checks.require_at_least, checks.require_above])
def test_no_number_is_never_in_range(check: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="Found nan"):
        check(0, tau=math.nan)


def test_what_is_in_range_passes() -> None:
    checks.require_at_least(1, epochs=1)
    checks.require_above(0, rate=1e-9)
    checks.require_within(0, 1, rho=0, alpha=1)
    checks.require_between(-math.inf, math.inf, s=0)
    checks.require_choice("scale", "own", ("own", "sum1"))
    checks.require_shape("losses", [3], (3,))
    checks.require_known("loss", "dice", iter(["iou", "dice"]))


def test_of_many_names_only_the_close_ones_are_listed() -> None:
    many = [f"encoder_{number:03}" for number in range(100)] + ["resnet18", "resnet34"]
    with pytest.raises(checks.UnknownName, match=r"^Unknown net 'resnt34'\. Did you mean 'resnet34', 'resnet18'\?$"):
        checks.require_known("net", "resnt34", many)
    with pytest.raises(checks.UnknownName, match=r"'xyz'\. Known: encoder_000, .*encoder_019, \.\.\.$"):
        checks.require_known("encoder", "xyz", many)


def test_nobody_words_such_a_refusal_by_hand() -> None:
    """In `dmf`, "Parameter `x` must be" is written in `dmf/checks.py` alone."""
    spoken = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dmf").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Raise) and re.search(r"Parameter `[^`]*`[^`]* must be", ast.unparse(node))
    }
    assert spoken <= {"dmf/checks.py"}

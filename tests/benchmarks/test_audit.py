"""The figures of docs/audit.md are those that the code gives, and they bear out what the text says of them."""

from __future__ import annotations

import re
from functools import cache

import pytest

from benchmarks.audit.__main__ import DOCUMENT, FIGURES
from benchmarks.audit.tables import Table, insert, places

NUMBER = re.compile(r"-?\d+\.?\d*")


@cache
def table(name: str) -> Table:
    return FIGURES[name]()


def rows(name: str) -> list[dict[str, str]]:
    return [dict(zip(table(name).header, row, strict=True)) for row in table(name).rows]


def assert_same(printed: str, computed: str) -> None:
    """Equal text, and numbers equal up to one in the last digit printed, since processors round differently."""
    assert NUMBER.split(printed) == NUMBER.split(computed)
    for old, new in zip(NUMBER.findall(printed), NUMBER.findall(computed), strict=True):
        unit = 10.0 ** -len(old.partition(".")[2])
        assert abs(float(old) - float(new)) <= 1.01 * unit, f"printed {old}, computed {new}:\n{computed}"


def printed(name: str) -> str:
    document = DOCUMENT.read_text(encoding="utf-8")
    return document.partition(f"<!-- figures: {name} -->\n")[2].partition("\n<!-- end -->")[0]


@pytest.mark.parametrize("name", FIGURES)
def test_the_audit_prints_what_the_code_computes(name: str) -> None:
    assert_same(printed(name), table(name).markdown())


def test_every_table_has_a_place_and_every_place_a_table() -> None:
    assert sorted(places(DOCUMENT.read_text(encoding="utf-8"))) == sorted(FIGURES)


def test_a_table_without_a_place_is_refused() -> None:
    new = Table(["a"], [["1"]])
    document = insert("<!-- figures: x -->\nold\n<!-- end -->", "x", new)
    assert document == "<!-- figures: x -->\n| a |\n| --- |\n| 1 |\n<!-- end -->"
    with pytest.raises(ValueError, match=r"Expected one `<!-- figures: y -->`.*Found 0"):
        insert(document, "y", new)


# --- what the text concludes from the tables ---


def test_only_cross_entropy_trains_the_network_of_the_notebook() -> None:
    assert [row[-1] for row in table("gradients").rows][1:] == ["none"] * 5
    assert {row["reference: cosine"] for row in rows("direction")} == {"1.0000"}


def test_bayesian_collapses_in_the_notebook_alone() -> None:
    first = {row["fidelity"]: row["first step with a weight > 0.99"] for row in rows("collapse")}
    assert first["paper"] == first["stable"] == "never"
    assert first["reference"] != "never"


def test_the_auxiliary_term_outweighs_the_base_losses_to_the_end() -> None:
    for row in rows("auxiliary-share"):
        if row["fidelity"] != "stable":
            assert float(row["γ, first to last"].split()[-1]) > 1


def test_for_two_classes_both_class_weights_agree() -> None:
    weights = [row["weights"] for row in rows("class-weights")]
    assert weights[0] == weights[1]
    assert weights[2] != weights[3]


def test_f1_differs_from_dice_in_the_reference_alone() -> None:
    for row in rows("protocols"):
        assert (row["f1"] != row["dice"]) == (row["protocol"] == "`reference`")

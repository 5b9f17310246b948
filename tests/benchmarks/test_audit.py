"""The figures of docs/audit.md are those that the code gives, and they bear out what the text says of them."""

from __future__ import annotations

import re

import pytest

from benchmarks.audit.__main__ import DOCUMENT, FIGURES, main
from benchmarks.harness.tables import places

NUMBER = re.compile(r"-?\d+\.?\d*")


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The document as the script writes it today."""
    document = tmp_path_factory.mktemp("audit") / DOCUMENT.name
    document.write_text(DOCUMENT.read_text(encoding="utf-8"), encoding="utf-8")
    main(["--document", str(document)])
    return document.read_text(encoding="utf-8")


def table(document: str, name: str) -> str:
    return document.partition(f"<!-- figures: {name} -->\n")[2].partition("\n<!-- end -->")[0]


def cells(document: str, name: str) -> list[list[str]]:
    header, _, *rows = table(document, name).splitlines()
    return [line.strip("| ").split(" | ") for line in (header, *rows)]


def rows(document: str, name: str) -> list[dict[str, str]]:
    header, *lines = cells(document, name)
    return [dict(zip(header, line, strict=True)) for line in lines]


def assert_same(printed: str, computed: str) -> None:
    """Equal text, and numbers equal up to one in the last digit printed, since processors round differently."""
    assert NUMBER.split(printed) == NUMBER.split(computed)
    for old, new in zip(NUMBER.findall(printed), NUMBER.findall(computed), strict=True):
        unit = 10.0 ** -len(old.partition(".")[2])
        assert abs(float(old) - float(new)) <= 1.01 * unit, f"printed {old}, computed {new}:\n{computed}"


@pytest.mark.parametrize("name", FIGURES)
def test_the_audit_prints_what_the_code_computes(name: str, computed: str) -> None:
    assert_same(table(DOCUMENT.read_text(encoding="utf-8"), name), table(computed, name))


def test_every_table_has_a_place_and_every_place_a_table() -> None:
    assert sorted(places(DOCUMENT.read_text(encoding="utf-8"))) == sorted(FIGURES)


# --- what the text concludes from the tables ---


def test_only_cross_entropy_trains_the_network_of_the_notebook(computed: str) -> None:
    assert [line[-1] for line in cells(computed, "gradients")][2:] == ["none"] * 5
    assert {row["reference: cosine"] for row in rows(computed, "direction")} == {"1.0000"}


def test_bayesian_collapses_in_the_notebook_alone(computed: str) -> None:
    first = {row["fidelity"]: row["first step with a weight > 0.99"] for row in rows(computed, "collapse")}
    assert first["paper"] == first["stable"] == "never"
    assert first["reference"] != "never"


def test_the_auxiliary_term_outweighs_the_base_losses_to_the_end(computed: str) -> None:
    for row in rows(computed, "auxiliary-share"):
        if row["fidelity"] != "stable":
            assert float(row["γ, first to last"].split()[-1]) > 1


def test_for_two_classes_both_class_weights_agree(computed: str) -> None:
    weights = [row["weights"] for row in rows(computed, "class-weights")]
    assert weights[0] == weights[1]
    assert weights[2] != weights[3]


def test_f1_differs_from_dice_in_the_reference_alone(computed: str) -> None:
    for row in rows(computed, "protocols"):
        assert (row["f1"] != row["dice"]) == (row["protocol"] == "`reference`")

"""Every table of the four papers is described, and what a description names is there."""

from __future__ import annotations

import dataclasses

import pytest

from dmf.models import MODELS
from dmf.training.spec import TrialSpec
from pipelines.datasets.catalogue import load_catalogue
from pipelines.papers.described import described, described_tables
from pipelines.papers.identities import broken_cells
from pipelines.papers.printed import printed, select
from pipelines.papers.summaries import summaries, summary_breaks
from tune_spaces import load_study
from tune_spaces.strict_yaml import ConfigError
from tune_spaces.study import study_names

TABLES = described_tables()


class TestDescriptions:
    def test_every_printed_number_stands_in_a_described_table(self) -> None:
        held = {(table.paper, number) for table in TABLES.values() for number in (table.holds or [table.number])}
        assert {(number.paper, number.table) for number in (*printed(), *summaries())} <= held

    def test_no_number_of_a_table_is_left_out(self) -> None:
        last = {"dmf": 3, "adaptexp": 11, "loss_fusion": 20}
        expected = {f"{paper}-{number}" for paper, count in last.items() for number in range(1, count + 1)}
        assert set(TABLES) == expected | {"adaptive_focal-losses"}

    @pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.layout in ("pivot", "noise")])
    def test_rows_and_columns_tell_the_printed_numbers_apart(self, name: str) -> None:
        table = TABLES[name]
        shown = [number for number in table.numbers if number.metric not in (*table.first, *table.last)]
        keys = [tuple(getattr(number, field) for field in (*table.rows, *table.columns)) for number in shown]
        assert len(set(keys)) == len(keys)
        assert {number.metric for number in table.numbers} <= set(table.metrics)

    @pytest.mark.parametrize("name", TABLES)
    def test_what_ours_is_matched_by_exists(self, name: str) -> None:
        table = TABLES[name]
        fields = {field.name for field in dataclasses.fields(TrialSpec)} | {"statistic"}
        meanings = [table.match, *(meaning for values in table.ours.values() for meaning in values.values())]
        assert {field.partition(".")[0] for meaning in meanings for field in meaning} <= fields
        models = {str(model).partition(":")[0] for meaning in meanings for model in _listed(meaning.get("model"))}
        assert models <= {*MODELS, "smp", "timm"}
        assert {entry for entries in table.datasets.values() for entry in entries} <= set(load_catalogue())

    def test_every_table_is_named_by_a_study_and_by_a_small_one(self) -> None:
        named = {name: load_study(name).tables for name in study_names()}
        for small in (False, True):
            assert {t for name, tables in named.items() if name.endswith("_small") == small for t in tables} == set(
                TABLES
            )

    def test_an_unknown_table_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(ConfigError, match=r"no paper's table is called 'dmf-33'. Did you mean `dmf-3`"):
            described("dmf-33")


class TestSummaries:
    def test_tables_19_and_20_hold_three_scores_and_one_a_row(self) -> None:
        assert len(select(summaries(), table="19")) == 4 * 2 * 3 * 3
        assert len(select(summaries(), table="20")) == 4 * 2

    def test_what_they_sum_up_is_looked_up_in_tables_7_to_18(self) -> None:
        found = {(one.check, one.cells[0].table, one.cells[0].dataset, one.cells[0].task) for one in summary_breaks()}
        assert found == {
            ("not_the_best", "19", "deepglobe", "binary"),  # Tversky + MSE has 0.98 in table 17
            ("not_the_best", "19", "deepglobe", "multiclass"),  # CCE + MSE + BCE has 0.5621 in table 18
            ("same_configuration", "19", "crack", "multiclass"),  # 0.9871 for the 0.981 of table 10
            ("not_the_best", "20", "deepglobe", "binary"),
        }

    def test_they_are_counted_nowhere_else(self) -> None:
        assert not set(summaries()) & (set(printed()) | set(broken_cells()))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]

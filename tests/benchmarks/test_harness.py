"""How the benchmarks measure, what they say of the machine, and how they show and write it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from benchmarks.harness.machine import machine
from benchmarks.harness.measure import Stopwatch, Timing, seconds, take_turns
from benchmarks.harness.script import Results, benchmark, option, read
from benchmarks.harness.tables import Table, insert, plainly, rewrite

# --- measuring, by a clock that ticks once each time that it is looked at ---


def test_seconds_are_those_of_one_call() -> None:
    ticks = itertools.count()
    assert seconds(lambda: next(ticks), calls=3, clock=lambda: next(ticks)) == (3 + 1) / 3


def test_a_stopwatch_stops_where_its_block_ends() -> None:
    ticks = itertools.count()
    with Stopwatch(lambda: next(ticks)) as watch:
        pass
    assert watch.seconds == 1


def test_rivals_take_turns_and_the_first_ones_do_not_count() -> None:
    asked: list[str] = []
    ticks = iter([0, 50, 50, 90, 90, 91, 91, 93, 93, 96, 96, 100])
    rivals = {name: lambda name=name: asked.append(name) for name in "ab"}
    times = take_turns(rivals, 2, clock=lambda: next(ticks))  # type: ignore[arg-type]
    assert asked == ["a", "b"] * 3
    assert times == {"a": Timing((1, 3)), "b": Timing((2, 4))}


def test_a_time_is_the_best_and_a_ratio_the_median_of_the_same_turns() -> None:
    one, other = Timing((4.0, 2.0, 9.0)), Timing((2.0, 2.0, 3.0))
    assert (one.best, one.median) == (2, 4)
    assert one.times(other) == 2  # of 2, 1 and 3


# --- the machine ---


def test_the_machine_is_described() -> None:
    found = machine()
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["cores"] >= 1
    assert found["device"]
    assert found["cpu"]


# --- tables ---


def test_columns_say_their_title_and_how_they_are_written() -> None:
    rows = [{"name": "one", "step ms": 1.26}, {"name": "two", "step ms": None}, {"name": "three"}]
    table = Table.of(rows, "who: `{name}` | ms: a step, {step ms:.1f}")
    assert table == Table(("who", "ms"), [["`one`", "a step, 1.3"], ["`two`", ""], ["`three`", ""]])


def test_a_note_is_a_last_row() -> None:
    assert Table(["a", "b", "c"], [["1", "2", "3"]]).noted("x", "y").rows == [["1", "2", "3"], ["x", "y", ""]]


def test_on_a_terminal_columns_are_aligned() -> None:
    assert Table(["name", "ms"], [["a", "12.5"], ["bcdef", "1"]]).text() == "name     ms\na      12.5\nbcdef     1"


def test_results_are_shown_as_they_lie() -> None:
    results = {"machine": {}, "setting": {}, "rows": [{"a_b": 1.23456}, {"c": "x"}], "named": {"n": 2}, "alone": 0.5}
    assert plainly(results) == {
        "rows": Table(["a b", "c"], [["1.235", ""], ["", "x"]]),
        "named": Table(["", ""], [["n", "2"]]),
        "": Table(["", ""], [["alone", "0.5"]]),
    }


def test_a_table_takes_its_place_in_a_document(tmp_path: Path) -> None:
    new, path = Table(["a"], [["1"]]), tmp_path / "page.md"
    path.write_text("Text.\n<!-- figures: x -->\nold\n<!-- end -->\nMore.\n")
    rewrite(path, {"x": new})
    assert path.read_text() == "Text.\n<!-- figures: x -->\n| a |\n| --- |\n| 1 |\n<!-- end -->\nMore.\n"
    with pytest.raises(ValueError, match=r"Expected one `<!-- figures: y -->`.*Found 0"):
        insert(path.read_text(), "y", new)


# --- a script ---


@dataclass(frozen=True)
class Setting:
    sizes: tuple[int, ...] = option((1, 2), "of something")
    kind: str = option("plain", "of something", ("plain", "odd"))
    data: Path = option(Path("data"), "where it lies")


def measure(setting: Setting) -> Results:
    return {"rows": [{"size": size, "kind": setting.kind} for size in setting.sizes]}


main = benchmark("example", "An example.\n\nMore of it.", Setting, measure, file="example_{kind}")


def test_a_script_measures_by_its_options_shows_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "3", "--kind", "odd", "--out", str(tmp_path)])
    assert capsys.readouterr().out == "\nrows\nsize  kind\n3      odd\n"
    written = read(tmp_path / "example_odd.json")
    assert written["rows"] == [{"size": 3, "kind": "odd"}]
    assert written["setting"] == {"device": machine_kind(), "sizes": [3], "kind": "odd"}
    assert written["machine"].keys() == machine().keys()


def machine_kind() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def test_help_tells_every_option_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "An example." in shown
    assert "of something (default: 1 2)" in " ".join(shown.split())


def test_a_value_that_is_no_choice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--kind", "other"])
    assert "invalid choice: 'other'" in capsys.readouterr().err

"""The page in a browser: it asks for nothing, complains of nothing, and does what a reader asks of it."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.report.build import build_report
from pipelines.report.results import StudyFacts
from pipelines.trials.bundle import unpacked
from tests.support.browser import Tab, browser
from tests.support.report_trials import BASE, make_classified, make_facts, plan_trials, write_trials

AWKWARD = """5 % of <b>"it's" & $HOME_#1</b> · é"""
NAMES = ("variance · focal", "mad · focal", "bayesian · focal", "variance · none", AWKWARD, "fixed · none")
SEEDS = 2
TABLE = "table[data-protocol=per_image]:not([data-compared])"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("page"))


def made(root: Path, task: str = "segmentation") -> Path:
    """A report of six configurations, one of which has a name that means something to HTML, shells and LaTeX."""
    kinds = [tuple(name.split(" · ")) for name in NAMES[:4]] + [("mad", None), ("fixed", None)]
    specs = [
        dataclasses.replace(BASE, seed=seed, weighting=weighting, auxiliary=None if other == "none" else other)
        for seed in range(SEEDS)
        for weighting, other in kinds
    ]
    plans = plan_trials(root / "trials", specs)
    named = [dataclasses.replace(trial, configuration=NAMES[place % 6]) for place, trial in enumerate(plans)]
    facts = make_facts() if task == "segmentation" else make_classified()
    write_trials(named, facts)
    return build_report(StudyFacts("s", "A study", []), named, "fixed · none", {"phantom": facts}, root / "reports")


@pytest.fixture(scope="module")
def tab(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def opened(tab: Tab, page: Path) -> Iterator[Tab]:
    """The page, newly loaded; afterwards nothing may have gone wrong, and nothing been asked for."""
    tab.size(1200)
    tab.theme("light")
    tab.open(page)
    tab.wait("document.querySelectorAll('.case').length > 0")
    yield tab
    assert tab.complaints == []
    assert [address for address in tab.requests if address != page.as_uri() and not address.startswith("data:")] == []


def shown(tab: Tab, selector: str) -> list[str]:
    """Texts of the elements that can be seen."""
    return tab.do(f"[...document.querySelectorAll({selector!r})].filter(e => e.offsetParent).map(e => e.textContent)")


def click(tab: Tab, selector: str) -> None:
    tab.do(f"document.querySelector({selector!r}).click()")


def choose(tab: Tab, selector: str, value: str) -> None:
    tab.do(
        f"(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('change')); e.dispatchEvent(new Event('input')); }})"
        f"(document.querySelector({selector!r}))"
    )


def test_only_what_the_page_holds_may_run_or_be_shown(page: Path) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.read_text())
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#39;", "'").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert all(source.startswith("'sha256-") for name in ("script-src", "style-src") for source in rules[name].split())


def test_a_script_that_somebody_slips_in_does_not_run(opened: Tab, page: Path) -> None:
    opened.do("document.body.append(Object.assign(document.createElement('script'), {text: 'window.slipped = 1'}))")
    opened.do("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.slipped = 1\">')")
    opened.wait("true")
    assert opened.do("window.slipped ?? 0") == 0
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)
    opened.complaints.clear()
    opened.requests.clear()


def test_every_picture_is_in_the_file(opened: Tab) -> None:
    opened.do("Promise.all([...document.images].map(image => (image.loading = 'eager', image.decode())))")
    assert opened.do("document.images.length") > 3
    assert opened.do("[...document.images].every(image => image.naturalWidth === image.width || image.width > 0)")


def test_a_table_is_sorted_by_a_column_and_back(opened: Tab) -> None:
    values = f"[...document.querySelectorAll('{TABLE} tbody tr')].map(r => Number(r.cells[2].dataset.value))"
    click(opened, f"{TABLE} th:nth-child(3) button")
    down = opened.do(values)
    assert down == sorted(down, reverse=True)
    click(opened, f"{TABLE} th:nth-child(3) button")
    assert opened.do(values) == down[::-1]


def test_a_table_is_filtered_by_words_that_must_and_must_not_occur(opened: Tab) -> None:
    box = ".scroll:has(table[data-protocol=per_image])"
    opened.do(f"document.querySelector('{box}').previousElementSibling.querySelector('input').id = 'mine'")
    for words, rows in {"focal": 3, "focal -mad": 2, "FOCAL variance": 1, "nothing-like-it": 0, "": 6}.items():
        choose(opened, "#mine", words)
        assert len(shown(opened, f"{TABLE} tbody tr")) == rows, words
    opened.do("document.activeElement.blur()")
    opened.press("/")
    assert opened.do("document.activeElement.type") == "search"
    opened.press("x")
    assert opened.do("document.activeElement.value") == "x"
    opened.press("Escape")
    assert opened.do("document.activeElement.value") == ""


def test_a_number_in_focus_names_its_trials_and_the_command_that_gives_it_again(opened: Tab) -> None:
    opened.do(f"document.querySelectorAll('{TABLE} tbody tr')[0].cells[2].focus()")
    opened.do("document.dispatchEvent(new Event('scroll'))")  # the browser scrolls to what is in focus, when it likes
    opened.wait("!document.querySelector('#source').hidden")
    first = opened.do("document.querySelector('#source').textContent")
    opened.press("ArrowDown")
    opened.wait(f"document.querySelector('#source').textContent !== {first!r}")
    configurations = opened.do("page.datasets.phantom.configurations.map(row => row.name)")
    place = configurations.index(AWKWARD)
    opened.do(f"document.querySelector('{TABLE} tr[data-row=\"{place}\"]').cells[2].click()")
    said = opened.do("[...document.querySelectorAll('#source code')].map(code => code.textContent)")
    assert len(said) == SEEDS + 1
    words = shlex.split(said[-1])
    assert words[:4] == ["python", "-m", "pipelines.provenance", "--study"]
    assert dict(zip(words[3::2], words[4::2], strict=True)) == {
        "--study": "s", "--cell": AWKWARD, "--dataset": "phantom", "--protocol": "per_image", "--metric": "dice",
    }  # fmt: skip
    values = opened.do("[...document.querySelectorAll('#source li')].map(li => Number(li.textContent.split(': ')[1]))")
    printed = opened.do(f"document.querySelector('{TABLE} tr[data-row=\"{place}\"]').cells[2].dataset.value")
    assert np.mean(values) == pytest.approx(float(printed), abs=0.006)
    opened.press("Escape")
    assert opened.do("document.querySelector('#source').hidden")


def test_histories_of_chosen_configurations_stand_side_by_side_with_bands(opened: Tab) -> None:
    click(opened, "#configurations button:nth-of-type(2)")
    assert len(shown(opened, ".panel")) == len(NAMES)
    assert opened.do("history_.plots.every(plot => plot.bands.length === 3)")
    choose(opened, "#history-split", "series")
    assert [text[:4] for text in shown(opened, ".panel h4")] == ["Cros", "IoU", "Dice"]
    choose(opened, "#history-kind", "validation")
    assert shown(opened, ".panel h4") == ["Dice", "CB-Dice"]
    choose(opened, "#configurations input[type=search]", "focal -mad")
    click(opened, "#configurations button:nth-of-type(2)")
    assert opened.do("chosen.rows.length") == 2


def test_histories_are_read_out_and_zoomed_with_mouse_and_keys(opened: Tab) -> None:
    opened.do("document.querySelector('.panel').focus()")
    for _ in range(3):
        opened.press("ArrowLeft")
    read = shown(opened, ".panel:first-child .read-out li")
    assert re.match(r"epoch [\d.]+", read[0])
    assert re.match(r"Cross entropy [\d.]+", read[1])
    again = shown(opened, ".panel:nth-child(2) .read-out li")
    assert again[0] == read[0], "one cursor for all panels"
    width = "history_.plots.map(plot => plot.scales.x.max - plot.scales.x.min)"
    whole = opened.do(width)
    opened.press("+")
    opened.wait(f"{width}.every((value, place) => value < 0.8 * {whole}[place])")
    opened.press("0")
    opened.wait(f"{width}.every((value, place) => Math.abs(value - {whole}[place]) < 1e-9)")
    opened.do("document.querySelector('.panel').scrollIntoView({behavior: 'instant', block: 'center'})")
    measure = "(({x, y, width}) => [x, y, width])(document.querySelector('.u-over').getBoundingClientRect())"
    box = None
    while (found := opened.do(measure)) != box:  # it stands still once it is twice in one place
        box = found
    opened.drag((box[0] + 0.3 * box[2], box[1] + 50), (box[0] + 0.6 * box[2], box[1] + 50))
    opened.wait(f"{width}.every((value, place) => value < 0.5 * {whole}[place])")


def test_images_come_worst_first_or_where_the_chosen_disagree_most(opened: Tab) -> None:
    numbers = "gallery.order.map(entry => [entry.score, entry.differ])"
    scores = [score for score, _ in opened.do(numbers)]
    assert scores == sorted(scores)
    assert scores == pytest.approx(
        opened.do("gallery.order.map(one => mean(shownRows().map(row => row.scores[one.number])))")
    )
    choose(opened, "#case-order", "disagreement")
    opened.wait(f"{numbers}[0][1] === Math.max(...{numbers}.map(pair => pair[1]))")
    differ = [value for _, value in opened.do(numbers)]
    assert differ == sorted(differ, reverse=True)
    assert differ[0] > 0
    opened.wait("document.querySelectorAll('.case').length > 0")
    assert len(shown(opened, ".case:first-child figure")) == 2 + opened.do("chosen.rows.length")


def test_masks_on_the_page_are_the_predictions_pixel_by_pixel(opened: Tab, page: Path) -> None:
    trial, masks = opened.do(
        "sheet(shownRows()[0].sheet, true).then(s => [shownRows()[0].trials[0], "
        "current().images.names.map((_, number) => [...tile(current().images, s, number)])])"
    )
    with unpacked(page.parent) as carried, np.load(carried / "records" / trial / "predictions.npz") as stored:
        assert np.array_equal(np.array(masks).reshape(stored["masks"].shape), stored["masks"])


def test_overlays_are_switched_with_a_key_and_cases_walked_with_the_arrows(opened: Tab) -> None:
    pixels = "document.querySelector('.case figure:nth-child(3) canvas').toDataURL()"
    tinted = opened.do(pixels)
    opened.do("document.querySelector('.case').focus()")
    opened.press("ArrowDown")
    assert opened.do("document.activeElement === document.querySelectorAll('.case')[1]")
    for key in ("o", "t"):
        opened.press(key)
    opened.wait(f"document.querySelector('.case') && {pixels} === {pixels.replace('(3)', '(1)')}")
    assert opened.do(pixels) != tinted


def test_a_point_of_quality_against_cost_chooses_its_configuration(opened: Tab) -> None:
    assert len(shown(opened, "#explore")) == 1
    assert opened.do("document.querySelectorAll('.point').length") == len(NAMES)
    opened.do("document.querySelector('.point:not(.picked)').focus()")
    before = opened.do("chosen.rows.length")
    opened.press("Enter")
    assert opened.do("chosen.rows.length") == before + 1
    assert opened.do("document.activeElement.getAttribute('aria-checked')") == "true"
    choose(opened, "#cost-kind", "parameters")
    assert "Parameters of the network" in opened.do("document.querySelector('#cost-chart').textContent")


def test_a_mean_with_a_score_that_is_no_number_is_none(opened: Tab) -> None:
    assert opened.do("[mean([80, 82]), Number.isNaN(mean([80, null, 82]))]") == [81, True]


def test_names_are_text_wherever_they_stand(opened: Tab) -> None:
    click(opened, "#configurations button:nth-of-type(2)")
    assert AWKWARD in shown(opened, ".panel h4")
    assert any(AWKWARD in text for text in shown(opened, "#configurations label"))
    assert opened.do("document.querySelectorAll('main b').length") == 0


def test_it_fits_a_telephone(opened: Tab, tmp_path: Path) -> None:
    opened.size(390, 844)
    opened.wait("history_.plots.every(plot => plot.width < 390)")
    assert opened.do("document.documentElement.scrollWidth") == 390
    wide = "[...document.querySelectorAll('#explore *')].filter(e => e.getBoundingClientRect().right > 391)"
    assert opened.do(f"{wide}.map(e => e.outerHTML.slice(0, 99))") == []


def test_it_is_dark_where_the_reader_or_the_reader_s_system_says_so(opened: Tab) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    light = opened.do(paper)
    opened.theme("dark")
    opened.wait(f"{paper} !== {light!r}")
    night = opened.do(paper)
    click(opened, "#theme")
    assert opened.do(paper) == light
    click(opened, "#theme")
    assert opened.do(paper) == night
    opened.do("delete document.documentElement.dataset.theme")


def test_classified_images_say_what_each_configuration_took_them_for(tab: Tab, tmp_path: Path) -> None:
    tab.open(made(tmp_path, "classification"))
    tab.wait("document.querySelectorAll('.case').length > 0")
    first = tab.do("document.querySelector('.case').textContent")
    assert "wrong" in first
    assert tab.complaints == []

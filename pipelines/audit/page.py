"""<dataset>.json, <dataset>.md and <dataset>.html: an audit for programs, for a terminal and for the eye."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from pipelines.audit.audit import Audit
from pipelines.audit.sheets import contact_sheets
from pipelines.audit.summary import PERCENTILES, Summary, summarise
from pipelines.core.files import write_atomically
from pipelines.pages.drawing import styled
from pipelines.pages.html import new_environment
from pipelines.pages.markdown import pipe_table

TEMPLATES = Path(__file__).parent / "templates"
MOST_ROWS = 12
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c959f")


@dataclass(frozen=True)
class Table:
    """Rows under heads; columns after the first are numbers unless `words`."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    words: bool = False


def write_reports(audit: Audit, folder: Path) -> Summary:
    """Write the three files to `folder`, each whole or not at all; the same data set gives the same bytes."""
    summary = summarise(audit)
    tables = _tables(summary)
    page = (
        new_environment(TEMPLATES)
        .get_template("audit.html")
        .render(
            summary=summary,
            entry=audit.entry,
            findings=findings(summary),
            tables=tables,
            sheets=contact_sheets(audit),
            areas=_draw_areas(audit) if summary.areas else "",
        )
    )
    texts = {"json": json.dumps(summary.as_dict(), indent=1, ensure_ascii=False), "md": _markdown(summary, tables)}
    for suffix, text in {**texts, "html": page}.items():
        _write(folder / f"{summary.dataset}.{suffix}", text)
    return summary


def findings(summary: Summary) -> list[str]:
    """What a person should know before training, one sentence each, the gravest first."""
    found = []
    if summary.problems:
        found.append(f"{_count(summary.problems, 'case')} cannot be used; the list is below.")
    if summary.absent:
        found.append(
            f"No {'image' if summary.task == 'classification' else 'pixel'} is {' or '.join(summary.absent)}, which "
            "`classes` of the catalogue declare: no model can learn it, and no score can tell of it."
        )
    if len(summary.bright) > 1:
        kinds = ", ".join(f"{value} in {count}" for value, count in summary.bright.items())
        found.append(
            f"Masks hold 0 and another value, but not all the same ({kinds}); each is read as "
            "the second class. If they mean different things, say so with `values` in the catalogue."
        )
    if 2 * summary.mostly[0] > summary.mostly[1]:
        found.append(
            f"{summary.mostly[0]} of {summary.mostly[1]} masks annotate more than half of their image. If they are "
            "inverted, say which value is which class with `values` in the catalogue."
        )
    if summary.unused:
        files = [f"{len(names)} {suffix or 'without suffix'} ({names[0]})" for suffix, names in summary.unused.items()]
        found.append(f"Files beside the images that are not used: {', '.join(files)}.")
    if summary.repeated:
        found.append(
            f"{summary.repeated} of {summary.images} images are grey, stored in several equal channels. "
            "`channels: 1` reads them as grey; with 3, the filter takes every step of grey for three times as large."
        )
    if summary.across_labels:
        found.append(
            f"{_count(summary.across_labels, 'group')} of near duplicates {_have(summary.across_labels)} several "
            f"labels: {_first(summary.across_labels)}."
        )
    if summary.across_splits:
        leaked = f" {summary.leaked_test} test images have a relative in train." if summary.leaked_test else ""
        found.append(
            f"{_count(summary.across_splits, 'group')} of near duplicates {_have(summary.across_splits)} members in "
            f"several of the publisher's splits.{leaked}"
        )
    if summary.shared_masks:
        found.append(
            f"{_count(summary.shared_masks, 'mask')} {_have(summary.shared_masks)} been given to several different "
            f"images, so that all but one of each are wrong: {_first(summary.shared_masks)}."
        )
    if summary.patients_across_splits:
        found.append(f"{summary.patients_across_splits} patients are in several of the publisher's splits.")
    if summary.across_patients:
        found.append(f"{_count(summary.across_patients, 'group')} of near duplicates are of several patients.")
    images, copies, pixels = (
        sum(map(len, found)) for found in (summary.groups, summary.same_file, summary.same_pixels)
    )
    found.append(
        f"{images} of {summary.images} images show the same picture as another one at similarity "
        f"{summary.similarity:g}, in {_count(summary.groups, 'group')}; "
        f"{copies} are equal as files, {pixels} in their pixels."
    )
    if summary.agreement:
        found.append(
            f"Masks of near duplicates agree to a median IoU of {summary.agreement.median_iou:.2f} "
            f"({summary.agreement.pairs} pairs): a Dice of {summary.agreement.median_dice:.2f} is what one annotation "
            "reaches on another."
        )
    if summary.padded:
        found.append(
            f"{_count(summary.padded, 'volume')} with values that are no number (at most "
            f"{max(summary.padded.values()):.2%} of one): padding, left out of the percentiles and 0 in the arrays."
        )
    for cases, text in (
        (summary.void, "without a pixel that counts"),
        (summary.empty, "without any annotated pixel"),
        (summary.multi_part, "of several separate parts"),
        (summary.many_files, "spread over several files, united here"),
        (summary.at_border, "that touch the border of the image"),
    ):
        if cases:
            found.append(f"{_count(cases, 'mask')} {text}.")
    return found


def _count(items: Sequence[object] | Mapping[str, object], noun: str) -> str:
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'}"


def _have(items: Sequence[object]) -> str:
    return "has" if len(items) == 1 else "have"


def _first(groups: Sequence[Sequence[str]]) -> str:
    names = [" = ".join(Path(name).name for name in group) for group in groups[:MOST_ROWS]]
    return "; ".join(names) + (" ..." if len(groups) > MOST_ROWS else "")


def _tables(summary: Summary) -> list[Table]:
    splits = [
        split for split in ("all", "train", "val", "test") if any(split in row for row in summary.counts.values())
    ]
    counts = [[label, *(str(row.get(split, 0)) for split in splits)] for label, row in summary.counts.items()]
    totals = [str(sum(row.get(split, 0) for row in summary.counts.values())) for split in splits]
    tables = [
        Table("Images by label", ["Label", *splits], [*counts, ["total", *totals]], "Columns: the publisher's splits."),
        _tally("Sizes", "Height x width", summary.sizes),
        _tally("How images are stored", "Mode", summary.modes),
        _tally("Channels after decoding", "Channels", summary.channels),
        _tally("How masks are stored", "Mode", summary.mask_modes),
        _tally("Values in mask files", "Values", summary.mask_values),
        Table(
            "Annotated share of the image, percent",
            ["Label", *(f"{percentile} %" for percentile in PERCENTILES)],
            [[label, *(f"{100 * area:.2f}" for area in areas)] for label, areas in summary.areas.items()],
            "Percentiles over images.",
        ),
        Table(
            "Pixels by class, percent",
            ["Class", "Mean share"],
            [[name, f"{100 * share:.2f}"] for name, share in summary.classes.items()],
            f"Of the pixels that count; {100 * summary.ignored:.2f} % do not." if summary.ignored else "",
        ),
        Table(
            "Near duplicates by similarity",
            ["Similarity", "Pairs", "Images", "Pairs across labels", "Pairs across splits"],
            [
                [f"{s.similarity:g}", *map(str, (s.pairs, s.images, s.across_labels, s.across_splits))]
                for s in summary.ladder
            ],
            "Splits: the publisher's. The first row is split.similarity of params.yaml, which the split obeys.",
        ),
        Table(
            "Cases that cannot be used", ["Case", "Why"], [list(item) for item in summary.problems.items()], words=True
        ),
    ]
    return [table for table in tables if table.rows]


def _tally(title: str, head: str, counts: Mapping[str, int]) -> Table:
    rows = [[value, str(count)] for value, count in counts.items()]
    others = sum(counts.values()) - sum(int(count) for _, count in rows[:MOST_ROWS])
    more = [[f"{len(rows) - MOST_ROWS} more", str(others)]] if others else []
    return Table(title, [head, "Files" if "mask" in title.lower() else "Images"], rows[:MOST_ROWS] + more)


def _markdown(summary: Summary, tables: Sequence[Table]) -> str:
    parts = [f"# {summary.title}: what the data set holds", "\n".join(f"- {text}" for text in findings(summary))]
    for table in tables:
        rule = ["---", *(["---" if table.words else "---:"] * (len(table.heads) - 1))]
        text = pipe_table([table.heads, rule, *table.rows])
        parts.append(f"## {table.title}\n\n{text}" + (f"\n\n{table.note}" if table.note else ""))
    parts.append(f"Contact sheets: [{summary.dataset}.html]({summary.dataset}.html)")
    return "\n\n".join(parts) + "\n"


@styled
def _draw_areas(audit: Audit) -> str:
    """Distribution of the annotated share by label, as the data address of an SVG."""
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    axes = figure.subplots()
    areas: dict[str, list[float]] = {}
    for fact in audit.facts:
        if fact.mask and fact.mask.area > 0:
            areas.setdefault(fact.case.label, []).append(100 * fact.mask.area)
    everything = [area for values in areas.values() for area in values] or [1.0]
    edges = np.geomspace(min(everything) * 0.999, max(max(everything) * 1.001, min(everything) * 1.1), 33)
    for colour, (label, values) in zip(COLOURS * len(areas), sorted(areas.items()), strict=False):
        axes.hist(values, bins=edges.tolist(), histtype="stepfilled", alpha=0.25, color=colour)
        axes.hist(values, bins=edges.tolist(), histtype="step", color=colour, label=f"{label} ({len(values)})")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("annotated share of the image, percent")
    axes.set_ylabel("images")
    axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def _write(path: Path, text: str) -> None:
    def write(partial: Path) -> None:
        partial.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")

    write_atomically(path, write)

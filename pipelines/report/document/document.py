"""report.tex, references.bib and report.bbl: tables, figures, methods, data statement and bibliography."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipelines.pages.drawing import Picture
from pipelines.report.data import DataFacts
from pipelines.report.document.references import Reference, references_of, to_bbl, to_bibtex
from pipelines.report.latex import PREAMBLE, breakable
from pipelines.report.layout import Layout
from pipelines.report.methods import summarise
from pipelines.trials.record import TrialRecord

NAME = "report"


def write_document(
    folder: Path,
    title: str,
    layout: Layout,
    facts: Mapping[str, DataFacts],
    tables: Mapping[str, Sequence[str]],
    pictures: Mapping[str, Sequence[Picture]],
    *,
    missing: int = 0,
) -> None:
    """Write the document and its bibliography into the report's `folder`.

    Args:
        tables: File names without .tex, by the section that has them: data set or heading.
        pictures: By the same names.
        missing: Trials that have not finished.
    """
    records = [record for rows in layout.rows.values() for row in rows for record in row.records]
    references = references_of(records, facts)
    text = "\n".join(_document(title, layout, facts, tables, pictures, records, references, missing))
    (folder / f"{NAME}.tex").write_text(text)
    (folder / "references.bib").write_text(to_bibtex(references))
    (folder / f"{NAME}.bbl").write_text(to_bbl(references))


def _document(
    title: str,
    layout: Layout,
    facts: Mapping[str, DataFacts],
    tables: Mapping[str, Sequence[str]],
    pictures: Mapping[str, Sequence[Picture]],
    records: Sequence[TrialRecord],
    references: Sequence[Reference],
    missing: int,
) -> Iterator[str]:
    methods = summarise(records, layout, missing)
    yield "% Twice `pdflatex report`, for the numbers of references. Written by pipelines.report; edits are lost."
    yield PREAMBLE + "\\usepackage{graphicx}\n\\extrafloats{200}\n\\setcounter{topnumber}{4}\n"
    yield rf"\title{{{breakable(title)}}}"
    yield rf"\date{{{max(record.started for record in records)[:10]}}}"
    yield "\\begin{document}\n\\maketitle"
    if missing:
        warning = f"Not all trials have finished: {methods['Trials']}. Numbers will change; no claim has a verdict."
        yield rf"\noindent\fbox{{\parbox{{0.97\linewidth}}{{\textbf{{{breakable(warning)}}}}}}}" + "\n"
    yield rf"\noindent {breakable(methods['Trials'])}; {breakable(methods['Training time'])}." + "\n"
    for name in layout.datasets:
        yield rf"\section{{{breakable(facts[name].title)}}}"
        yield from _results(tables.get(name, ()), pictures.get(name, ()))
    for heading in [name for name, members in tables.items() if members and name not in layout.rows]:
        yield rf"\section{{{breakable(heading)}}}"
        yield from _results(tables[heading], pictures.get(heading, ()))
    yield r"\section{Methods}" + "\n" + r"\begin{description}\raggedright\itemsep=0pt"
    yield from (rf"\item[{breakable(name)}] {breakable(value)}" for name, value in methods.items())
    yield r"\end{description}"
    yield r"\section{Data}"
    yield from (_data(facts[name], _key_of(references, facts[name])) for name in layout.datasets)
    yield r"\nocite{*}"
    yield "\\bibliographystyle{unsrt}\n\\bibliography{references}\n\\end{document}\n"


def _results(tables: Sequence[str], pictures: Sequence[Picture]) -> Iterator[str]:
    yield from (rf"\input{{tables/{name}.tex}}" for name in tables)
    yield from map(_figure, pictures)
    yield "\\clearpage"


def _figure(picture: Picture) -> str:
    return "\n".join(
        [
            r"\begin{figure}[htbp]",
            r"\centering",
            r"\begin{adjustbox}{max width=\linewidth, max totalheight=0.65\textheight}",
            rf"\includegraphics{{figures/{picture.name}.pdf}}",
            r"\end{adjustbox}",
            rf"\caption{{{breakable(f'{picture.heading}. {picture.caption}')}}}",
            rf"\label{{fig:{picture.name}}}",
            r"\end{figure}",
        ]
    )


def _data(facts: DataFacts, key: str) -> str:
    """The data statement: what, how dealt, whose, under which terms, and by which checksum it can be told."""
    checksum = r"\allowbreak{}".join(facts.checksum[place : place + 8] for place in range(0, len(facts.checksum), 8))
    return (
        rf"\paragraph{{{breakable(facts.title)}}}\cite{{{key}}} {breakable(facts.source_sentence)} "
        rf"Split: {breakable(facts.split_sentence)}. Prepared at {facts.size} pixels, "
        rf"checksum \texttt{{{checksum}}}." + "\n"
    )


def _key_of(references: Sequence[Reference], facts: DataFacts) -> str:
    return next(one.key for one in references if f"data set {facts.title}" in one.uses)

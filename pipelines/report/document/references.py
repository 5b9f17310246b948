"""The bibliography of what a study uses, from where the sources stand already: docstrings and the data catalogue.

Docstrings name a source as `Source: authors, "title", venue`, or in brackets behind a network's name. The papers whose
studies these are have short names in docstrings (DMF, Ramani et al.); `published/sources.yaml` has their titles.
TorchJD's docstrings link title and text of a paper, and name no authors.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmf.activations import ACTIVATIONS
from dmf.losses import LOSSES
from dmf.models import MODELS
from dmf.registry import Registry
from dmf.weightings import WEIGHTINGS
from dmf.weightings.torchjd import PREFIX, methods
from pipelines import papers
from pipelines.report.data import DataFacts
from pipelines.report.latex import breakable, escape_latex
from pipelines.report.names import printed
from pipelines.trials.record import TrialRecord
from tune_spaces.strict_yaml import read_yaml

PUBLISHED = Path(papers.__file__).parent / "published" / "sources.yaml"
_QUOTED = re.compile(
    r'^(?P<authors>[^"]*?),?\s*(?:\((?P<year>\d{4})\))?,?\s*"(?P<title>[^"]+)",?\s*(?P<rest>.*)$', re.S
)
_BRACKETS = re.compile(r"\((?P<inside>[^()]*\b(?:19|20)\d\d\b[^()]*|[^()]*arXiv[^()]*)\)")
_DATA = re.compile(r"^(?P<authors>[^:]+): (?P<title>.+?)\. (?P<rest>.+)$", re.S)
_PLACE = re.compile(r",? (?:sections?|equations?|algorithms?|figures?|tables?) .*$", re.S)
_SENTENCE = re.compile(r"(?<![A-Z])(?<!et al)\.(?:\s|$)|;|, (?:who|which|on soft|by what)\b")
_VENUE = re.compile(r", (?=[A-Z]{3,}|arXiv|[A-Z]\w+ (?:19|20)\d\d)")
_ARXIV = re.compile(r"arXiv[ :](\d{2})(\d{2}\.\d+)")
_LINK = re.compile(r"`(?P<title>[^`<]+?)\s*<(?P<place>https?://[^>]+)>`_")


@dataclass(frozen=True)
class Reference:
    """An entry of a bibliography; authors by surname, "others" last for et al. `uses`: what it is the source of."""

    key: str
    authors: tuple[str, ...]
    title: str
    place: str
    year: str
    uses: tuple[str, ...]

    def bibtex(self) -> str:
        """The entry as BibTeX."""
        fields = {
            "author": " and ".join(escape_latex(name) for name in self.authors),
            "title": f"{{{escape_latex(self.title)}}}" if self.title else "",
            "howpublished": escape_latex(self.place),
            "year": self.year,
            "note": escape_latex(self.note),
        }
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])

    def item(self) -> str:
        """The entry as LaTeX prints it, in the style of `unsrt`."""
        *first, last = ["et al." if name == "others" else name for name in self.authors] or [""]
        names = f"{', '.join(first)} and {last}" if first and last != "et al." else " ".join([", ".join(first), last])
        parts = [names.strip(), self.title, ", ".join(filter(None, (self.place, self.year))), self.note]
        text = [f"{breakable(part).rstrip('.')}." for part in parts if part]
        return rf"\bibitem{{{self.key}}} " + " ".join(text)

    @property
    def note(self) -> str:
        return f"Source of {', '.join(self.uses)}"


def references_of(records: Sequence[TrialRecord], facts: Mapping[str, DataFacts]) -> list[Reference]:
    """What the trials use, in this order: data sets, networks, activations, losses, weightings; each source once."""
    specs = [record.spec for record in records]
    used: dict[str, tuple[Registry[Any], Iterable[str | None]]] = {
        "network": (MODELS, [spec.model.partition(":")[0] for spec in specs]),
        "activation": (ACTIVATIONS, [spec.activation for spec in specs]),
        "loss": (LOSSES, [name for spec in specs for name in (*spec.losses, spec.auxiliary)]),
        "weighting": (WEIGHTINGS, [spec.weighting for spec in specs]),
    }
    found = [_of_data(facts[name]) for name in dict.fromkeys(spec.dataset for spec in specs)]
    for kind, (registry, names) in used.items():
        sources = {name: source_of(registry[name]) for name in dict.fromkeys(names) if name and name in registry}
        found += [_parse(text, f"{kind} {printed(name)}") for name, text in sources.items() if text]
    found += filter(None, map(of_torchjd, dict.fromkeys(spec.weighting for spec in specs)))
    return [*_merged(found)]


def source_of(cls: type) -> str:
    """What the docstring of a class, of those it is made of or of its module says of its source; else nothing."""
    for holder in (*cls.__mro__, inspect.getmodule(cls)):
        text = inspect.cleandoc(vars(holder).get("__doc__") or "") if holder and holder is not object else ""
        if found := re.search(r"Source(?: of all)?: (.*?)(?:\n\n|\Z)", text, re.S):
            return " ".join(found[1].split())
        head = " ".join(text.split("\n\n")[0].split())
        if found := _BRACKETS.search(head) or re.search(r"(?P<inside>the [\w-]+ paper)", head):
            return found["inside"]
    return ""


def of_torchjd(weighting: str) -> Reference | None:
    """What TorchJD's docstring of one of its methods links first; None where there is none, as for a plain mean."""
    if not weighting.startswith(PREFIX):
        return None
    from torchjd import aggregation

    method = weighting.removeprefix(PREFIX)
    described = getattr(aggregation, method, None), methods()[method][1]  # its text stands with the aggregator
    links = (_LINK.search(inspect.cleandoc(vars(cls).get("__doc__") or "")) for cls in described if cls)
    if (found := next(filter(None, links), None)) is None:
        return None
    place = re.sub(r"https?://arxiv\.org/(?:abs|pdf)/([\d.]+\d)(?:\.pdf)?$", r"arXiv:\1", found["place"])
    arxiv, title = _ARXIV.match(place), " ".join(found["title"].split())
    year = f"20{arxiv[1]}" if arxiv else ""
    return Reference(f"torchjd-{_key(method)}", (), title, place, year, (f"weighting {printed(weighting)}",))


def to_bibtex(references: Iterable[Reference]) -> str:
    """references.bib."""
    return "\n\n".join(["% Written by pipelines.report; edits are lost.", *(one.bibtex() for one in references), ""])


def to_bbl(references: Sequence[Reference]) -> str:
    """What `bibtex` would make of it, so that pdflatex alone typesets the report."""
    items = [one.item() for one in references]
    return "\n\n".join([rf"\begin{{thebibliography}}{{{len(items)}}}", *items, r"\end{thebibliography}", ""])


def _parse(text: str, use: str) -> Reference:
    for name, title, source in _papers():
        surname = re.sub(r" et al.*| and .*|,.*", "", source).split()[-1]
        marks = [surname, f"the {name} paper", *re.findall(r"\d+:\d+|\d{4}\.\d{5}", source)]
        if any(re.search(rf"\b{re.escape(mark)}\b", text) for mark in marks):
            authors, _, place = source.partition(", ")
            return _reference(authors, title, place, use)
    if found := _QUOTED.match(text):
        place = _SENTENCE.split(_PLACE.sub("", found["rest"]))[0]
        return _reference(found["authors"], found["title"], place or found["year"] or "", use)
    names, place = (*_VENUE.split(text, maxsplit=1), "")[:2]
    return _reference(names, "", _PLACE.sub("", place), use)


def _of_data(facts: DataFacts) -> Reference:
    use = f"data set {facts.title}"
    found = _DATA.match(facts.citation)
    made = _reference(found["authors"], found["title"], found["rest"].rstrip("."), use) if found else None
    plain = made or Reference("", (), facts.citation.rstrip("."), "", "", (use,))
    return dataclasses.replace(plain, key=f"data-{_key(facts.name)}")


def _reference(names: str, title: str, place: str, use: str) -> Reference:
    cut = re.sub(r",? et al\.?|, others$", ", others", names.strip().strip(","))
    authors = tuple(name for name in re.split(r", (?:and )?| and ", cut) if name)
    arxiv = _ARXIV.search(place)
    years = re.findall(r"\b(?:19|20)\d\d\b(?!\.)", _ARXIV.sub("", place.partition(";")[0]))
    year = years[-1] if years else f"20{arxiv[1]}" if arxiv else ""
    if year:
        place = re.sub(rf",?\s*\(?\b{year}\b(?!\.)\)?", "", place, count=1) if years else place
    surname = _key(authors[0].split()[-1] if authors else title.split()[0])
    return Reference(f"{surname}{year}", authors, title, re.sub(r"(, )[, ]+", r"\1", place).strip(" ,."), year, (use,))


def _merged(found: Iterable[Reference]) -> Iterator[Reference]:
    """Each source once, with all its uses; two sources of one key are told apart by a letter."""
    by_source: dict[tuple[tuple[str, ...], str, str], Reference] = {}
    for one in found:
        source = one.authors, one.title, one.place
        earlier = by_source.get(source)
        by_source[source] = dataclasses.replace(earlier, uses=(*earlier.uses, *one.uses)) if earlier else one
    keys: list[str] = []
    for one in by_source.values():
        twice = keys.count(one.key)
        keys.append(one.key)
        yield dataclasses.replace(one, key=one.key + (chr(ord("a") + twice) if twice else ""))


def _papers() -> Iterator[tuple[str, str, str]]:
    for file, entry in read_yaml(PUBLISHED).items():
        yield (
            Path(file).stem.replace("_", "-"),
            entry["title"],
            re.sub(r" \((\d{4})\)(?:; |: .*)?", r", \1, ", entry["source"]).strip(" ,"),
        )


def _key(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9-]+", "-", plain.lower()).strip("-") or "source"

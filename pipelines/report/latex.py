"""Text and tables as LaTeX that pdflatex takes as it stands, whatever names hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

PACKAGES = "booktabs,adjustbox,siunitx"
"""What LaTeX needs to typeset a table."""

PREAMBLE = (
    "\\documentclass[a4paper]{article}\n\\usepackage[margin=20mm]{geometry}\n"
    f"\\usepackage{{{PACKAGES}}}\n"
    "\\sisetup{separate-uncertainty=true}\n\\emergencystretch=4em\n"
)

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "[": r"{[}",  # after \\ it would be an argument
    "*": r"{*}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": r"$-$",
    "→": r"$\rightarrow$",
    "∞": r"$\infty$",
    "√": r"$\surd$",
    "∂": r"$\partial$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\N{NO-BREAK SPACE}": "~",
}
_PLAIN = "ßæÆœŒøØåÅłŁ¡¿"
_ABOVE_AND_BELOW = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
_ACCENTS = dict(zip(_ABOVE_AND_BELOW, "`'^~=u.\"rHvc", strict=True))


def _name(letter: str) -> str:
    return unicodedata.name(letter).split()[-1].lower().replace("lamda", "lambda")


_GREEK = {
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True)),
    **{letter: rf"$\{_name(letter)}$" for letter in "αβγδεζηθικλμνξπρστυφχψω"},
    **{letter: rf"$\{_name(letter).capitalize()}$" for letter in "ΓΔΘΛΞΠΣΥΦΨΩ"},
}


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands; letters that its fonts lack, by their place in Unicode."""
    escaped = "".join(_LATEX.get(character) or _letter(character) for character in unicodedata.normalize("NFC", text))
    return escaped.replace("--", "-{}-") if "--" in text else escaped


def breakable(text: str) -> str:
    """Escaped, and long names may be broken at their separators."""
    return re.sub(r"((?<!\\)[+/=]|\\_|\$\\cdot\$)", r"\1\\allowbreak{}", escape_latex(text))


def table_environment(
    name: str,
    caption: str,
    columns: str,
    heads: Sequence[str],
    body: Iterable[str],
    *,
    note: str = "",
    height: float = 0.8,
) -> str:
    """A `table` environment, no wider than a line and no taller than a page; \\label is tab:<name>.

    Args:
        caption: Plain text.
        heads: Whole lines of the table's head.
        body: Whole lines.
        note: LaTeX below the table.
        height: Of a page that the table may take, as a share.
    """
    return "\n".join(
        [
            rf"% Needs \usepackage{{{PACKAGES}}}. Written by pipelines.report; edits are lost.",
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{breakable(caption)}}}",
            rf"\label{{tab:{name}}}",
            r"\footnotesize\vspace{4pt}",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\begin{{adjustbox}}{{max width=\linewidth, max totalheight={height}\textheight}}",
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            *heads,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            *([rf"\par\vspace{{4pt}}\parbox{{\linewidth}}{{\scriptsize {note}}}"] if note else []),
            r"\end{table}",
            "",
        ]
    )


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return " & ".join(cells) + r" \\"


def _letter(character: str) -> str:
    """ASCII as it is, Latin letters with the accents of every font, Greek letters as symbols; else a number."""
    if character.isascii():
        return character if character.isprintable() else " "
    if character in _PLAIN:
        return character
    base, *accents = [*unicodedata.normalize("NFD", character)]
    if base.isascii() and base.isalpha() and accents and accents[0] in _ACCENTS:
        return rf"\{_ACCENTS[accents[0]]}{{{base}}}"  # TeX puts one accent on a letter
    if character in _GREEK:
        return _GREEK[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(_LATEX.get(one, one) for one in plain) or rf"U+{ord(character):04X}\allowbreak{{}}"

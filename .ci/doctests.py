"""Examples in docstrings (`>>> ...`) as code on the site: Markdown would take them for quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n[ \t]*\n|\Z)", re.MULTILINE | re.DOTALL)


class Doctests(griffe.Extension):
    """Puts a fence around each example, and backticks around nothing else."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of modules, classes and functions."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)

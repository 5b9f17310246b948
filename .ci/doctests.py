"""Docstrings as Markdown: examples (`>>> ...`) would be taken for quotations, and `<method>` for a tag."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^>>> .*?(?=\n[ \t]*\n|\Z)", re.MULTILINE | re.DOTALL)
CODE_OR_TAG = re.compile(r"(?P<code>```.*?```|`[^`]*`)|<(?=\w)", re.DOTALL)


class Doctests(griffe.Extension):
    """Puts a fence around each example, and writes `<` outside of code as what it is."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Of modules, classes and functions."""
        if obj.docstring:
            fenced = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
            obj.docstring.value = CODE_OR_TAG.sub(lambda found: found["code"] or "&lt;", fenced)

"""Pages that open from disk, without a network: the templates and the style that they share."""

from __future__ import annotations

from pathlib import Path

import jinja2

TEMPLATES = Path(__file__).parent / "templates"


def new_environment(*folders: Path) -> jinja2.Environment:
    """Templates in `folders` and in this package's; what a template names must be given."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

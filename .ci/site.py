"""What mkdocs does not do by itself: links that leave docs/ lead to pages that show the file, and `*` in nav.

A page of docs/ is written for readers of the repository, where `../dvc.yaml` is a file beside it. On the site that file
is a page under repository/, with its links followed in the same way if it is Markdown.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PLACE = "repository"
PICTURES = (".png", ".svg", ".jpg")
LINK = re.compile(r"^```.*?^```|(?<=\]\()(?P<target>[^)\s]+)(?=\))", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".json": "json", ".cff": "yaml", ".lock": "text"}


def on_config(config: MkDocsConfig) -> None:
    """Patterns in nav become the pages that they fit, several of them a section; one that fits none goes."""
    config.nav = _expanded(config.nav)


def _expanded(entries: list[Any]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            found.append({title: _expanded(target)})
        elif "*" not in target:
            found.append(entry)
        elif pages := [str(path.relative_to(DOCS)) for part in target.split() for path in sorted(DOCS.glob(part))]:
            found.append({title: pages if len(pages) > 1 else pages[0]})
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file of the repository to which a page leads."""
    frontier = [Path(file.abs_src_path) for file in files.documentation_pages() if file.abs_src_path]
    seen = set(frontier)
    while frontier:
        for path in _files_linked(frontier.pop()) - seen:
            seen.add(path)
            if path.is_relative_to(DOCS):
                continue
            files.append(_shown(path, config))
            if path.suffix == ".md":
                frontier.append(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where the site has what they mean."""
    here = page.file.src_uri
    path = ROOT / here.removeprefix(f"{PLACE}/") if here.startswith(f"{PLACE}/") else DOCS / here

    def moved(found: re.Match[str]) -> str:
        target = found["target"]
        if target is None or "://" in target or target.startswith("#"):
            return found[0]
        name, hash_, anchor = target.partition("#")
        return os.path.relpath(_uri((path.parent / name).resolve()), os.path.dirname(here) or ".") + hash_ + anchor

    return markdown if path.suffix != ".md" or not path.is_file() else LINK.sub(moved, markdown)


def _files_linked(path: Path) -> set[Path]:
    targets = (found["target"] for found in LINK.finditer(path.read_text("utf-8")))
    places = (
        (path.parent / target.partition("#")[0]).resolve() for target in targets if target and "://" not in target
    )
    return {place for place in places if place.is_file()}


def _uri(path: Path) -> str:
    """The name under which the site has a file."""
    if path.is_relative_to(DOCS):
        return str(path.relative_to(DOCS))
    whole = f"{PLACE}/{path.relative_to(ROOT)}"
    return whole if path.suffix in (".md", ".html", *PICTURES) else f"{whole}.md"


def _shown(path: Path, config: MkDocsConfig) -> File:
    """A picture or a page as it is, any other file as a page that shows its text."""
    if path.suffix in (".md", ".html", *PICTURES):
        return File.generated(config, _uri(path), abs_src_path=str(path))
    language, name = LANGUAGES.get(path.suffix, "text"), path.relative_to(ROOT)
    text = path.read_text("utf-8")
    head = "---\nsearch:\n  exclude: true\nhide:\n  - toc\n---\n"
    return File.generated(config, _uri(path), content=f"{head}# {name}\n\n````{language}\n{text}\n````\n")

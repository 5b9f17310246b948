"""Which files of the repository a command is made of: found by its imports, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.places import ROOT

PACKAGES = ("dmf", "pipelines", "tune_spaces")


@cache
def closure(module: str) -> frozenset[Path]:
    """The files, relative to the repository, that `python -m MODULE` may load.

    Modules of our packages, followed from one import to the next, wherever in a file it stands, and to a module whose
    dotted name a file holds as a text, which is how other processes are started; the packages that they lie in, unless
    these only hold a docstring; and what else lies in such a package: templates, YAML.
    """
    found: set[str] = set()
    frontier = [f"{module}.__main__" if f"{module}.__main__" in _modules() else module]
    while frontier:
        name = frontier.pop()
        if name in _modules() and name not in found:
            found.add(name)
            frontier += [*_parents(name), *_named(_modules()[name])]
    files = {_modules()[name] for name in found}
    packages = {path.parent for path in files if _does_something(path)}
    beside = {path for path in _others() if _package(path) in packages}
    kept = beside | {path for path in files if _does_something(path)}
    return frozenset(path.relative_to(ROOT) for path in kept)


@cache
def _modules() -> dict[str, Path]:
    """Every module of our packages, by its name."""
    files = {path: path.relative_to(ROOT).with_suffix("").parts for path in _files() if path.suffix == ".py"}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in files.items()}


@cache
def _others() -> list[Path]:
    return [path for path in _files() if path.suffix not in (".py", ".pyc")]


def _files() -> Iterator[Path]:
    return (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*")) if path.is_file())


def _package(path: Path) -> Path:
    """The nearest folder above a file that is a package."""
    return next(folder for folder in path.parents if (folder / "__init__.py").exists())


@cache
def _does_something(path: Path) -> bool:
    """Whether a file holds more than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text("utf-8")).body)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


@cache
def _named(path: Path) -> frozenset[str]:
    """What a file imports, or names as a text; each may be a module, or something in one."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert not node.level, f"{path}: a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            names |= {node.value, f"{node.value}.__main__"}
    return frozenset(names)

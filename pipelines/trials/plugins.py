"""Components of a trial that are no part of `dmf`: their source, of which the identifier is made, and their package."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec, resolve_name
from pathlib import Path

from pipelines.core.console import StageError


def sources_behind(modules: Iterable[str]) -> dict[str, str]:
    """The text of modules, and of what they import of their own packages, by full name; relative imports written out.

    What they import of other packages is not followed, nor is any other module of theirs read.

    Raises:
        StageError: if a module has no source in Python, or an import hides what it imports.
    """
    sources: dict[str, str] = {}
    frontier = list(modules)
    if absent := [module for module in frontier if _file(module) is None]:
        raise StageError(f"{absent[0]} has no source in Python, of which the identifiers of its trials could be made.")
    while frontier:
        module = frontier.pop()
        path = None if module in sources else _file(module)
        if path is not None:
            tree = ast.parse(path.read_text("utf-8"), path)
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            frontier += _imported(tree, package, path)
            sources[module] = ast.unparse(tree)
    return sources


def described(components: Mapping[str, type]) -> Iterator[str]:
    """A line for each of other packages: what it is called, where it is defined, by which distribution it came."""
    distributions = _distributions(components.values())
    for called, cls in components.items():
        came = ", ".join(f"{name} {version(name)}" for name in distributions[_top(cls)])
        place = came or f"{_file(cls.__module__)}, of no distribution"
        yield f"plugin: {called} is {cls.__module__}.{cls.__qualname__} ({place})"


def origins(components: Iterable[type]) -> tuple[list[str], list[Path]]:
    """What must be had elsewhere to use them: distributions as pip names them, and files or folders of none."""
    distributions = _distributions(components)
    required = dict.fromkeys(f"{name}=={version(name)}" for names in distributions.values() for name in names)
    return [*required], [_place(top) for top, names in distributions.items() if not names]


def _distributions(components: Iterable[type]) -> dict[str, list[str]]:
    """Names of those that brought each top-level package; none where it was not installed."""
    tops = dict.fromkeys(map(_top, components))
    packages = packages_distributions() if tops else {}
    return {top: [*dict.fromkeys(packages.get(top, ()))] for top in tops}


def _top(cls: type) -> str:
    return cls.__module__.partition(".")[0]


def _place(top: str) -> Path:
    """The file of a module, or the folder of a package."""
    found = find_spec(top)
    assert found is not None, "It has been imported."
    return Path(next(iter(found.submodule_search_locations or ()), found.origin or ""))


def _imported(tree: ast.Module, package: str, path: Path) -> Iterator[str]:
    """Modules of the same package that may be meant by the imports, which are made absolute on the way."""
    top = package.partition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == top)
        elif isinstance(node, ast.ImportFrom):
            node.module, node.level = resolve_name("." * node.level + (node.module or ""), package), 0
            if node.module.partition(".")[0] != top:
                continue
            if any(alias.name == "*" for alias in node.names):
                raise StageError(
                    f"{path}, line {node.lineno}: `from {node.module} import *` hides what is imported, which the "
                    "identifiers of its trials hang on. Name it."
                )
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """Where the source of a module lies; nothing is imported."""
    top, *rest = module.split(".")
    found = find_spec(top)
    folders = found.submodule_search_locations if found else None
    if found is None or folders is None:
        single = Path(found.origin) if found and found.origin and not rest else None
        return single if single is not None and single.suffix == ".py" else None
    places = (Path(folder, *rest) for folder in folders)
    files = (file for place in places for file in (place / "__init__.py", place.parent / f"{place.name}.py"))
    return next((file for file in files if file.is_file()), None)

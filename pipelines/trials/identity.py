"""The code that matters to a trial, as one hash: what it runs, and nothing that it does not."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

from dmf.activations import ACTIVATIONS
from dmf.losses import LOSSES
from dmf.models import MODELS
from dmf.registry import Registry
from dmf.training.spec import TrialSpec
from dmf.weightings import WEIGHTINGS

PACKAGE = Path(__file__).parent
# Packages in which a module counts only when a component that is named needs it.
OPTIONAL_PACKAGES = ("dmf.activations.", "dmf.models.")


def code_fingerprint(spec: TrialSpec) -> str:
    """12 hexadecimal digits of a SHA-256 over the modules of `dmf` that the trial can run.

    A module that only defines registered components (losses, weightings, models, activations) counts when the trial
    names one of them, or when a module that counts imports it. Parts that several models or activations share are
    optional in the same way. Every other module of `dmf` counts, but for the packages' own `__init__` files, which
    list names. Docstrings, comments and layout do not count. So a new loss, or a better docstring, leaves finished
    trials valid; a changed formula does not.
    """
    digest = hashlib.sha256()
    for name in sorted(counted_modules(spec)):
        digest.update(f"{name}\0{_normal_form(name)}\0".encode())
    return digest.hexdigest()[:12]


def counted_modules(spec: TrialSpec) -> set[str]:
    """Names of the modules that `code_fingerprint` hashes."""
    used = {
        *_modules(LOSSES, {*spec.losses, spec.auxiliary}),
        *_modules(WEIGHTINGS, {spec.weighting}),
        *_modules(MODELS, {spec.model.partition(":")[0]}),
        *_modules(ACTIVATIONS, {spec.activation}),
    }
    optional = {module for registry in (LOSSES, WEIGHTINGS, MODELS) for module in _modules(registry, set(registry))}
    optional |= {module for module in _sources() if module.startswith(OPTIONAL_PACKAGES)}
    counted = {name for name in _sources() if name not in optional or name in used}
    frontier = list(counted)
    while frontier:
        imported = _imports(frontier.pop()) & optional - counted
        counted |= imported
        frontier.extend(imported)
    return counted


def _modules(registry: Registry, names: set[str | None]) -> set[str]:  # type: ignore[type-arg]
    return {cls.__module__ for name, cls in registry.items() if name in names}


@lru_cache
def _sources() -> dict[str, Path]:
    paths = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return {".".join(("dmf", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in paths}


@lru_cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_sources()[module].read_text())


@lru_cache
def _imports(module: str) -> frozenset[str]:
    nodes = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.ImportFrom)]
    return frozenset(node.module for node in nodes if node.module)


@lru_cache
def _normal_form(module: str) -> str:
    return without_docstrings(_tree(module))


def without_docstrings(tree: ast.Module) -> str:
    """Source of a module with comments, layout and docstrings gone."""
    tree = ast.parse(ast.unparse(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)

"""The code that a trial runs, found by following names from one definition to the next, and hashed by what it says.

A definition is what a module binds at its top level: a class, a function, a constant. Which ones a trial reaches is
read from the source; nothing is run. Where a definition stands does not matter, nor do comments, layout, docstrings and
the version of Python that reads it. So a file can be moved or split without a change; a changed number cannot.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

STATEMENTS = "<statements>"
"""Name of what a module does at its top level besides defining; it goes with every definition of the module."""

SAID_BEFORE = {
    "'dynamic-memory-fusion[": "'dmf[",
    """        if name not in self._classes and (found := find_plugin(self.kind, name, self._classes)):
            self.register(name)(found)
""": "",
}
"""Text that has changed, and what it was: it counts as that, since no result hangs on it. Messages, and how a registry
finds a component, which is itself among those from which the trial starts."""


class Definition(NamedTuple):
    """A name at the top level of a module."""

    module: str
    name: str


class Code:
    """The source of a package: its definitions, and which of them name which.

    Args:
        sources: Text of each module by its full name; a package's `__init__` has the package's own name.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources
        self.modules = {name: _read(text) for name, text in sources.items()}
        self._uses: dict[Definition, dict[str, Definition | str]] = {}

    def fingerprint(self, roots: Collection[Definition], chosen_by_name: Collection[Definition]) -> str:
        """12 hexadecimal digits of a SHA-256 over all that `reached` finds: what it says and what its names mean."""
        facts = []
        for definition in self.reached(roots, chosen_by_name):
            meanings = ((name, self._meaning(target)) for name, target in self.uses(definition).items())
            facts.append(f"{self._meaning(definition)} {sorted(meanings)}")
        return hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()[:12]

    def reached(self, roots: Collection[Definition], chosen_by_name: Collection[Definition]) -> set[Definition]:
        """Every definition that some chain of names leads to.

        Args:
            roots: Where the chains begin.
            chosen_by_name: Registries of which a trial uses no other components than those among `roots`. Whatever is
                filed in another registry is reached with it.
        """
        reached: set[Definition] = set()
        frontier = list(roots)
        while frontier:
            definition = frontier.pop()
            if definition in reached:
                continue
            reached.add(definition)
            frontier += [target for target in self.uses(definition).values() if isinstance(target, Definition)]
            if definition not in chosen_by_name:
                frontier += self._filed.get(definition, [])
            if STATEMENTS in self.modules[definition.module].bound:
                frontier.append(Definition(definition.module, STATEMENTS))
        return reached

    def uses(self, definition: Definition) -> dict[str, Definition | str]:
        """What the names in a definition stand for: definitions of the package, or things of other packages."""
        if definition not in self._uses:
            found = dict(self._meanings(definition))
            found.pop(definition.name, None)
            self._uses[definition] = found
        return self._uses[definition]

    def resolve(self, module: str, name: str) -> Definition | str | None:
        """What a name stands for in a module: a definition, a module or a foreign thing as text, or a builtin: None."""
        known = self.modules[module]
        if name in known.bound:
            return Definition(module, name)
        return self._imported(*known.imported[name]) if name in known.imported else None

    def _imported(self, source: str, name: str | None) -> Definition | str | None:
        if name is None:
            return source
        whole = f"{source}.{name}"
        return self.resolve(source, name) if source in self.modules and whole not in self.modules else whole

    def _meanings(self, definition: Definition) -> Iterator[tuple[str, Definition | str]]:
        names, local = self.modules[definition.module].names(definition.name)
        for name, attributes in names.items():
            target = self._imported(*local[name]) if name in local else self.resolve(definition.module, name)
            if isinstance(target, str) and target in self.modules:
                for attribute in attributes or self.modules[target].bound:
                    if (inner := self.resolve(target, attribute)) is not None:
                        yield f"{name}.{attribute}", inner
            elif target is not None:
                yield name, target

    @cached_property
    def _filed(self) -> dict[Definition, list[Definition]]:
        """By registry: what `@REGISTRY.register(...)` files in it."""
        filed: dict[Definition, list[Definition]] = {}
        for module, content in self.modules.items():
            for name, registry in content.registered:
                target = self.resolve(module, registry)
                if isinstance(target, Definition):
                    filed.setdefault(target, []).append(Definition(module, name))
        return filed

    def _meaning(self, target: Definition | str) -> str:
        return self.modules[target.module].says(target.name) if isinstance(target, Definition) else target


class Module:
    """What one file binds, imports and does.

    Attributes:
        bound: By name: the statements at the top level that bind it.
        imported: By name: the module and what of it, None for the module itself.
        registered: Definitions and the registries that they are filed in.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.bound: dict[str, list[ast.stmt]] = {}
        imports: list[ast.AST] = []
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                imports += node.body
            elif not _is_docstring(node):
                for name in _names_bound(node):
                    self.bound.setdefault(name, []).append(node)
        self.imported = _imports(imports)
        self.registered = [(name, registry) for name, nodes in self.bound.items() for registry in _registries(nodes)]
        self._says: dict[str, str] = {}
        self._names: dict[str, tuple[dict[str, set[str]], dict[str, tuple[str, str | None]]]] = {}

    def says(self, name: str) -> str:
        """A hash of a definition's normal form."""
        if name not in self._says:
            text = "\n".join(map(normal_form, self.bound[name]))
            self._says[name] = hashlib.sha256(text.encode()).hexdigest()
        return self._says[name]

    def names(self, name: str) -> tuple[dict[str, set[str]], dict[str, tuple[str, str | None]]]:
        """The names in a definition, each with the attributes that are asked of it alone, and what it imports."""
        if name not in self._names:
            parts = [part for node in self.bound[name] for part in ast.walk(node)]
            local = _imports(parts)
            attributes: dict[str, set[str]] = {part.id: set() for part in parts if isinstance(part, ast.Name)}
            attributes |= {imported: set() for imported in local}
            asked = [p for p in parts if isinstance(p, ast.Attribute) and isinstance(p.value, ast.Name)]
            for attribute in asked:
                attributes[attribute.value.id].add(attribute.attr)  # type: ignore[attr-defined]
            inside = {id(attribute.value) for attribute in asked}
            for part in parts:
                if isinstance(part, ast.Name) and id(part) not in inside:
                    attributes[part.id] = set()
            self._names[name] = attributes, local
        return self._names[name]


def sources_of(folder: Path) -> dict[str, str]:
    """The text of every module of the package in `folder`, by full name."""
    sources = {}
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder.parent).with_suffix("").parts
        sources[".".join(part for part in place if part != "__init__")] = path.read_text("utf-8")
    return sources


@lru_cache(maxsize=1024)
def _read(text: str) -> Module:
    for now, before in SAID_BEFORE.items():
        text = text.replace(now, before)
    return Module(ast.parse(text))


def normal_form(value: object) -> str:
    """What a piece of source says, alike under every version of Python: no docstrings, positions or empty fields."""
    if isinstance(value, list):
        return "[" + ",".join(map(normal_form, value)) + "]"
    if not isinstance(value, ast.AST):
        return ascii(value)
    if isinstance(value, ast.JoinedStr):
        return f"JoinedStr[{','.join(_joined(value))}]"
    fields = []
    for name in value._fields:
        content = getattr(value, name, None)
        if name == "body" and isinstance(content, list):
            content = [part for part in content if not _is_docstring(part)] or [ast.Pass()]
        if name not in ("ctx", "kind", "type_comment", "type_ignores") and content not in (None, []):
            fields.append(f"{name}={normal_form(content)}")
    return f"{type(value).__name__}({','.join(fields)})"


def _joined(string: ast.JoinedStr) -> Iterator[str]:
    """The parts of an f-string; versions of Python cut its plain text into different pieces."""
    text = ""
    for part in string.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        if text:
            yield ascii(text)
        text = ""
        yield normal_form(part)
    if text:
        yield ascii(text)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _names_bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    plain = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    parts = (part for place in plain or [node] for part in ast.walk(place))
    stored = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return sorted(stored) if plain and stored else [*sorted(stored), STATEMENTS]


def _imports(nodes: Collection[ast.AST]) -> dict[str, tuple[str, str | None]]:
    imported: dict[str, tuple[str, str | None]] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name.partition(".")[0]: (alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"Line {node.lineno}: a relative import; write the whole name, which can be followed.")
            imported |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    return imported


def _registries(nodes: Collection[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for decorator in node.decorator_list:
                call = decorator.func if isinstance(decorator, ast.Call) else None
                if isinstance(call, ast.Attribute) and call.attr == "register" and isinstance(call.value, ast.Name):
                    yield call.value.id

"""What makes two trials the same one: an identifier that covers all that decides a result, and nothing else.

In the identifier:

* the spec: every field of `TrialSpec`;
* the images: the bytes of the arrays that the trial reads, filtered ones or not, and of their targets, and the classes;
* the rows of them that train, select and test, in their order;
* the code: every definition of `dmf` that `Trial` reaches with the components that the spec names
  (`pipelines.trials.code`); of a component of another package also what it reaches there.

Not in it, and why:

* machine, operating system, Python, torch, instruction set, device, threads: they change last digits, not the question.
  A trial's record holds them, and the report says where the trials of a study differ;
* the code of `pipelines`: what it hands to a trial is in the identifier as bytes, and how trials are scheduled, packed,
  saved and resumed changes no number (tests hold them to bit for bit);
* docstrings, comments, layout, and in which file a definition stands;
* what a component of another package imports of further packages: their versions, too, change last digits at most;
* the name of the study, the label of a configuration, names of cases, other splits of the same data.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import dmf
from dmf.activations import ACTIVATIONS
from dmf.checks import UnknownName
from dmf.losses import loss_class
from dmf.models import MODELS
from dmf.plugins import UnusablePlugin
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from dmf.weightings import RULES, weighting_class
from pipelines.core.console import StageError
from pipelines.trials.code import Code, Definition, sources_of
from pipelines.trials.plugins import described, origins, sources_behind

PACKAGE = Path(dmf.__file__).parent

CHOSEN_BY_NAME = {
    "dmf.losses": ("LOSSES", "REFERENCE", "STABLE"),
    "dmf.weightings": ("WEIGHTINGS", "KINDS", "RULES"),
    "dmf.models": ("MODELS",),
    "dmf.activations": ("ACTIVATIONS",),
}
"""Registries from which a spec names what it needs; the rest of them is no part of the trial."""


def identifier(spec: TrialSpec, data: str, code: str) -> str:
    """16 hexadecimal digits of a SHA-256 over the spec, what it trains on and the code that matters.

    Args:
        data: `PreparedData.digest` of the images and rows of the trial.
        code: `code_fingerprint` of the spec.
    """
    content = {"spec": vars(spec), "data": data, "code": code}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def code_fingerprint(spec: TrialSpec) -> str:
    """12 hexadecimal digits of a SHA-256 over every definition of `dmf` that the trial reaches.

    A new loss, a better docstring or a moved file leaves finished trials valid; a changed formula, in whatever module,
    does not.
    """
    return _fingerprint(components(spec))


class OtherCode(Exception):
    """The code on this machine is not the one for which a trial was planned."""


def require_planned_code(spec: TrialSpec, planned: str) -> None:
    """Raise OtherCode unless this machine's source, read anew, has the `code_fingerprint` that a trial was planned for.

    A checkout that was never brought up to date, or an edit while a grid runs, would else file another training under
    the identifier of the planned one.
    """
    node = platform.node()
    try:
        roots = components(spec)
    except (UnknownName, UnusablePlugin) as error:
        raise OtherCode(
            f"{node} does not have what the trial names. {error} Bring its code to the state of the machine that runs "
            "the grid, install there what the study takes from other packages, and run the grid again."
        ) from error
    others = _of_others(roots)
    try:
        sources = _sources(others)
        if sources == source(*others).sources:
            found = code_fingerprint(spec)
        else:
            code = Code(sources)
            found = code.fingerprint(roots, chosen_by_name(code))
    except (OSError, SyntaxError, ValueError, KeyError, StageError) as error:  # half-written, or without what is named
        found = f"none, {type(error).__name__}: {error}"
    if found != planned:
        raise OtherCode(
            f"{node} has other code in {' or '.join([str(PACKAGE), *others])} than the trial was planned with "
            f"(fingerprint {found}, planned {planned}). Bring it to the state of the machine that runs the grid, edit "
            "nothing while a grid runs, and run the grid again."
        )


def components(spec: TrialSpec) -> frozenset[Definition]:
    """The definitions from which a trial starts: `Trial` and the classes that the spec names."""
    classes: set[type] = {Trial, RULES[spec.fidelity], *named_components(spec).values()}
    return frozenset(Definition(cls.__module__, cls.__name__) for cls in classes)


def named_components(spec: TrialSpec) -> dict[str, type]:
    """The classes that the spec names, by kind and name.

    Raises:
        UnknownName, UnusablePlugin: if one of them is not to be had here.
    """
    model = spec.model.partition(":")[0]
    named: dict[str, type] = {f"model {model}": MODELS[model]}
    named |= {f"loss {name}": loss_class(name, spec.fidelity) for name in (*spec.losses, spec.auxiliary) if name}
    named[f"weighting {spec.weighting}"] = weighting_class(spec.weighting)
    if spec.activation is not None:
        named[f"activation {spec.activation}"] = ACTIVATIONS[spec.activation]
    return named


def plugins(spec: TrialSpec) -> list[str]:
    """A line for each component that the spec takes from another package.

    Raises:
        StageError: if one of them is not to be had here.
    """
    try:
        named = named_components(spec)
    except (UnknownName, UnusablePlugin) as error:
        raise StageError(str(error)) from error
    return [*described({name: cls for name, cls in named.items() if not _is_ours(cls.__module__)})]


def behind_network(spec: TrialSpec) -> tuple[list[str], list[Path]]:
    """What the trained network needs of other packages, elsewhere: see `pipelines.trials.plugins.origins`."""
    named = named_components(spec).items()
    network = [cls for name, cls in named if name.startswith(("model ", "activation "))]
    return origins(cls for cls in network if not _is_ours(cls.__module__))


def chosen_by_name(code: Code) -> frozenset[Definition]:
    """The registries of `CHOSEN_BY_NAME`, wherever they are defined."""
    found = (code.resolve(module, name) for module, names in CHOSEN_BY_NAME.items() for name in names)
    return frozenset(registry for registry in found if isinstance(registry, Definition))


@lru_cache
def source(*modules: str) -> Code:
    """The source of `dmf`, and that behind modules of other packages, as this process found it when it first asked."""
    return Code(_sources(modules))


@lru_cache
def _fingerprint(roots: frozenset[Definition]) -> str:
    code = source(*_of_others(roots))
    return code.fingerprint(roots, chosen_by_name(code))


def _sources(modules: Iterable[str]) -> dict[str, str]:
    return {**sources_of(PACKAGE), **sources_behind(modules)}


def _of_others(roots: frozenset[Definition]) -> list[str]:
    """Modules of other packages in which a trial's components are defined."""
    return sorted({root.module for root in roots if not _is_ours(root.module)})


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == PACKAGE.name

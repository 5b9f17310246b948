"""What makes two trials the same one: an identifier that covers all that decides a result, and nothing else.

In the identifier:

* the spec: every field of `TrialSpec`;
* the images: the bytes of the arrays that the trial reads, filtered ones or not, and of their targets, and the classes;
* the rows of them that train, select and test, in their order;
* the code: every definition of `dmf` that `Trial` reaches with the components that the spec names
  (`pipelines.trials.code`).

Not in it, and why:

* machine, operating system, Python, torch, instruction set, device, threads: they change last digits, not the question.
  A trial's record holds them, and the report says where the trials of a study differ;
* the code of `pipelines`: what it hands to a trial is in the identifier as bytes, and how trials are scheduled, packed,
  saved and resumed changes no number (tests hold them to bit for bit);
* docstrings, comments, layout, and in which file a definition stands;
* the name of the study, the label of a configuration, names of cases, other splits of the same data.
"""

from __future__ import annotations

import hashlib
import json
import platform
from functools import lru_cache
from pathlib import Path

import dmf
from dmf.activations import ACTIVATIONS
from dmf.losses import loss_class
from dmf.models import MODELS
from dmf.training.spec import TrialSpec
from dmf.training.trial import Trial
from dmf.weightings import RULES, weighting_class
from pipelines.trials.code import Code, Definition, sources_of

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
    try:
        sources = sources_of(PACKAGE)
        if sources == source().sources:
            found = code_fingerprint(spec)
        else:
            code = Code(sources)
            found = code.fingerprint(components(spec), chosen_by_name(code))
    except (OSError, SyntaxError, ValueError, KeyError) as error:  # half-written, or without what the spec names
        found = f"none, {type(error).__name__}: {error}"
    if found != planned:
        raise OtherCode(
            f"{platform.node()} has other code in {PACKAGE} than the trial was planned with (fingerprint {found}, "
            f"planned {planned}). Bring it to the state of the machine that runs the grid, edit nothing while a grid "
            "runs, and run the grid again."
        )


def components(spec: TrialSpec) -> frozenset[Definition]:
    """The definitions from which a trial starts: `Trial` and the classes that the spec names."""
    classes: set[type] = {Trial, RULES[spec.fidelity], MODELS[spec.model.partition(":")[0]]}
    classes |= {loss_class(name, spec.fidelity) for name in (*spec.losses, spec.auxiliary) if name is not None}
    classes.add(weighting_class(spec.weighting))
    if spec.activation is not None:
        classes.add(ACTIVATIONS[spec.activation])
    return frozenset(Definition(cls.__module__, cls.__name__) for cls in classes)


def chosen_by_name(code: Code) -> frozenset[Definition]:
    """The registries of `CHOSEN_BY_NAME`, wherever they are defined."""
    found = (code.resolve(module, name) for module, names in CHOSEN_BY_NAME.items() for name in names)
    return frozenset(registry for registry in found if isinstance(registry, Definition))


@lru_cache
def source() -> Code:
    """The source of `dmf` as this process found it when it first asked."""
    return Code(sources_of(PACKAGE))


@lru_cache
def _fingerprint(roots: frozenset[Definition]) -> str:
    return source().fingerprint(roots, chosen_by_name(source()))

"""Components of other packages, found by an entry point or by the place of their class.

A package offers a component by an entry point, in the group of its kind and under the name that people write:

    [project.entry-points."dmf.losses"]
    topology = "my_package.losses:TopologyLoss"

What no package offers is named by its place, `my_package.losses.TopologyLoss`, in any module that can be imported. A
package is imported when its component is first asked for; names of `dmf` cannot be taken.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from dmf.checks import UnknownName, require_known

GROUPS = {"loss": "dmf.losses", "weighting": "dmf.weightings", "model": "dmf.models", "activation": "dmf.activations"}
"""By kind of component: the group of its entry points."""

CALLED = {"weighting": "combine"}
"""What a class must have besides its constructor; `forward` where nothing else is said."""


class UnusablePlugin(ValueError):
    """A component of another package that is named, and cannot be had."""


def find_plugin(kind: str, name: str, known: Mapping[str, type]) -> type | None:
    """The class of another package that a name stands for.

    Args:
        kind: Of component, as its registry says it.
        name: That of an entry point, or `package.module.Class`.
        known: The classes of the registry by name.

    Returns:
        None if the package has filed it in the registry itself, by a decorator, and if a kind has no plugins.

    Raises:
        UnknownName: if nobody has it; the message lists what there is.
        UnusablePlugin: if it cannot be imported, is no such component, has another name already, or if two packages
            offer it.
    """
    if kind not in GROUPS:
        return None
    offered = entry_points(group=GROUPS[kind])
    points = {point.value: point for point in offered.select(name=name)}
    place, dot, attribute = name.rpartition(".")
    if not points and dot:
        points[name] = EntryPoint(name, f"{place}:{attribute}", GROUPS[kind])
    if not points:
        _refuse(kind, name, {*known, *offered.names})
    if len(points) > 1:
        raise UnusablePlugin(f"The {kind} {name!r} is offered twice: {' and '.join(sorted(points))}. Uninstall one.")
    (point,) = points.values()
    return _filed_once(kind, point, _load(kind, point), known)


def _load(kind: str, point: EntryPoint) -> type:
    try:
        found = point.load()
    except Exception as error:  # of whatever the package does when it is imported
        cause = f"{type(error).__name__}: {error}"
        raise UnusablePlugin(f"The {kind} {point.name!r} ({point.value}) cannot be imported: {cause}.") from error
    called = CALLED.get(kind, "forward")
    if isinstance(found, type) and callable(getattr(found, called, None)) and _is_at_top_level(found):
        return found
    raise UnusablePlugin(
        f"The {kind} {point.name!r} ({point.value}) must be a class with a method `{called}`, defined at the top level "
        f"of its module. Found {found!r}."
    )


def _is_at_top_level(cls: type) -> bool:
    """Whether its module has it under its name, by which its source is found."""
    return getattr(sys.modules[cls.__module__], cls.__name__, None) is cls


def _filed_once(kind: str, point: EntryPoint, cls: type, known: Mapping[str, type]) -> type | None:
    """The class, unless its own module has filed it by now. Raises UnusablePlugin if it has another name there."""
    if known.get(point.name) is cls:
        return None
    named = f"The {kind} {point.name!r} ({point.value})"
    if point.name in known:
        raise UnusablePlugin(f"{named} files another class under that name. Give one of them a new name.")
    for other, filed in known.items():
        if filed is cls:
            one = f"is filed as {other!r} already, and a class has one name"
            raise UnusablePlugin(f"{named} {one}. Write that one throughout, or leave out its decorator.")
    return cls


def _refuse(kind: str, name: str, names: Iterable[str]) -> None:
    try:
        require_known(kind, name, names)
    except UnknownName as error:
        own = f"One of your own: an entry point of group `{GROUPS[kind]}`, or `package.module.Class`."
        raise UnknownName(f"{error} {own}") from None

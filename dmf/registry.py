"""Explicit registries: a name stands for one class, and a wrong name gets an answer that helps."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class UnknownName(ValueError):
    """A name that no registered class has."""


class Registry(Mapping[str, type[T]], Generic[T]):
    """Names to classes, filled by decoration.

    >>> losses: Registry[object] = Registry("loss")
    >>> @losses.register("zero")
    ... class Zero: ...
    >>> losses["zero"].__name__
    'Zero'
    >>> losses["zeor"]
    Traceback (most recent call last):
    dmf.registry.UnknownName: Unknown loss 'zeor'. Did you mean 'zero'? Known: zero.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[Class], Class]:
        """Decorator that files a class under `name`. Raises ValueError if the name is taken."""

        def file(cls: Class) -> Class:
            if name in self._classes:
                taken = self._classes[name].__qualname__
                raise ValueError(f"The {self.kind} name {name!r} is taken by {taken}; name {cls.__qualname__} anew.")
            self._classes[name] = cls
            return cls

        return file

    def name_of(self, cls: type) -> str:
        """The name under which a class is filed."""
        return next(name for name, known in self._classes.items() if known is cls)

    def __getitem__(self, name: str) -> type[T]:
        try:
            return self._classes[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._classes, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            known = ", ".join(sorted(self._classes))
            raise UnknownName(f"Unknown {self.kind} {name!r}.{hint} Known: {known}.") from None

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)


def refuse_unknown(component: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ValueError for the first given parameter that a component does not have, listing those that it has."""
    listed = list(known)
    for parameter in given:
        if parameter not in listed:
            raise ValueError(f"{component} has no parameter `{parameter}`. It takes {', '.join(listed) or 'none'}.")

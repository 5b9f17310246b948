"""Explicit registries: a name stands for one class, and a wrong name gets an answer that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from dmf.checks import require_known
from dmf.plugins import find_plugin

T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class Registry(Mapping[str, type[T]], Generic[T]):
    """Names to classes, filled by decoration, and by what other packages offer (`dmf.plugins`) when it is asked for.

    >>> noises: Registry[object] = Registry("noise")
    >>> @noises.register("zero")
    ... class Zero: ...
    >>> noises["zero"].__name__
    'Zero'
    >>> noises["zeor"]
    Traceback (most recent call last):
    dmf.checks.UnknownName: Unknown noise 'zeor'. Did you mean 'zero'? Known: zero.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[T]] = {}

    def register(self, name: str) -> Callable[[Class], Class]:
        """Decorator that files a class under `name`, which becomes its attribute. Raises ValueError if it is taken."""

        def file(cls: Class) -> Class:
            if name in self._classes:
                taken = self._classes[name].__qualname__
                raise ValueError(f"The {self.kind} name {name!r} is taken by {taken}; name {cls.__qualname__} anew.")
            self._classes[name] = cls
            cls.name = name  # type: ignore[attr-defined]
            return cls

        return file

    def name_of(self, cls: type) -> str:
        """The name under which a class is filed."""
        return next(name for name, known in self._classes.items() if known is cls)

    def __getitem__(self, name: str) -> type[T]:
        if name not in self._classes and (found := find_plugin(self.kind, name, self._classes)):
            self.register(name)(found)
        require_known(self.kind, name, self._classes)
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

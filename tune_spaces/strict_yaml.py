"""YAML into validated models, with errors that name the file, the key, the value found and what is allowed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(ValueError):
    """A file that a person edits holds something that cannot be used."""


class StrictModel(BaseModel):
    """Base of everything read from YAML: frozen, unknown keys refused, no silent conversions but int to float."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice is a mistake and not the last one's, 1e-5 is a number, `on` text.

    YAML 1.1 wants a point and a sign in the exponent (1.0e-5), which neither people nor `dvc exp run -S` write, and
    takes `on` and `off` for true and false, even as keys.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                problem=f"key {twice[0]!r} stands twice", problem_mark=node.start_mark
            )
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), [*"+-.0123456789"]
)
for _letter in "oO":
    _Loader.yaml_implicit_resolvers.pop(_letter, None)


def read_yaml(path: Path, *, anchors: bool = True) -> dict[str, Any]:
    """The mapping that a YAML file holds, empty where all is comment.

    Raises:
        ConfigError: if it is missing, no YAML, or no mapping; for an anchor where there may be none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not anchors:
            _refuse_anchors(path, text)
        content = yaml.load(text, _Loader)
        content = {} if content is None else content
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text in UTF-8. Save it as one.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values. Found {type(content).__name__}.")
    return content


def _refuse_anchors(path: Path, text: str) -> None:
    for token in yaml.scan(text, _Loader):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            mark, line = "&" if isinstance(token, yaml.AnchorToken) else "*", token.start_mark.line + 1
            raise ConfigError(
                f"{path}: line {line}: anchors and aliases have no place here. Found `{mark}{token.value}`. Write the "
                "values out: DVC runs no stage again for what it reads through an anchor, and `-S` cuts it off."
            )


def validate(path: Path, content: dict[str, Any], model: type[Model], *, within: str = "") -> Model:
    """Validate what a file holds, or what it holds `within` a key; every mistake is a line of a single ConfigError."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(path, error, model, within=within)) from None


def explain(path: Path, error: ValidationError, model: type[BaseModel], *, within: str = "") -> str:
    """One line a mistake: file, key, what is wrong, what was found, and the nearest known key for a misspelt one."""
    lines = []
    mistakes = error.errors()
    places = [mistake["loc"] for mistake in mistakes]
    for mistake in mistakes:
        if any(len(place) > len(mistake["loc"]) and place[: len(mistake["loc"])] == mistake["loc"] for place in places):
            continue  # a list that lacks what is wrong in it
        keys = [str(part) for part in mistake["loc"]]
        key = ".".join([within, *keys] if within else keys) or "(top)"
        if mistake["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key `{key}`.{did_you_mean(keys[-1], _keys_at(model, keys[:-1]))}")
        elif mistake["type"] == "missing":
            lines.append(f"{path}: key `{key}` is missing.")
        else:
            lines.append(f"{path}: key `{key}`: {mistake['msg']}. Found {mistake['input']!r}.")
    return "\n".join(lines)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """' Did you mean `x`? Known: ...' for a name that is none of the known ones."""
    names = sorted(known)
    if not names:
        return ""
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean `{close[0]}`?" if close else ""
    return f"{hint} Known: {', '.join(names)}."


def _keys_at(model: type[BaseModel], keys: list[str]) -> list[str]:
    for key in keys:
        field = model.model_fields.get(key)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)

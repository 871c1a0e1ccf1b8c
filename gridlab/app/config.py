"""Reads the configuration: the packaged defaults, and a file of the user's laid over them.

A file's problems are told together in one `InvalidConfig`: first those of single keys, and once
each key can be read, those of keys that do not fit each other. `${NAME}` is replaced from the
environment in `api.key` and `api.secret` and nowhere else; what came from there is never printed.
Knows files and the environment; what is allowed stands in `config_models.py` and `config_rules.py`.
"""

from __future__ import annotations

import difflib
import os
import re
import typing
from collections.abc import Hashable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gridlab.app.config_models import Config, Section
from gridlab.app.config_rules import problems_of
from gridlab.errors import InvalidConfig

__all__ = ["CONFIG_VARIABLE", "DEFAULT_PATH", "Config", "load_config"]

CONFIG_VARIABLE = "GRIDLAB_CONFIG"
DEFAULT_PATH = Path(__file__).with_name("config.yaml")

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SECRET_KEYS = ("key", "secret")


def load_config(
    path: Path | str | None = None, environment: Mapping[str, str] | None = None
) -> Config:
    """The checked configuration.

    Args:
        path: a YAML file laid over the packaged defaults; None takes the one that `GRIDLAB_CONFIG`
            names, or the defaults alone.
        environment: where variables are looked up; None is the process's own.

    Raises:
        InvalidConfig: unreadable, or wrong; `.problems` lists everything that is.
    """
    variables = os.environ if environment is None else environment
    chosen = path if path is not None else variables.get(CONFIG_VARIABLE) or None
    document = _read(DEFAULT_PATH)
    problems: list[str] = []
    if chosen is not None:
        document = _overlay(document, _read(Path(chosen).expanduser()), problems)
    document, unresolved = _resolve(document, variables)
    problems += unresolved
    config = _check(document, problems)
    if config is not None:
        problems += problems_of(config)
    if config is None or problems:
        raise InvalidConfig(*problems)
    return config


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with two changes.

    A number keeps every digit that was typed (a Decimal, not a float), and a key that is given
    twice is an error instead of the last one winning in silence.
    """


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> Any:
    written = loader.construct_scalar(node)
    try:
        return Decimal(written)
    except InvalidOperation:  # .inf, .nan and 1:30.5 stay text, which no numeric key takes
        return written


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    loader.flatten_mapping(node)
    found: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is not a word; quote it", key_node.start_mark
            )
        if key in found:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is given twice; keep one", key_node.start_mark
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InvalidConfig(f"{path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidConfig(f"{path} is not valid YAML: {_yaml_reason(error)}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidConfig(
            f"{path} holds a {type(document).__name__}; sections with keys are meant"
        )
    return document


def _yaml_reason(error: Exception) -> str:
    """What is wrong and on which line; not the line itself, which may hold a key."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} (line {error.problem_mark.line + 1})"
    return type(error).__name__


def _overlay(
    base: dict[str, Any], top: dict[str, Any], problems: list[str], path: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`top` laid over `base`: sections merge key by key, anything else replaces."""
    merged = dict(base)
    for key, value in top.items():
        here = (*path, key)
        below = base.get(key)
        if not isinstance(below, dict):
            merged[key] = value
        elif isinstance(value, dict):
            # A purse is stated whole: nobody who writes BTC wants the default USDT beside it.
            replaces = path == ("replay",) and key.endswith("_balances")
            merged[key] = value if replaces else _overlay(below, value, problems, here)
        else:
            problems.append(
                f"{'.'.join(here)} is {_shown(here, value)}; a section with keys is meant"
            )
    return merged


def _resolve(
    document: dict[str, Any], variables: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The document with the credentials filled in, and what forbids other `${...}`."""
    problems = []
    for path, value in _texts(document):
        secret = len(path) == 2 and path[0] == "api" and path[1] in _SECRET_KEYS
        if not secret and _VARIABLE.search(value):
            problems.append(
                f"{'.'.join(path)} is {_shown(path, value)}; variables are read only in "
                "api.key and api.secret"
            )
    keys = document.get("api")
    if not isinstance(keys, dict):
        return document, problems
    filled = {
        name: _substitute(value, variables)
        if name in _SECRET_KEYS and isinstance(value, str)
        else value
        for name, value in keys.items()
    }
    return document | {"api": filled}, problems


def _substitute(value: str, variables: Mapping[str, str]) -> str | None:
    """`value` with its variables replaced; None when nothing is left."""
    return _VARIABLE.sub(lambda found: variables.get(found[1].strip(), ""), value).strip() or None


def _texts(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _texts(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _texts(value, (*path, str(number)))


def _check(document: dict[str, Any], problems: list[str]) -> Config | None:
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        # pydantic's own text would print the input, credentials included.
        details = error.errors(include_url=False)
    problems += [_sentence(detail) for detail in details]
    return None


def _sentence(detail: ErrorDetails) -> str:
    path = tuple(str(part) for part in detail["loc"] if part != "[key]")
    name, kind = ".".join(path), detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return f"{name} is missing"
    if kind == "model_type":
        return f"{name} is {_shown(path, detail['input'])}; a section with keys is meant"
    context = detail.get("ctx", {})
    reason = {
        "bool_type": "true or false is meant, without quotes",
        "int_type": "a whole number is meant, without quotes or a point",
        "string_type": "text is meant",
        "tuple_type": "a list is meant",
        "dict_type": "a section with keys is meant",
        "greater_than": f"it must be above {context.get('gt')}",
        "greater_than_equal": f"it must be at least {context.get('ge')}",
        "less_than": f"it must be below {context.get('lt')}",
        "less_than_equal": f"it must be at most {context.get('le')}",
        "literal_error": f"it must be {context.get('expected')}",
        "value_error": str(context.get("error")),
        "string_too_short": "it must not be empty",
        "string_pattern_mismatch": f"it must look like {context.get('pattern')}",
    }.get(kind, detail["msg"])
    return f"{name} is {_shown(path, detail['input'])}; {reason}"


def _shown(path: tuple[str, ...], value: object) -> str:
    """The value as an error may print it: short, and never from the section of the credentials."""
    if path[0] == "api":
        return "not usable"
    if isinstance(value, Decimal):
        return str(value)
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _unknown_key(path: tuple[str, ...]) -> str:
    """The sentence for a key that nobody knows, with the nearest that somebody does."""
    *section, key = path
    here = _keys_of(tuple(section))
    place = f"in {'.'.join(section)}" if section else "at the top"
    elsewhere = [".".join(known) for known in _all_paths(Config) if known[-1] == key]
    if elsewhere:
        return f"{'.'.join(path)} is not a key {place}; it belongs at {' or '.join(elsewhere)}"
    near = difflib.get_close_matches(key, here, n=1, cutoff=0)
    return f"{'.'.join(path)} is not a key {place}; the nearest known one is {near[0]}"


def _keys_of(section: tuple[str, ...]) -> list[str]:
    """The keys that the section at this path takes; those of the top for an unknown section."""
    paths = [known for known in _all_paths(Config) if len(known) == len(section) + 1]
    keys = [
        known[-1]
        for known in paths
        if all(a in (b, "*") for a, b in zip(known, section, strict=False))
    ]
    return keys or list(Config.model_fields)


def _all_paths(model: type[Section]) -> Iterator[tuple[str, ...]]:
    """Every key path of `model`; a `*` stands for a name that the user chooses."""
    for name, field in model.model_fields.items():
        path: tuple[str, ...] = (field.alias or name,)
        yield path
        kind = field.annotation
        if typing.get_origin(kind) is dict:
            path, kind = (*path, "*"), typing.get_args(kind)[1]
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from ((*path, *rest) for rest in _all_paths(kind))

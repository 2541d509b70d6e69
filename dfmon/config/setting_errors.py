"""Sentences for settings that are not valid, and for keys of earlier versions: what was found, and what is allowed."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

log = logging.getLogger("dfmon")


_EARLIER_MODEL_KEYS = {
    "taker_liquidated": "liquidation_taker",
    "maker_liquidated": "liquidation_maker",
    "both_liquidated": "liquidation_both",
    "certainty": "",
    "sceptic": "",
    "sceptics": "",
    "direction": "",
}
"""Keys of [model] in earlier versions: their names now, "" for what no longer has a meaning."""


def validation_message(
    schema: type[Struct], tree: Mapping[str, Any], origin: str, message: str, *, strict: bool
) -> str:
    """A validation error of msgspec as file, key, what was found and what is allowed.

    `strict` is for a file, where a value has a type; elsewhere every value is text.
    """
    path_match = re.search(r"`\$([^`]*)`$", message)
    keys = re.findall(r"\w+", path_match.group(1)) if path_match else []
    unknown = re.search(r"unknown field `([^`]*)`", message)
    if unknown:
        return _unknown_key_message(schema, origin, keys, unknown.group(1))
    found_value: Any = tree
    for key in keys:
        found_value = found_value[int(key)] if isinstance(found_value, list) else found_value[key]
    name = ".".join(key for key in keys if not key.isdigit())
    found_text = _shown(str(found_value)) if "@" in str(found_value) else sanitize(repr(found_value), 60)
    form = _form_hint(schema, keys, found_value) if strict else ""
    return f"{origin}: {name} is {found_text}, allowed: {form}{_allowed_values(schema, keys)}"


def _shown(value: str) -> str:
    """A value that may have a password, without it."""
    scheme, mark, _ = value.partition("://")
    return f"{sanitize(scheme, 20)}://… (a value with a password)" if mark else "a value with a password"


def _form_hint(schema: type[Struct], keys: list[str], found: object) -> str:
    """The form of a value that is written in another one: a text for a list, a number in quotes."""
    if len(keys) != 2 or not isinstance(found, str):
        return ""
    default = getattr(getattr(schema(), keys[0]), keys[1])
    if isinstance(default, tuple):
        example = found.split(",") if all(isinstance(item, str) for item in default) else list(default)
        return f"a list such as {msgspec.json.encode(example).decode()}, "
    if isinstance(default, bool) and found.lower() in ("true", "false"):
        return "no quotes, "
    is_number = isinstance(default, int | float) and re.fullmatch(r"\s*-?[\d.]+\s*", found) is not None
    return "a number, not text, " if is_number and not isinstance(default, bool) else ""


def _unknown_key_message(schema: type[Struct], origin: str, keys: list[str], name: str) -> str:
    sections = {field.name: field.type for field in msgspec.structs.fields(schema)}
    known_keys = [key.encode_name for key in msgspec.structs.fields(sections[keys[0]])] if keys else list(sections)
    closest = difflib.get_close_matches(name, known_keys, 1)
    hint = f"; did you mean {closest[0]}?" if closest else f"; known: {', '.join(known_keys)}"
    return f"{origin}: unknown key {'.'.join([*keys, sanitize(name, 60)])}{hint}"


def _allowed_values(schema: type[Struct], keys: list[str]) -> str:
    fields = {field.name: field for field in msgspec.structs.fields(schema)}
    if len(keys) < 2:
        return f"a table [{keys[0]}]" if keys else "a table of sections"
    key = next(field for field in msgspec.structs.fields(fields[keys[0]].type) if field.encode_name == keys[1])
    return str(key.type.__metadata__[0].description)  # a test checks that every key has one


def with_present_names(tree: dict[str, Any], origin: str) -> dict[str, Any]:
    """The settings of a file under the names that they have now, with one warning about all that have another."""
    section = tree.get("model")
    earlier = [key for key in section if key in _EARLIER_MODEL_KEYS] if isinstance(section, dict) else []
    if not isinstance(section, dict) or not earlier:
        return tree
    renamed = [f"{key} is {name} now" for key in earlier if (name := _EARLIER_MODEL_KEYS[key])]
    unused = [key for key in earlier if not _EARLIER_MODEL_KEYS[key]]
    notes = [*renamed, *([f"{', '.join(unused)}: no longer used"] if unused else [])]
    log.warning("%s: [model] %s", origin, "; ".join(notes))
    taken = {_EARLIER_MODEL_KEYS[key]: section[key] for key in earlier}
    taken.pop("", None)
    present = {key: value for key, value in section.items() if key not in earlier}
    return {**tree, "model": {**taken, **present}}


def with_flat_keys(tree: dict[str, Any], origin: str) -> dict[str, Any]:
    """The settings of a file with `[keys]` as lists of keys by action: a key, a list of keys, or [] for none.

    An action may be written without quotes: its dots make TOML's tables. Raises UsageError for any other value.
    """
    table = tree.get("keys")
    return tree if not isinstance(table, dict) else {**tree, "keys": dict(_flat_keys(table, origin))}


def _flat_keys(table: Mapping[str, Any], origin: str, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    for name, value in table.items():
        action = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat_keys(value, origin, f"{action}.")
        elif isinstance(value, list) and all(isinstance(key, str) for key in value):
            yield action, value
        elif isinstance(value, str):
            yield action, [value]
        else:
            found, allowed = sanitize(repr(value), 40), "a key in quotes, a list of keys, or [] for none"
            raise UsageError(f"{origin}: keys.{sanitize(action, 60)} is {found}, allowed: {allowed}")

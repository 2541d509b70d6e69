"""What holds for every snapshot, whatever the inputs were: a reason for each null, and nothing but finite numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from dfmon.model.snapshot import FlowSnapshot, to_json


def nulls(value: Any, path: str = "") -> Iterator[str]:
    """Path of each null of a JSON object; a feed goes by its name."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from nulls(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from nulls(inner, f"{path}.{inner['name'] if path == 'feeds' else i}")


def reason_for(path: str, sentences: list[str]) -> str | None:
    """The sentence that names `path`, or a field above it or at its start."""
    for sentence in sentences:
        names, _, why = sentence.partition(": ")
        for name in names.split(", "):
            if why and (f".{name}." in f".{path}." or f".{name}_" in f".{path}"):
                return sentence
    return None


def check(snapshot: FlowSnapshot) -> None:
    """Every null has a reason, and nothing is NaN or infinite, in the JSON and in the detail."""
    shown = json.loads(to_json(snapshot, "live"))
    for missing in nulls(shown):
        assert reason_for(missing, shown["unavailable"]), f"{missing} has no reason in {shown['unavailable']}"
    assert all(math.isfinite(number) for number in numbers(msgspec.to_builtins(snapshot.without_views())))


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from numbers(inner)

"""What holds for every snapshot, whatever the inputs were: a reason for each null, and nothing but finite numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from dfmon.model.snapshot import FlowSnapshot, to_json


def nulls(value: dict[str, Any]) -> list[str]:
    """Path of each null of a JSON object; a feed goes by its name."""
    found, waiting = list[str](), [("", value)]
    for path, row in waiting:
        for key, inner in row.items():
            if inner is None:
                found.append(f"{path}{key}")
            elif type(inner) is dict:
                waiting.append((f"{path}{key}.", inner))
            elif type(inner) is list:
                is_feed = f"{path}{key}" == "feeds"
                rows = {each["name"] if is_feed else str(i): each for i, each in enumerate(inner)}
                waiting.append((f"{path}{key}.", rows))
    return found


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

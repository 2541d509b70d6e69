"""JSON text as documents: one, or one a line; NaN and infinities stand for nothing."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from dfmon.model.units import sanitize
from dfmon.store.boards.cells import BadCell

_MAX_OBJECTS: Final = 300_000


def parse_documents(text: str | bytes) -> tuple[list[Any], str, tuple[tuple[int, str], ...]]:
    """The documents of a text, its kind, and the lines that are damaged. Raises BadCell with the place of an error."""
    objects = text.count("{") + text.count("[") if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    if objects > _MAX_OBJECTS:
        raise BadCell(f"is JSON of more than {_MAX_OBJECTS:,} objects: save it as parquet")
    try:
        return [msgspec.json.decode(text)], "JSON", ()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:  # NaN and Infinity, which pandas writes
        return [json.loads(text, parse_constant=no_number)], "JSON", ()
    except RecursionError:
        raise BadCell("is JSON nested too deeply") from None
    except ValueError as exc:
        error = exc
    documents: list[Any] = []
    damaged: list[tuple[int, str]] = []
    lines: list[str | bytes] = list(text.splitlines())
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                documents.append(json.loads(line, parse_constant=no_number))
        except (ValueError, RecursionError):
            damaged.append((number, "the line is no JSON"))
            if len(damaged) > len(documents) + 100:
                break
    if not documents or len(damaged) > len(documents):
        where = f"{getattr(error, 'msg', error)} at line {getattr(error, 'lineno', 1)}"
        raise BadCell(f"is no JSON: {sanitize(where.lower(), 80)}")
    return documents, "JSON lines", tuple(damaged)


def no_number(_name: str) -> None:
    """NaN and the infinities stand for nothing."""

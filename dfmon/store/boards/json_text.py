"""JSON text as documents: one, or one a line; NaN and infinities stand for nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from dfmon.model.units import sanitize
from dfmon.store.boards.cells import BadCell


def parse_documents(text: str | bytes) -> tuple[list[Any], str]:
    """The documents of a text and what it is. Raises BadCell with the place that is wrong."""
    try:
        return [msgspec.json.decode(text)], "JSON"
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:  # NaN and Infinity, which pandas writes
        return [json.loads(text, parse_constant=no_number)], "JSON"
    except RecursionError:
        raise BadCell("is JSON nested too deeply") from None
    except ValueError as exc:
        error = exc
    lines: list[str | bytes] = list(text.splitlines())
    documents = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            documents.append(json.loads(line, parse_constant=no_number))
        except (ValueError, RecursionError):
            if number > 2 and documents:
                raise BadCell(f"is JSON lines whose line {number} is damaged") from None
            where = f"{getattr(error, 'msg', error)} at line {getattr(error, 'lineno', 1)}"
            raise BadCell(f"is no JSON: {sanitize(where.lower(), 80)}") from None
    return documents, "JSON lines"


def no_number(_name: str) -> None:
    """NaN and the infinities stand for nothing."""

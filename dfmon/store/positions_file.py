"""Reads dealer positions from a CSV file: `instrument_name,position` in coins, + is long."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

HEADER = ["instrument_name", "position"]


def read_positions(path: Path) -> dict[str, float]:
    """Position by option name. Raises UsageError with the file, the line, what was found and what is allowed."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise UsageError(f"{sanitize(str(path))}: the position file cannot be read: {exc}") from None
    if not rows or [cell.strip().lower() for cell in rows[0]] != HEADER:
        raise UsageError(f"{sanitize(str(path))}: line 1: the header {','.join(HEADER)} is expected")
    positions: dict[str, float] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        location = f"{sanitize(str(path))}: line {number}"
        if len(row) != 2:
            raise UsageError(f"{location}: {len(row)} columns, {len(HEADER)} are expected: {','.join(HEADER)}")
        name, text = row[0].strip(), row[1].strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UsageError(
                f"{location}: the position of {sanitize(name)} is {sanitize(text)!r}, a number is expected"
            )
        if name in positions:
            raise UsageError(f"{location}: {sanitize(name)} is listed twice")
        positions[name] = value
    return positions

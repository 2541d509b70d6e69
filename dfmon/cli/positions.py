"""`dfmon positions`: dealer positions with their bands and origins, a row an option or an expiry, as text, CSV or JSON.

Sources and exit codes are those of `dfmon snapshot`. Coins, + dealers long.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from dfmon.cli.snapshot import load_snapshot
from dfmon.config import Config
from dfmon.model.errors import EXIT_OK, EXIT_STALE, DfmonError
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.tables import ExpiryRow, PositionRow, Sources
from dfmon.model.units import iso, sanitize

_SOURCES: Final = Sources.__struct_fields__
_OPTION_COLUMNS: Final = (
    "name", "expiry", "strike", "option_type", "open_interest", "net", "lo", "hi", "p_long", "seen", "full_history",
    "printed", "lost", "change", "unexplained", "last_print",
)  # fmt: skip
_EXPIRY_COLUMNS: Final = (
    "expiry", "label", "open_interest", "options", "net", "full_history_net", "coverage", "churn", "residual", "change",
    "unexplained",
)  # fmt: skip
_TEXT_SOURCES: Final = ("screen", "block", "rfq", "combo", "liq", "open", "transf", "start", "r-out")


def run(args: argparse.Namespace, config: Config) -> int:
    """Prints the rows. Returns 0, or 4 if their data are stale."""
    snapshot, mode = load_snapshot(args, config)
    if snapshot.state != "stale":
        snapshot = msgspec.structs.replace(snapshot, state=mode)
    rows = snapshot.by_expiry if args.by == "expiry" else _options(snapshot)
    if args.csv:
        sys.stdout.write(as_csv(snapshot, rows))
    elif args.json:
        sys.stdout.buffer.write(as_json(snapshot, rows) + b"\n")
    else:
        sys.stdout.write(as_text(snapshot, rows))
    sys.stdout.flush()
    return EXIT_STALE if snapshot.state == "stale" else EXIT_OK


def _options(snapshot: FlowSnapshot) -> tuple[PositionRow, ...]:
    if not isinstance(snapshot.detail, Detail):
        raise DfmonError("the snapshot came without its options; the address of a --rest has them, a redis does not")
    return snapshot.detail.positions


def as_csv(snapshot: FlowSnapshot, rows: Sequence[PositionRow] | Sequence[ExpiryRow]) -> str:
    """A header and a line a row; a missing number is empty."""
    columns = _columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ts", "underlying", "model", *columns, *_SOURCES])
    for row in rows:
        parts = [None] * len(_SOURCES) if row.sources is None else list(msgspec.structs.astuple(row.sources))
        fixed = [snapshot.ts, snapshot.underlying, snapshot.positions.model]
        writer.writerow([_cell(value) for value in (*fixed, *(_value(row, name) for name in columns), *parts)])
    return text.getvalue()


def _columns(rows: Sequence[PositionRow] | Sequence[ExpiryRow]) -> tuple[str, ...]:
    return _EXPIRY_COLUMNS if rows and isinstance(rows[0], ExpiryRow) else _OPTION_COLUMNS


def _value(row: PositionRow | ExpiryRow, name: str) -> Any:
    if name == "last_print":
        last_ns = getattr(row, "last_ns", None)
        return iso(last_ns) if last_ns else None
    return getattr(row, name)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else sanitize(str(value))


def as_json(snapshot: FlowSnapshot, rows: Sequence[PositionRow] | Sequence[ExpiryRow]) -> bytes:
    """The source of the positions and the rows, with the reasons for missing numbers."""
    return msgspec.json.encode(
        {
            "ts": snapshot.ts,
            "state": snapshot.state,
            "underlying": snapshot.underlying,
            "positions": snapshot.positions,
            "rows": rows,
            "unavailable": snapshot.unavailable,
        }
    )


def as_text(snapshot: FlowSnapshot, rows: Sequence[PositionRow] | Sequence[ExpiryRow]) -> str:
    """A head with the basis of the positions, then a table whose origins add up to NET."""
    by_option = _columns(rows) is _OPTION_COLUMNS
    lines = _head(snapshot)
    shown = (
        ("open_interest", "net", "lo", "hi", "p_long")
        if by_option
        else ("open_interest", "net", "full_history_net", "change", "unexplained")
    )
    heads = ("OI", "NET", "5%", "95%", "P(LONG)") if by_option else ("OI", "NET", "COMPLETE", "CHANGE", "UNEXPL")
    lines.append(f"{'OPTION' if by_option else 'EXPIRY':<24}" + "".join(f"{h:>9}" for h in (*heads, *_TEXT_SOURCES)))
    for row in rows:
        name = row.name if isinstance(row, PositionRow) else row.label
        parts = [None] * len(_SOURCES) if row.sources is None else list(msgspec.structs.astuple(row.sources))
        values = [*(getattr(row, column) for column in shown), *parts]
        digits = [2 if column == "p_long" else 1 for column in shown] + [1] * len(parts)
        cells = (f"{_number(value, places):>9}" for value, places in zip(values, digits))
        lines.append(f"{sanitize(name, 24):<24}" + "".join(cells))
    return "\n".join(lines) + "\n"


def _head(snapshot: FlowSnapshot) -> list[str]:
    facts = snapshot.positions
    slope = f"{_number(facts.opening_slope)} +- {_number(facts.opening_slope_error, 3)}"
    signal = f"{_number(facts.signal)} +- {_number(facts.signal_error, 3)}"
    residual = f"{_number(facts.residual_of_change, 4)} (0.002 to 0.006 is usual)"
    return [
        f"{sanitize(snapshot.underlying)} {snapshot.ts} {snapshot.state}, model {sanitize(facts.model)}",
        f"coverage {_number(facts.coverage)}, residual of the changes of open interest {residual}",
        f"opening slope B {slope}, signal {signal}: {_decision(facts.decided)}",
        *(f"{sanitize(name)}: {count} times" for name, count in facts.faults.items()),
        "coins, + dealers long; screen to r-out add up to NET",
    ]


def _decision(decided: bool | None) -> str:
    return {True: "sign decided", False: "sign undecided", None: "sign not measured yet"}[decided]


def _number(value: float | None, places: int = 2) -> str:
    return "n/a" if value is None else f"{value:.{places}f}"

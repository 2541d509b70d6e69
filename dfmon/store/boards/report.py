"""The reading of a board file in words: in one line, and in full with columns, guesses and rows left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dfmon.model.units import iso, sanitize
from dfmon.store.boards.interpreter import Findings

_LISTED_REASONS: Final = 200
FIELDS: Final = {
    "name": "option", "time": "time", "received": "local time", "base": "currency", "type": "call or put",
    "strike": "strike", "expiry": "expiry", "iv": "mark volatility", "bid_iv": "bid volatility",
    "ask_iv": "ask volatility", "forward": "forward", "spot": "index price", "open_interest": "open interest",
    "volume": "volume", "mark": "mark", "bid": "bid", "ask": "ask", "delta": "delta, for forwards that are missing",
    "settlement": "settlement", "kind": "kind", "contract_size": "contract size", "price_index": "index",
    "listed": "listing time",
}  # fmt: skip


def summary(found: Findings) -> str:
    """One line.

    read as Tardis options_chain, mark_iv as per cent, 1,304 options, 3 rows left out
    """
    parts = [
        f"read as {found.matched.layout.phrase}",
        *_guesses(found),
        f"{found.options:,} {'option' if found.options == 1 else 'options'}",
    ]
    if found.unpriced:
        parts.append(f"{found.unpriced:,} of them without volatility, forward or open interest")
    if found.expired:
        parts.append(f"{found.expired:,} of them expired")
    if found.repeated:
        rows = "row replaced by its" if found.repeated == 1 else "rows replaced by their"
        parts.append(f"{found.repeated:,} repeated {rows} last")
    if found.left_out:
        parts.append(f"{found.left_out:,} {'row' if found.left_out == 1 else 'rows'} left out")
    if found.missing:
        options = "unexpired option" if len(found.missing) == 1 else "unexpired options"
        parts.append(f"{len(found.missing):,} {options} missing from a later board")
    return ", ".join(parts)


def explanation(found: Findings) -> Iterator[str]:
    """Lines: what the file is, each column and what it was taken for, each guess, each row that was left out."""
    yield summary(found)
    yield f"container: {found.container}"
    field_of = {column: name for name, column in found.matched.columns.items()}
    width = max((len(name) for name in found.header), default=0)
    for column in found.header:
        meaning = FIELDS.get(field_of.get(column, ""), "not used")
        yield f"column {sanitize(column, 40):<{min(width, 40)}}  {meaning}"
    for name in ("name", "base", "type", "strike", "expiry", "time", "forward", "spot"):
        if name not in found.matched.columns:
            yield f"no column of {FIELDS[name]}: {_replacement(found, name)}"
    for line, reason in sorted(found.reasons)[:_LISTED_REASONS]:
        yield f"left out: {found.row_label} {line}: {reason}"
    if found.left_out > _LISTED_REASONS:
        yield f"left out: {found.left_out - _LISTED_REASONS:,} more"
    for name, ts_ns in sorted(found.missing.items())[:_LISTED_REASONS]:
        yield f"missing: {name}, from the board of {iso(ts_ns)} on"
    if len(found.missing) > _LISTED_REASONS:
        yield f"missing: {len(found.missing) - _LISTED_REASONS:,} more"


def _guesses(found: Findings) -> list[str]:
    """The inferences, each in a few words."""
    units, derived = found.units, found.derived
    guesses = []
    if units is not None:
        known = found.matched.layout.iv
        unit = f"{found.iv_name} as {units.iv if units.iv == 'per cent' else 'a fraction'}"
        if units.is_unexpected:
            unit += f" although it mostly is {'a fraction' if known == 'fraction' else known}"
        guesses.append(f"{unit} (the marks agree)" if units.is_confirmed else unit)
        if units.prices == "USD":
            guesses.append("prices in dollars")
    epochs = sorted({unit for notes in found.time_notes.values() for unit in notes.epochs} - {"ms"})
    if epochs:
        guesses.append(f"times in {' and '.join(epochs)}")
    if any(notes.without_zone for notes in found.time_notes.values()):
        guesses.append("times without a zone as UTC")
    if found.is_at_midnight:
        guesses.append(f"time as 00:00 UTC of {found.matched.columns['time']}")
    if "expiry" in found.time_notes and found.time_notes["expiry"].days:
        guesses.append("expiry days as 08:00 UTC")
    guesses += found.notes
    guesses += [f"no {column} in any row" for column in found.empty]
    if found.in_contracts:
        sizes = " and ".join(f"{size:g} {base}" for base, size in sorted(found.in_contracts.items()))
        guesses.append(f"open interest in contracts of {sizes}")
    if derived.spot_column:
        guesses.append(f"{found.matched.columns['forward']} as spot")
    if derived.from_expiry:
        guesses.append(f"{derived.from_expiry:,} forwards from others of their expiry")
    if derived.by_parity:
        guesses.append("forwards by put-call parity of the marks")
    if derived.by_delta:
        guesses.append("forwards from the deltas")
    if derived.spot_from_forward:
        guesses.append("spot from the nearest forward")
    return guesses


def _replacement(found: Findings, name: str) -> str:
    """The source of a field that has no column."""
    if name in ("base", "type", "strike", "expiry"):
        return "read from the names"
    if name == "name":
        return "made of currency, expiry, strike and type"
    if name == "time":
        return "the time that was given"
    if name == "forward":
        return "put-call parity of the marks" if found.derived.by_parity else "the deltas"
    return "the forward of the nearest expiry" if found.derived.spot_from_forward else "the prices of the forwards"

"""Figures of tera1oo4: gamma by expiry and by option, with the options and the venue's own replies in one JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dfmon.evidence.conventions import Column, VendorChain
from dfmon.evidence.published import (
    Fact,
    Published,
    expired_conflict,
    expiry_ns,
    moment_ns,
    name_conflicts,
    option_types,
    time_conflict,
)
from dfmon.model.errors import UsageError
from dfmon.model.units import MILLISECOND, YEAR, sanitize
from dfmon.store.file_content import open_unpacked, shown_path

_SUMS: Final = {
    f"{side}_gamma{unit}": kind
    for unit in ("", "_usd")
    for side, kind in (("total", "net"), ("call", "calls"), ("put", "puts"))
}
_BY_OPTION: Final = ("gamma_exposure", "gamma_exposure_usd")
_NUMBERS: Final = ("strike", "gamma", "open_interest", "mark_iv", *_BY_OPTION)
_TOP_KEYS: Final = frozenset(
    ("timestamp", "currency", "indexPrice", "processedCount", "skippedCount", "totalExpirations", "expirationDates",
     "gammaByExpiration", "rawData")
)  # fmt: skip
_OPTION_KEYS: Final = frozenset(
    (*_NUMBERS, "instrument_name", "option_type", "mark_price", "volume_24h", "bid_volume", "ask_volume")
)
_INDEX_TOLERANCE: Final = 1e-3


class _Parts(NamedTuple):
    """The used parts of the document, in the types that they must have."""

    ts_ns: int
    spot: float
    coin: str
    dates: list[str]
    by_expiry: dict[str, Mapping[str, Any]]
    options: list[tuple[str, Mapping[str, Any]]]
    numbers: dict[str, np.typing.NDArray[np.float64]]
    types: np.typing.NDArray[np.float64]


def read_tera1oo4(path: Path, _chain_path: Path | None) -> Published:
    """The figures and their options. Raises UsageError for another file."""
    document, shown = _json_object(path), shown_path(path)
    try:
        return _published(document, shown)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UsageError(f"{shown} is no file of tera1oo4: {sanitize(repr(exc), 60)} in it") from None


def _published(document: Mapping[str, Any], shown: str) -> Published:
    parts, replies = _parts(document, shown), _summaries(document)
    names = [str(option["instrument_name"]) for _, option in parts.options]
    groups = [name for name, _ in parts.options]
    expiries = [expiry_ns(name, shown) for name in groups]
    forward = np.array([float(replies.get(name, {}).get("underlying_price") or np.nan) for name in names])
    options = VendorChain(
        np.array(groups), parts.numbers["strike"], parts.types, parts.numbers["gamma"], parts.numbers["open_interest"],
        parts.numbers["mark_iv"], (np.array(expiries) - parts.ts_ns) / YEAR, forward, parts.spot,
    )  # fmt: skip
    conflicts = name_conflicts(names, options.strike, options.option_type, expiries, shown)
    conflicts += expired_conflict("timestamp", parts.ts_ns, expiries) + _against_replies(parts, names, replies)
    return Published(
        "tera1oo4", parts.ts_ns, options, names,
        {
            name: Column.of(kind, {key: float(entry[name]) for key, entry in parts.by_expiry.items()})
            for name, kind in _SUMS.items()
        },
        {},
        {name: Column.of("net", dict(zip(names, parts.numbers[name].tolist(), strict=True))) for name in _BY_OPTION},
        _facts(document, parts), conflicts, _notes(document, parts, names, replies, shown),
    )  # fmt: skip


def _parts(document: Mapping[str, Any], shown: str) -> _Parts:
    by_expiry = dict(document["gammaByExpiration"])
    options = [(name, option) for name, entry in by_expiry.items() for option in entry["instruments"]]
    if not options:
        raise KeyError("instruments")
    numbers = {key: np.array([float(option[key]) for _, option in options]) for key in _NUMBERS}
    types = option_types([str(option["option_type"]) for _, option in options], shown)
    return _Parts(
        moment_ns(str(document["timestamp"]), shown), float(document["indexPrice"]), str(document["currency"]),
        [str(day) for day in document["expirationDates"]], by_expiry, options, numbers, types,
    )  # fmt: skip


def _facts(document: Mapping[str, Any], parts: _Parts) -> list[Fact]:
    """Counts and dates beside those of the options."""
    found = {
        "processedCount": str(len(parts.options)),
        "totalExpirations": str(len(parts.by_expiry)),
        "expirationDates": ", ".join(sorted(parts.by_expiry)),
        "currency": ", ".join(
            sorted({str(option["instrument_name"]).partition("-")[0] for _, option in parts.options})
        ),
    }
    published = {name: str(document.get(name, "absent")) for name in found} | {
        "expirationDates": ", ".join(parts.dates)
    }
    return [Fact(name, sanitize(published[name]), sanitize(text)) for name, text in found.items()]


def _against_replies(parts: _Parts, names: list[str], replies: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Time, index, open interest and volatility beside the venue's replies in the same file."""
    used = [(name, replies[name]) for name in names if name in replies]
    if not used:
        return []
    made = [int(reply["creation_timestamp"]) for _, reply in used if "creation_timestamp" in reply]
    conflicts = time_conflict("timestamp", parts.ts_ns, "the replies are of", max(made) * MILLISECOND) if made else []
    index = [float(reply["estimated_delivery_price"]) for _, reply in used if reply.get("estimated_delivery_price")]
    if index and abs(parts.spot / float(np.median(index)) - 1.0) > _INDEX_TOLERANCE:
        conflicts.append(f"indexPrice is {parts.spot:,.2f}, in the replies {np.median(index):,.2f}")
    for key, scale in (("open_interest", 1.0), ("mark_iv", 0.01)):
        own = dict(zip(names, parts.numbers[key].tolist(), strict=True))
        wrong = [name for name, reply in used if abs(own[name] - scale * float(reply[key])) > 1e-9]
        if wrong:
            conflicts.append(f"{key} of {len(wrong):,} options is not that of the replies, the first is {wrong[0]}")
    return conflicts


def _notes(
    document: Mapping[str, Any], parts: _Parts, names: list[str], replies: Mapping[str, Mapping[str, Any]], shown: str
) -> list[str]:
    notes = []
    if unused := replies.keys() - set(names):
        idle = sum(not replies[name].get("open_interest") for name in unused)
        notes.append(
            f"{len(unused)} options of rawData that the figures leave out, {idle} of them without open interest "
            f"(skippedCount says {sanitize(str(document.get('skippedCount')), 20)})"
        )
    unread = [sanitize(str(key), 30) for key in document if key not in _TOP_KEYS]
    counts = Counter(key for _, option in parts.options for key in option if key not in _OPTION_KEYS)
    counts.update(key for e in parts.by_expiry.values() for key in e if key not in {*_SUMS, "instruments"})
    unread += [sanitize(str(key), 30) for key in counts]
    if unread:
        notes.append(f"{shown}: keys that are not read: {', '.join(unread)}")
    return notes


def _summaries(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The venue's summaries by option, as far as the file has them."""
    raw = document.get("rawData")
    rows = raw.get("bookSummary") if isinstance(raw, dict) else None
    usable = (row for row in rows or () if isinstance(row, dict) and isinstance(row.get("instrument_name"), str))
    return {row["instrument_name"]: row for row in usable}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        with open_unpacked(path, "a JSON file") as stream:
            document = json.loads(stream.read())
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{shown_path(path)} is no JSON: {sanitize(str(exc), 80)}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{shown_path(path)}: a JSON object is expected")
    return document

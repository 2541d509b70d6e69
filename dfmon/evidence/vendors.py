"""Third parties' published figures read from their files, with the options behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.evidence.conventions import VendorChain
from dfmon.evidence.foreign_table import read_table
from dfmon.model.errors import UsageError
from dfmon.model.units import DAY, HOUR, YEAR, sanitize
from dfmon.store.file_content import open_unpacked, shown_path

_EXPIRY_HOUR: Final = 8


class Published(NamedTuple):
    """Figures by kind and group, the options behind them, and sentences on what was not read."""

    vendor: str
    figures: dict[str, dict[str, float]]
    chain: VendorChain
    notes: list[str]


def read_r1quant(path: Path, chain_path: Path | None) -> Published:
    """Figures by expiry, in millions, and the chain in a file of its own."""
    if chain_path is None:
        raise UsageError("r1quant publishes its chain in a file of its own: --chain FILE is needed")
    columns_of = {"positive": "total_resistance_musd", "negative": "total_support_musd", "net": "net_balance_musd"}
    table = read_table(
        path, ("ts_utc", "spot", "expiry", *columns_of.values()), ("gamma_flip", "call_wall", "put_wall")
    )
    chain = read_table(
        chain_path,
        ("date", "expiry_name", "expiry_date", "strike", "type", "open_interest", "gamma", "mark_iv"),
        ("instrument_name", "volume", "rho", "theta", "vega", "delta", "bid_iv", "ask_iv"),
    )
    groups = table.texts("expiry")
    spots = np.unique(table.numbers("spot"))
    if spots.size != 1:
        raise UsageError(f"{table.path}: {spots.size} spots, the figures of one moment are expected")
    figures = {
        figure: dict(zip(groups, table.numbers(column).tolist(), strict=True)) for figure, column in columns_of.items()
    }
    now_ns = [moment_ns(text, chain.path) for text in chain.texts("date")]
    expiry_ns = [_expiry_ns(text, chain.path) for text in chain.texts("expiry_date")]
    strike = chain.numbers("strike")
    options = VendorChain(
        np.array(chain.texts("expiry_name")), strike, _types(chain.texts("type"), chain.path), chain.numbers("gamma"),
        chain.numbers("open_interest"), chain.numbers("mark_iv") / 100.0,
        (np.array(expiry_ns) - np.array(now_ns)) / YEAR, np.full(strike.size, np.nan), float(spots[0]),
    )  # fmt: skip
    return Published("r1quant", figures, options, [*table.notes(), *chain.notes()])


def read_tera1oo4(path: Path, _chain_path: Path | None) -> Published:
    """Figures by expiry and the options in one JSON object."""
    document = _json_object(path)
    shown = shown_path(path)
    try:
        now_ns, spot = moment_ns(str(document["timestamp"]), shown), float(document["indexPrice"])
        by_expiry: Mapping[str, Mapping[str, Any]] = document["gammaByExpiration"]
        figures = {
            figure: {name: float(entry[f"{key}_gamma"]) for name, entry in by_expiry.items()}
            for figure, key in (("net", "total"), ("calls", "call"), ("puts", "put"))
        }
        rows = [(name, option) for name, entry in by_expiry.items() for option in entry["instruments"]]
        names = np.array([name for name, _ in rows])
        columns = {
            key: np.array([float(option[key]) for _, option in rows])
            for key in ("strike", "gamma", "open_interest", "mark_iv")
        }
        types = _types([str(option["option_type"]) for _, option in rows], shown)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise UsageError(f"{shown} is no file of tera1oo4: {sanitize(repr(exc), 60)} in it") from None
    tau = np.array([_expiry_ns(name, shown) - now_ns for name in names]) / YEAR
    options = VendorChain(
        names, columns["strike"], types, columns["gamma"], columns["open_interest"], columns["mark_iv"], tau,
        np.full(len(rows), np.nan), spot,
    )  # fmt: skip
    known = {"timestamp", "currency", "indexPrice", "processedCount", "skippedCount", "totalExpirations",
             "expirationDates", "gammaByExpiration", "rawData"}  # fmt: skip
    unread = [sanitize(str(key), 30) for key in document if key not in known]
    return Published(
        "tera1oo4", figures, options, [f"{shown}: keys that are not read: {', '.join(unread)}"] if unread else []
    )


VENDORS: Final[Mapping[str, Callable[[Path, Path | None], Published]]] = {
    "r1quant": read_r1quant,
    "tera1oo4": read_tera1oo4,
}


def _json_object(path: Path) -> dict[str, Any]:
    try:
        with open_unpacked(path, "a JSON file") as stream:
            document = json.loads(stream.read())
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{shown_path(path)} is no JSON: {sanitize(str(exc), 80)}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{shown_path(path)}: a JSON object is expected")
    return document


def moment_ns(text: str, shown: str) -> int:
    """A time as text, UTC if it has no zone. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{shown}: {sanitize(text, 30)!r} is no time, such as 2026-01-23T02:00:00 is expected"
        ) from None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000


def _expiry_ns(text: str, shown: str) -> int:
    """A date, which means 08:00 UTC."""
    day_ns = moment_ns(text[:10], shown)
    return day_ns - day_ns % DAY + _EXPIRY_HOUR * HOUR


def _types(texts: list[str], shown: str) -> F64:
    signs = {"call": 1.0, "c": 1.0, "put": -1.0, "p": -1.0}
    unknown = sorted({text for text in texts if text.lower() not in signs})
    if unknown:
        raise UsageError(f"{shown}: option type {sanitize(unknown[0], 20)!r}, call or put is expected")
    return np.array([signs[text.lower()] for text in texts])

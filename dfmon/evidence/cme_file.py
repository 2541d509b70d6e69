"""CME's daily settlements of bitcoin and ether options and futures as boards. Open interest has no sign there.

Two layouts are read: the end-of-day settlements of DataMine (`BizDt,Sym,ID,StrkPx,...`) and the older table of
settlement, volume and open interest (`PRODUCT SYMBOL,CONTRACT MONTH,...`). An option is on a future: its settlement in
the same file is the forward. The volatility is that of the option's settlement price, without interest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from dfmon.api.board_source import BoardColumns
from dfmon.core.pricing.implied_vol import implied_volatility
from dfmon.evidence.foreign_table import ForeignTable, read_table
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import YEAR, nanoseconds, sanitize

COINS: Final[Mapping[str, tuple[str, float]]] = {
    "BTC": ("BTC", 5.0),
    "MBT": ("BTC", 0.1),
    "ETH": ("ETH", 50.0),
    "MET": ("ETH", 0.1),
}
"""Underlying and coins of a contract, by the symbol of the future."""
_ZONES: Final = {"settlement": ("America/Chicago", 15), "expiry": ("Europe/London", 16)}
_FRIDAY: Final = 4


class _Layout(NamedTuple):
    """Columns of a file by meaning; `known` are those that are there and not needed."""

    title: str
    day: str
    product: tuple[str, ...]
    kind: Callable[[Mapping[str, str]], str]
    strike: str
    side: str
    settle: str
    interest: str
    month: Callable[[Mapping[str, str]], str]
    expiry: Callable[[Mapping[str, str]], date | None]
    required: tuple[str, ...]
    known: tuple[str, ...]


class _Quote(NamedTuple):
    """An option of the file whose numbers are all there."""

    day: date
    product: str
    strike: float
    sign: float
    premium: float
    interest: float
    expiry: date
    forward: float


class CmeFile(NamedTuple):
    """Boards by underlying and day in order; `skipped` are counts of rows by what they lack."""

    layout: str
    boards: dict[tuple[str, date], BoardColumns]
    skipped: dict[str, int]
    notes: list[str]


def read_cme(path: Path) -> CmeFile:
    """The boards of a file. Raises UsageError for another file, for a day that does not exist, and where nothing can be
    priced.
    """
    table = read_table(path, (), keep=_may_be_ours)
    layout = _layout_of(table)
    known = {*layout.required, *layout.known}
    notes = table._replace(unread=tuple(name for name in table.columns if name not in known)).notes()
    names = [name for name in table.columns if name in known]
    columns = [table.texts(name) for name in names]
    rows = [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]
    skipped: Counter[str] = Counter()
    quotes = _quotes(rows, layout, table.path, skipped)
    boards = _boards(quotes, skipped)
    if not boards:
        reasons = "; ".join(f"{count:,} {what}" for what, count in skipped.items())
        raise UsageError(
            f"{table.path} has no option on {', '.join(COINS)} that can be priced" + (f": {reasons}" if reasons else "")
        )
    return CmeFile(layout.title, boards, dict(sorted(skipped.items())), notes)


def _may_be_ours(line: str) -> bool:
    """True for rows of our products: a whole day of the exchange has more than fit."""
    return any(code in line for code in COINS)


def _layout_of(table: ForeignTable) -> _Layout:
    for layout in LAYOUTS:
        if layout.required[0] in table.columns:
            if missing := [name for name in layout.required if name not in table.columns]:
                raise UsageError(f"{table.path} has no column {', '.join(missing)} of {layout.title}")
            return layout
    titles = " nor ".join(layout.title for layout in LAYOUTS)
    raise UsageError(f"{table.path} is neither {titles}: it has no column {LAYOUTS[0].required[0]}")


def _quotes(rows: list[dict[str, str]], layout: _Layout, shown: str, skipped: Counter[str]) -> list[_Quote]:
    ours = [(row, product) for row in rows if (product := _product(row, layout))]
    futures: dict[tuple[str, str, str], float] = {}
    for row, product in ours:
        if layout.kind(row) == "future" and (settle := _number(row, layout.settle, shown)) is not None:
            futures[row[layout.day], product, layout.month(row)] = settle
    quotes, contracts = [], set[tuple[object, ...]]()
    for row, product in ours:
        if layout.kind(row) != "option":
            continue
        forward = futures.get((row[layout.day], product, layout.month(row)))
        found = _quote(row, product, forward, layout, shown)
        if isinstance(found, str):
            skipped[f"options {found}"] += 1
            continue
        contract = found.day, found.product, found.expiry, found.strike, found.sign
        if contract in contracts:
            skipped["options that are repeated, of which the first counts"] += 1
            continue
        contracts.add(contract)
        quotes.append(found)
        if not np.isfinite(found.interest):
            skipped["options without open interest, counted as 0"] += 1
    return quotes


def _quote(row: Mapping[str, str], product: str, forward: float | None, layout: _Layout, shown: str) -> _Quote | str:
    """An option of the file, or what it lacks."""
    day = _day(row[layout.day], layout.day, shown)
    premium, strike = _number(row, layout.settle, shown), _number(row, layout.strike, shown)
    sign, expiry = _SIGNS.get(row[layout.side].upper()), layout.expiry(row)
    if premium is None:
        return "without a settlement price"
    if strike is None or sign is None or expiry is None:
        return "without strike, call or put, or expiry"
    if forward is None:
        return "whose future has no settlement in the file"
    contracts = _number(row, layout.interest, shown)
    if contracts is not None and not 0.0 <= contracts < np.inf:
        return "whose open interest is no number of contracts"
    coins = np.nan if contracts is None else contracts * COINS[product][1]
    return _Quote(day, product, strike, sign, premium, coins, expiry, forward)


def _boards(quotes: list[_Quote], skipped: Counter[str]) -> dict[tuple[str, date], BoardColumns]:
    boards = {}
    for key in sorted({(COINS[quote.product][0], quote.day) for quote in quotes}):
        own = [quote for quote in quotes if (COINS[quote.product][0], quote.day) == key]
        ts_ns = _moment_ns(key[1], "settlement")
        expiry_ns = np.array([_moment_ns(quote.expiry, "expiry") for quote in own])
        premium, forward, strike, sign, interest = (
            np.array([getattr(quote, name) for quote in own])
            for name in ("premium", "forward", "strike", "sign", "interest")
        )
        found = implied_volatility(premium, forward, strike, (expiry_ns - ts_ns) / YEAR, sign)
        expired = expiry_ns <= ts_ns
        skipped.update({"options that have expired": int(expired.sum())})
        skipped.update({"options whose settlement price no volatility gives": int((found.failed & ~expired).sum())})
        used = np.flatnonzero(~found.failed)
        if not used.size:
            continue
        names = tuple(f"{own[at].product} {own[at].expiry} {own[at].strike:g}" for at in used.tolist())
        nearest = used[int(np.argmin(expiry_ns[used]))]
        boards[key] = BoardColumns(
            ts_ns, float(forward[nearest]), forward[used], strike[used], found.sigma[used], expiry_ns[used], sign[used],
            interest[used], np.zeros(used.size, np.bool_), names, "CME settlements; spot is the nearest future",
        )  # fmt: skip
    for what in [what for what, count in skipped.items() if not count]:
        del skipped[what]
    return boards


def _product(row: Mapping[str, str], layout: _Layout) -> str | None:
    """The symbol of the future that a row is, or that its option is on."""
    return next((row[name] for name in layout.product if row.get(name) in COINS), None)


def _number(row: Mapping[str, str], name: str, shown: str) -> float | None:
    text = row.get(name, "").replace(",", "")
    if text in ("", "-", "None", "nan"):
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{shown}: {name} is {sanitize(text, 30)!r}, a number is expected") from None


def _day(text: str, name: str, shown: str) -> date:
    for form in ("%Y-%m-%d", "%m/%d/%Y", "%Y%m%d"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007, a day has no zone
        except ValueError:
            continue
    raise UsageError(f"{shown}: {name} is {sanitize(text, 30)!r}, a day such as 2026-01-22 is expected")


def _moment_ns(day: date, what: str) -> int:
    """15:00 in Chicago, when settlements are made, or 16:00 in London, when options expire."""
    zone, hour = _ZONES[what]
    try:
        return nanoseconds(datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(zone)))
    except ZoneInfoNotFoundError:
        raise DfmonError(f"the time zones of this system lack {zone}: its package tzdata is needed") from None


def _written_day(*names: str) -> Callable[[Mapping[str, str]], date | None]:
    """The first of these columns that holds a day."""

    def read(row: Mapping[str, str]) -> date | None:
        texts = [row.get(name, "") for name in names]
        found = next((text for text in texts if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text)), None)
        try:
            return None if found is None else date.fromisoformat(found)
        except ValueError:
            return None

    return read


def _contract_day(row: Mapping[str, str]) -> date | None:
    """The day of a contract, or the last Friday of its month."""
    try:
        year, month = int(row["CONTRACT YEAR"]), int(row["CONTRACT MONTH"])
        if int(row["CONTRACT DAY"] or 0):
            return date(year, month, int(row["CONTRACT DAY"]))
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    except ValueError:
        return None
    return last - timedelta(days=(last.weekday() - _FRIDAY) % 7)


_SIGNS: Final = {"1": 1.0, "C": 1.0, "CALL": 1.0, "0": -1.0, "P": -1.0, "PUT": -1.0}
LAYOUTS: Final = (
    _Layout(
        title="CME's end-of-day settlements",
        day="BizDt",
        product=("UndlyID", "ID", "Sym"),
        kind=lambda row: {"OOF": "option", "FUT": "future"}.get(row["SecTyp"], ""),
        strike="StrkPx",
        side="PutCall",
        settle="SettlePrice",
        interest="PrevDayOI",
        month=lambda row: row["UndlyMMY"] if row["SecTyp"] == "OOF" else row["MMY"],
        expiry=_written_day("MatDt", "LastTrdDt"),
        required=(
            "BizDt", "ID", "StrkPx", "SecTyp", "MMY", "PutCall", "SettlePrice", "PrevDayOI", "UndlyID", "UndlyMMY",
        ),
        known=(
            "Sym", "MatDt", "Exch", "Desc", "LastTrdDt", "BidPrice", "OpeningPrice", "SettleDelta", "HighLimit",
            "LowLimit", "DHighPrice", "DLowPrice", "HighBid", "LowBid", "PrevDayVol", "FixingPrice", "UndlyExch",
            "UndlySecTyp", "BankBusDay",
        ),
    ),
    _Layout(
        title="CME's table of settlement, volume and open interest",
        day="TRADEDATE",
        product=("PRODUCT SYMBOL",),
        kind=lambda row: "option" if row["PUT/CALL"] else "future",
        strike="STRIKE",
        side="PUT/CALL",
        settle="SETTLE",
        interest="PRIOR INT",
        month=lambda row: f"{row['CONTRACT YEAR']}-{row['CONTRACT MONTH']:0>2}",
        expiry=_contract_day,
        required=(
            "PRODUCT SYMBOL", "CONTRACT MONTH", "CONTRACT YEAR", "CONTRACT DAY", "PUT/CALL", "STRIKE", "SETTLE",
            "PRIOR INT", "TRADEDATE",
        ),
        known=(
            "CONTRACT", "PRODUCT DESCRIPTION", "OPEN", "HIGH", "HIGH AB INDICATOR", "LOW", "LOW AB INDICATOR", "LAST",
            "LAST AB INDICATOR", "PT CHG", "EST. VOL", "PRIOR SETTLE", "PRIOR VOL",
        ),
    ),
)  # fmt: skip

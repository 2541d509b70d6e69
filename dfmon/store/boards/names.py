"""Option names of the venues and of ccxt, and the contract terms they spell out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from dfmon.model.instrument import OptionType, Settlement
from dfmon.model.units import HOUR, MONTHS, SECOND
from dfmon.store.boards.cells import BadCell

DELIVERY_TIME_NS: Final = 8 * HOUR  # of the day of expiry, UTC, at every venue

_STRIKE: Final = r"(?P<strike>\d+(?:[d.]\d+)?)"
_NAME: Final = re.compile(
    r"(?P<base>[A-Z0-9]+)(?P<quote>_[A-Z]+|-USD[A-Z]*|/[A-Z]+:[A-Z]+)?-"
    r"(?:(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})|(?P<date>\d{6}))-"
    rf"{_STRIKE}-(?P<type>[CP])(?:-(?P<settle>[A-Z]+))?",
    re.ASCII,
)
_POINT: Final = re.compile(r"(?<=-\d)D(?=\d+-)|(?<=\d)D(?=\d+-[CP]\b)", re.ASCII)
_TYPES: Final = {"C": OptionType.CALL, "P": OptionType.PUT}
_CONTRACT_COINS: Final = {"BTC": 0.01, "ETH": 0.1}  # of names such as BTC-USD-260327-90000-C; others 1


class OptionTerms(NamedTuple):
    """The terms in a name. `contract_coins` is the size of a contract where open interest counts contracts."""

    base: str
    expiry_ns: int
    strike: float
    option_type: OptionType
    settlement: Settlement
    contract_coins: float


def parse_option_name(name: str) -> OptionTerms | None:
    """The terms of an option name, None for a name of anything else. Raises BadCell for a day that is not there.

    >>> parse_option_name("XRP_USDC-21SEP26-1d325-C").strike
    1.325
    >>> parse_option_name("BTC-PERPETUAL") is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    part = match.groupdict()
    if part["date"]:
        year, month, day = (int(part["date"][at : at + 2]) for at in (0, 2, 4))
    else:
        if part["month"] not in MONTHS:
            raise BadCell(f"{name} names no month")
        year, month, day = int(part["year"]), MONTHS.index(part["month"]) + 1, int(part["day"])
    try:
        date = datetime(2000 + year, month, day, tzinfo=UTC)
    except ValueError:
        raise BadCell(f"{name} names a day that does not exist") from None
    quote, base = part["quote"] or "", part["base"]
    is_linear = quote.startswith("_") or bool(part["settle"]) or (":" in quote and quote.rpartition(":")[2] != base)
    in_contracts = quote.startswith("-") and part["date"]
    return OptionTerms(
        base,
        int(date.timestamp()) * SECOND + DELIVERY_TIME_NS,
        float(part["strike"].replace("d", ".")),
        _TYPES[part["type"]],
        Settlement.LINEAR if is_linear else Settlement.INVERSE,
        _CONTRACT_COINS.get(base, 1.0) if in_contracts else 1.0,
    )


def canonical_name(name: str) -> str:
    """A name as the venues write it: in capitals but for the point of a strike.

    >>> canonical_name(" xrp_usdc-21sep26-1d325-c"), canonical_name("BTC-PERPETUAL")
    ('XRP_USDC-21SEP26-1d325-C', 'BTC-PERPETUAL')
    """
    return _POINT.sub("d", name.strip().upper())


def option_name(base: str, day: datetime, strike: float, option_type: OptionType) -> str:
    """A name for an option that has none."""
    letter = "C" if option_type is OptionType.CALL else "P"
    return f"{base}-{day.day}{MONTHS[day.month - 1]}{day.year % 100:02d}-{f'{strike:.10g}'.replace('.', 'd')}-{letter}"

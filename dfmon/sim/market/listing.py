"""The listed contracts: Deribit's expiry calendar, strike ladders and names.

Everything expires at 08:00 UTC. Listed are the next four days, the next four Fridays, the last Fridays of three
months and of four quarter months; an expiry that qualifies twice belongs to the longer-lived class.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from dfmon.model.units import DAY, HOUR, SECOND, YEAR, expiry_label, utc

DELIVERY_HOUR: Final = 8
PERPETUAL_MS: Final = 32_503_708_800_000  # the expiry Deribit prints for a perpetual
_LISTED_DAYS: Final = {"day": 4, "week": 28, "month": 98, "quarter": 365}

# (extent as a fraction of spot, strike step in units of the finest step), from the money outwards
_STRIKE_LADDERS: Final[tuple[tuple[float, tuple[tuple[float, int], ...]], ...]] = (
    (4.5, ((0.05, 1), (0.10, 2), (0.20, 4))),
    (32.0, ((0.06, 2), (0.16, 4), (0.30, 10))),
    (100.0, ((0.12, 4), (0.40, 10), (0.70, 20))),
    (1e9, ((0.25, 10), (0.65, 20), (1.40, 40))),
)


@dataclass(frozen=True, slots=True)
class Expiry:
    """One expiry day. `period` is day, week, month or quarter."""

    expiry_ns: int
    period: str
    listed_ns: int

    @property
    def label(self) -> str:
        """`5DEC26`."""
        return expiry_label(self.expiry_ns)

    def years(self, now_ns: int) -> float:
        """ACT/365 to expiry, at least one second: the surface has no meaning at zero."""
        return max(self.expiry_ns - now_ns, SECOND) / YEAR


@dataclass(frozen=True, slots=True)
class OptionContract:
    """One listed option; `sign` is +1 for a call, -1 for a put."""

    name: str
    currency: str
    expiry: Expiry
    strike: float
    sign: int
    instrument_id: int


def base_coin(currency: str) -> str:
    """The coin of a board: `BTC` of `BTC` and of `BTC_USDC`."""
    return currency.partition("_")[0]


def settlement_currency(currency: str) -> str:
    """The settlement currency of a board, `currency` in Deribit's methods: `USDC` for `BTC_USDC`."""
    return currency.partition("_")[2] or currency


def is_linear(currency: str) -> bool:
    """True for a board quoted and settled in USDC."""
    return settlement_currency(currency) != currency


def format_strike(strike: float) -> str:
    """A strike as in names: the decimal point is a `d`, as in `XRP_USDC-5DEC26-2d125-C`."""
    return f"{strike:.4f}".rstrip("0").rstrip(".").replace(".", "d")


def next_delivery_ns(now_ns: int) -> int:
    """The first 08:00 UTC after `now_ns`."""
    midnight = now_ns - now_ns % DAY
    delivery_ns = midnight + DELIVERY_HOUR * HOUR
    return delivery_ns if delivery_ns > now_ns else delivery_ns + DAY


def last_delivery_ns(now_ns: int) -> int:
    """The last 08:00 UTC up to `now_ns`."""
    return next_delivery_ns(now_ns) - DAY


def listed_expiries(now_ns: int) -> tuple[Expiry, ...]:
    """All listed expiries, nearest first."""
    delivery_ns = next_delivery_ns(now_ns)
    first = utc(delivery_ns).date()
    periods: dict[date, str] = {first + timedelta(days=n): "day" for n in range(4)}
    friday = first + timedelta(days=(calendar.FRIDAY - first.weekday()) % 7)
    periods.update({friday + timedelta(weeks=n): "week" for n in range(4)})
    last_fridays = [day for day in _last_fridays(first, 16) if day >= first]
    periods.update(dict.fromkeys(last_fridays[:3], "month"))
    periods.update(dict.fromkeys([day for day in last_fridays if day.month % 3 == 0][:4], "quarter"))
    return tuple(_make_expiry(day, period, delivery_ns - DAY) for day, period in sorted(periods.items()))


def strike_ladder(spot: float, step: float, ladder_width: float, days: float) -> list[float]:
    """The strike ladder of an expiry `days` away: fine at the money, coarser outwards, wider upwards than downwards.

    `step` is the currency's finest spacing in USD, `ladder_width` stretches the ladder for the more volatile coin.
    """
    ladder = next(rungs for max_days, rungs in _STRIKE_LADDERS if days < max_days)
    ladder_strikes: set[float] = set()
    inner_extent = 0.0
    for extent, multiple in ladder:
        spacing = step * multiple
        low, high = spot * max(1.0 - extent * ladder_width, 0.25), spot * (1.0 + extent * ladder_width)
        for n in range(int(low // spacing) + 1, int(high // spacing) + 1):
            if abs(n * spacing / spot - 1.0) >= inner_extent:
                ladder_strikes.add(round(n * spacing, 6))
        inner_extent = extent * ladder_width
    return sorted(ladder_strikes)


def option_contracts(currency: str, expiry: Expiry, ladder: list[float], first_id: int) -> Iterator[OptionContract]:
    """Call and put of every strike, named as Deribit names them: `BTC-5DEC26-98000-C`."""
    for n, strike in enumerate(ladder):
        for m, (letter, sign) in enumerate((("C", 1), ("P", -1))):
            name = f"{currency}-{expiry.label}-{format_strike(strike)}-{letter}"
            yield OptionContract(name, currency, expiry, strike, sign, first_id + 2 * n + m)


def _last_fridays(start: date, months: int) -> list[date]:
    days = []
    for n in range(months):
        year, month = start.year + (start.month - 1 + n) // 12, (start.month - 1 + n) % 12 + 1
        end = date(year, month, calendar.monthrange(year, month)[1])
        days.append(end - timedelta(days=(end.weekday() - calendar.FRIDAY) % 7))
    return days


def _make_expiry(day: date, period: str, latest_delivery_ns: int) -> Expiry:
    expiry_time = datetime(day.year, day.month, day.day, DELIVERY_HOUR, tzinfo=UTC)
    expiry_ns = int(expiry_time.timestamp()) * SECOND
    return Expiry(expiry_ns, period, min(expiry_ns - _LISTED_DAYS[period] * DAY, latest_delivery_ns))

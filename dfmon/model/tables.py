"""Tables of a snapshot: by expiry, by strike, the heat-map, the profile, the tape, the positions. Plain numbers.

The order of the fields is that of the JSON object. A missing number is None.
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from dfmon.model.metrics import metric_fields


class Sources(msgspec.Struct, frozen=True):
    """Parts of a dealer position, which add up to it: coins, + long.

    Prints by kind; `openings` is what open interest told around them, `transfers` what its moves without a print did,
    `start` the position before the first open interest seen, `read_out` what the calibration made of the sum.
    """

    screen: float
    block: float
    rfq: float
    combo: float
    liquidation: float
    openings: float
    transfers: float
    start: float
    read_out: float


@metric_fields("by_expiry", lambda spec: (float | None, None))
class ExpiryRow(msgspec.Struct, frozen=True):
    """Sums of one expiry: exposures USD, open interest coins, ATM volatility decimal; None without known positions.

    `full_history_net` is the net position in options all of whose prints since their listing are known. `change` is the
    size of all changes of open interest since it is watched, `unexplained` the part without a print, coins.
    """

    expiry: str
    label: str
    hours: float
    forward: float
    atm_iv: float | None
    ngi: float | None
    vss: float | None
    chl: float | None
    volg: float | None
    unwind: float | None
    open_interest: float
    options: int
    net: float | None = None  # dealer position, coins
    coverage: float | None = None
    churn: float | None = None
    residual: float | None = None
    sources: Sources | None = None
    full_history_net: float | None = None
    change: float | None = None
    unexplained: float | None = None


@metric_fields("by_strike", lambda spec: (float | None, None))
class StrikeRow(msgspec.Struct, frozen=True):
    """Sums of one strike over all expiries; None while positions are unknown."""

    strike: float
    ngi: float | None
    vss: float | None
    chl: float | None
    volg: float | None
    call_open_interest: float
    put_open_interest: float
    churn: float | None = None


class TapeRow(msgspec.Struct, frozen=True):
    """One option print; `gamma` is the change of the dealers' NGI if the taker was a customer, USD per +1 %.

    `premium` is in USD. The legs of one combo or block have one `structure`; it is "" for a single print.
    """

    ts_ns: int
    side: int
    name: str
    expiry: str
    strike: float
    option_type: str
    size: float
    price: float
    iv: float | None
    gamma: float | None
    block: bool
    combo: bool
    rfq: bool = False
    premium: float | None = None
    structure: str = ""


@metric_fields("heatmap", lambda spec: (tuple[tuple[float | None, ...], ...], ()))
class HeatMap(msgspec.Struct, frozen=True):
    """Strike x expiry cells, rows ascending in strike. None where nothing is listed."""

    strikes: tuple[float, ...]
    expiries: tuple[str, ...]
    ngi: tuple[tuple[float | None, ...], ...]
    vss: tuple[tuple[float | None, ...], ...]
    chl: tuple[tuple[float | None, ...], ...]
    volg: tuple[tuple[float | None, ...], ...]
    oi: tuple[tuple[float | None, ...], ...]
    iv: tuple[tuple[float | None, ...], ...]

    def layer(self, name: str) -> tuple[tuple[float | None, ...], ...]:
        """The cells of a metric; all None where the program that made the snapshot did not have it."""
        cells: tuple[tuple[float | None, ...], ...] = getattr(self, name)
        return cells or ((None,) * len(self.expiries),) * len(self.strikes)


class Profile(msgspec.Struct, frozen=True):
    """Net gamma against spot, USD per +1 %, with the band of the ensemble where there is one."""

    spots: tuple[float, ...]
    ngi: tuple[float, ...]
    lo: tuple[float, ...] | None
    hi: tuple[float, ...] | None

    def at(self, spot: float) -> float | None:
        """Net gamma at a spot, linear between the grid's; None outside."""
        return self._interpolated(self.ngi, spot)

    def band_at(self, spot: float) -> tuple[float | None, float | None]:
        """The bounds at a spot; None without a band."""
        bounds = (None if bound is None else self._interpolated(bound, spot) for bound in (self.lo, self.hi))
        low, high = bounds
        return low, high

    def _interpolated(self, values: tuple[float, ...], spot: float) -> float | None:
        x = self.spots
        if not x or not x[0] <= spot <= x[-1]:
            return None
        i = max(1, bisect_left(x, spot)) if len(x) > 1 else 0
        if i == 0:
            return values[0]
        share = (spot - x[i - 1]) / (x[i] - x[i - 1]) if x[i] > x[i - 1] else 0.0
        return values[i - 1] + share * (values[i] - values[i - 1])


class PositionRow(msgspec.Struct, frozen=True):
    """Estimated dealer position in one option: coins, + long, with its 5-95 % band and the probability of long.

    `seen` is the share of its open interest whose history was seen, `last_ns` its last print.
    `full_history` marks an option all of whose prints since its listing are known; `printed` and `lost` are coins since
    it is watched; `change` is the size of all changes of its open interest, `unexplained` the part without a
    print.
    """

    name: str
    expiry: str
    strike: float
    option_type: str
    open_interest: float
    net: float
    lo: float | None
    hi: float | None
    p_long: float | None
    seen: float | None
    last_ns: int | None
    sources: Sources | None = None
    full_history: bool | None = None
    printed: float | None = None
    lost: float | None = None
    change: float | None = None
    unexplained: float | None = None


class ChangeRow(msgspec.Struct, frozen=True):
    """Net gamma of one strike or expiry now, and its change over four look-backs and since 08:00 UTC, USD per +1 %.

    A change is None where the time before is not known. `sign_flips` names the look-backs at whose beginning net gamma
    had the other sign.
    """

    key: str
    ngi: float
    m1: float | None
    m5: float | None
    m15: float | None
    h1: float | None
    roll: float | None
    sign_flips: tuple[str, ...]


class LargestChange(msgspec.Struct, frozen=True):
    """The strike whose net gamma changed most over a look-back, USD per +1 %."""

    lookback: str
    strike: float
    change: float


class RollReport(msgspec.Struct, frozen=True):
    """Options that expired at the last roll and the expiries listed since.

    `gamma_gone` is their net gamma as the averaging began, USD per +1 %, and `open_interest` coins. `unwind` is the
    hedge there was to lift then, `rehedged` what spot, volatility and time added to it until it was lifted, and
    `hedge_lifted` their sum: what dealers bought (+) to lift it, each share at the delta of its time. USD.
    """

    ts: str
    expired: tuple[str, ...]
    listed: tuple[str, ...]
    gamma_gone: float
    unwind: float
    rehedged: float
    hedge_lifted: float
    open_interest: float


class Changes(msgspec.Struct, frozen=True):
    """Changes of one book, in full for the screen."""

    by_strike: tuple[ChangeRow, ...] = ()
    by_expiry: tuple[ChangeRow, ...] = ()

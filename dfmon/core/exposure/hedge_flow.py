"""Dealer trades over a look-back that re-hedge what was in the book: every option repriced from then to now.

Comes after market_window and reprice. The trades of one coin are computed once for all position models, then weighed
with the positions of each. With n the delta on the open part w of the settlement average, and forward F, volatility s,
time and fixings t of then (0) and now (1), the trade per coin is -F1 times

    gamma       w0 [n(F1, s0, t0) - n(F0, s0, t0)]
    vanna       w0 [n(F1, s1, t0) - n(F1, s0, t0)]
    charm       w0 [n(F1, s1, t1) - n(F1, s1, t0)]
    settlement  (w1 - w0) n(F1, s1, t1)

which add up to -F1 [w1 n1 - w0 n0]. Options that expired on the way count, with w1 = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.exposure.band_scales import BAND_SCALES
from dfmon.core.exposure.bands import bands_of_sums, median
from dfmon.core.exposure.desks import HedgeShares
from dfmon.core.exposure.market_window import MarketWindow, Moment
from dfmon.core.exposure.option_window import OptionWindow, pick
from dfmon.core.exposure.reprice import MarketState, Options, open_share, unit_deltas, zero_if_nan
from dfmon.core.pricing.black import F64, Mask
from dfmon.core.pricing.pairing import PricingPoints
from dfmon.model.frames import I64
from dfmon.model.units import SECOND

PARTS: Final = ("gamma", "vanna", "charm", "settlement")


class LiveOptions(NamedTuple):
    """The n priceable options of a tick and their market; `is_new` where first listed during the session.

    `venue_ns` is the venue's clock, which decides the time to expiry; `printed` the coins printed so far; `column` is
    the place of each option in the samples of the window, -1 for one without; `points` are where they are priced.
    """

    ts_ns: int
    venue_ns: int
    key: I64
    printed: F64
    options: Options
    state: MarketState
    expiry_ns: I64
    is_new: Mask
    column: NDArray[np.intp]
    points: PricingPoints


@dataclass(frozen=True, slots=True)
class HedgeUnits:
    """Dealer trade of one coin of each option over the look-back: USD, + = dealers bought.

    `parts` (4, n) are in the order of PARTS: of the `live` options of the tick, then of those that expired on the way.
    0 where the state of then or now is not known. `new_trade` (live,) hedges a coin acquired on the way, of which there
    are at most `printed` (live,) coins; `is_new` marks the live options that were not listed then. `known` is the share
    of the live options with a state of then, `log_return` the median move of the forwards. `column` (n,) is the place
    of each option among the keys `sampled` of the market's window.
    """

    key: I64
    column: NDArray[np.intp]
    sampled: I64
    live: int
    then_ns: int
    span_s: float
    parts: F64
    new_trade: F64
    printed: F64
    is_new: Mask
    known: float
    log_return: float

    @property
    def expired_key(self) -> I64:
        """Keys of the options that expired on the way."""
        return self.key[self.live :]


@dataclass(frozen=True, slots=True)
class HedgeFlow:
    """Trade of a book over the look-back of `span_s`: USD, + = dealers bought.

    `value` is the sum of its four parts, `lo` and `hi` its 5-95 % band, None without an ensemble. `new_trades` hedges
    what was acquired on the way and is not in it. `residual` is gamma, vanna and charm part less the linear form.
    """

    value: float
    lo: float | None
    hi: float | None
    gamma: float
    vanna: float
    charm: float
    settlement: float
    new_trades: float
    residual: float
    span_s: float


def hedge_units(live: LiveOptions, window: MarketWindow, then: Moment) -> HedgeUnits:
    """Trades of one coin of each option since `then`.

    Units: USD. Shapes: as `HedgeUnits`. Domain: any market; an option without a state of then or now has no trade.
    Source: delta hedging of each option on its own forward; the parts telescope.
    """
    expired = window.expired_between(then.venue_ns, live.venue_ns)
    if expired.size:
        expired = expired[~np.isin(window.samples.key[expired], live.key)]
    options, now = _with_expired(live, window, expired)
    key = np.concatenate([live.key, window.samples.key[expired]])
    column = np.concatenate([live.column, expired])
    before = then.state(column, np.concatenate([live.expiry_ns, window.expiry_ns[expired]]))
    delta = _deltas_then_and_now(options, before, now, live.points)
    share_then, share_now = open_share(before.tau), open_share(now.tau)
    parts = np.empty((len(PARTS), key.size))
    parts[:3] = -now.forward * share_then * np.diff(delta, axis=0)
    parts[3] = -now.forward * (share_now - share_then) * delta[3]
    known = np.asarray(np.isfinite(parts).all(axis=0))
    parts[:, ~known] = 0.0
    k = live.key.size
    return HedgeUnits(
        key=key,
        column=column,
        sampled=window.samples.key,
        live=k,
        then_ns=then.ts_ns,
        span_s=(live.ts_ns - then.ts_ns) / SECOND,
        parts=parts,
        new_trade=zero_if_nan((-now.forward * share_now * delta[3])[:k]),
        printed=live.printed - zero_if_nan(pick(then.printed, column[:k])),
        is_new=live.is_new & np.isnan(before.forward[:k]),
        known=float(known[:k].mean()),
        log_return=median(np.log(now.forward[known] / before.forward[known])) if known.any() else 0.0,
    )


def _deltas_then_and_now(options: Options, before: MarketState, now: MarketState, points: PricingPoints) -> F64:
    """Deltas (4, n) as forward, volatility and time come to now one after the other.

    The delta of a put is that of its call less 1 where the two had one market then, as they have now.
    """
    n, first = options.strike.size, points.option[points.shared]
    agree = (before.forward[first] == before.forward[points.second]) & (
        before.sigma[first] == before.sigma[points.second]
    )
    if points.point.size < n or not agree.all():
        points = PricingPoints.unmerged(n)
    at, numeraire = points.option, options.numeraire
    option_type = options.option_type[at]
    forward, sigma, tau, average = (column[at] for column in before)
    fixings = np.where(np.isnan(average), forward, average)
    forward_now, sigma_now, tau_now, average_now = (column[at] for column in now)
    delta = unit_deltas(
        Options(options.strike[at], option_type, options.inverse[at], numeraire),
        forward=np.array([forward, forward_now, forward_now, forward_now]),
        sigma=np.array([sigma, sigma, sigma_now, sigma_now]),
        tau=np.array([tau, tau, tau, tau_now]),
        average=np.array([fixings, fixings, fixings, average_now]),
    )
    if at.size == n:
        return delta
    return delta[:, points.point] + 0.5 * (options.option_type - option_type[points.point])


def _with_expired(live: LiveOptions, window: MarketWindow, column: NDArray[np.intp]) -> tuple[Options, MarketState]:
    """The live options and their state, then those in these columns of the window at their settlement."""
    if not column.size:
        return live.options, live.state
    strike, option_type, inverse, numeraire = live.options
    options = Options(
        np.concatenate([strike, window.strike[column]]),
        np.concatenate([option_type, window.option_type[column]]),
        np.concatenate([inverse, window.inverse[column]]),
        numeraire,
    )
    settled = window.settled_state(column)
    return options, MarketState(*(np.concatenate(pair) for pair in zip(live.state, settled)))


class Book(NamedTuple):
    """Positions of one model in coins: of the live options now and of the expired ones at their end, and by the minute.

    `members` (n, M) are of all of them, None for a convention; `history` has one field.
    """

    position: F64
    members: F64 | None
    history: OptionWindow


class LinearForm(NamedTuple):
    """Roll-ups of the book now, in their units, and the moves that they are multiplied with: points, days."""

    ngi: float
    vss: float
    chl: float
    points: float


def hedge_flow(
    units: HedgeUnits, book: Book, linear: LinearForm, shares: HedgeShares, off_venue_sd: float = 0.0
) -> HedgeFlow:
    """Trade of a book: the units weighed with what was held then.

    An option whose position then is not known counts as held throughout. The band is that of the members now, shifted
    to the value: members of a minute ago are not kept.

    Units: USD, + = dealers bought. Shapes: as `Book` -> scalars. Domain: finite positions.
    """
    position_then = _position_then(units, book)
    traded = np.array([shares.gamma, shares.vanna_charm, shares.vanna_charm, shares.vanna_charm])
    gamma, vanna, charm, settlement = (traded * (units.parts @ position_then)).tolist()
    value = gamma + vanna + charm + settlement
    days = units.span_s / 86_400.0
    by_spot = shares.gamma * linear.ngi * 100.0 * units.log_return
    by_rest = shares.vanna_charm * (linear.vss * linear.points + linear.chl * days)
    acquired = book.position - position_then
    unit = traded @ units.parts
    other_sd = off_venue_sd * (np.abs(unit) @ np.abs(book.position))
    scale, other = BAND_SCALES["hedge_flow"], np.array([other_sd])
    (low,), (high,) = bands_of_sums(unit[None], book.position, book.members, np.array([value]), other, scale)
    return HedgeFlow(
        value=value,
        lo=low,
        hi=high,
        gamma=gamma,
        vanna=vanna,
        charm=charm,
        settlement=settlement,
        new_trades=shares.vanna_charm * float(units.new_trade @ acquired[: units.live]),
        residual=value - settlement + by_spot + by_rest,
        span_s=units.span_s,
    )


def _position_then(units: HedgeUnits, book: Book) -> F64:
    """Position of the book then, by what is known of it now.

    Nobody acquires more than was printed: a larger change of an ensemble is a better estimate, of then as of now. A
    convention was what it says at both times.
    """
    found = book.history.at(units.then_ns)
    if found is None:
        return book.position
    history = book.history
    column = units.column if np.array_equal(history.key, units.sampled) else history.find(units.key)
    before = pick(found[1][0], column)
    is_new = np.zeros(before.shape, np.bool_)
    is_new[: units.live] = units.is_new
    before = np.where(np.isfinite(before), before, np.where(is_new, 0.0, book.position))
    live = slice(units.live)
    if book.members is not None:
        acquired = np.clip(book.position[live] - before[live], -units.printed, units.printed)
        before[live] = book.position[live] - acquired
    return before

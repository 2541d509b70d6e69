"""Options, customers' direction, and the stream of orders of a market of accounts, all of it drawn before it trades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dfmon.sim.populations.family import AccountSwitches, Range
from dfmon.sim.populations.history import DAY_MS, F64, I64, SPOT, UNPRINTED, Listing

COMBO: Final = 3
FIRST_LIQUIDATION: Final = 4
CLIP_DAYS: Final = 3.0 / 86_400.0  # mean time between the prints of one order
WEEKLY_LIFE_DAYS: Final = 14.0
IMPLIED: Final = 0.6  # volatility that spaces the strikes


@dataclass(frozen=True, slots=True)
class Orders:
    """k orders in time order; legs of one event are neighbours and share the time.

    `order` is shared by the events in which one order is executed. `kind` is a row of KINDS or UNPRINTED; `leg_side`
    is +1 where the leg goes with the event, -1 against. `tilt` is positive where a customer would buy: logit less a
    logistic draw. `account`, `direction`: the customer and the side that are fixed in advance, -1 and 0 where they are
    not.
    """

    time_ms: I64
    option: I64
    event: I64
    order: I64
    kind: I64
    leg_side: I64
    amount: F64
    tilt: F64
    account: I64
    direction: I64


def draw(rng: np.random.Generator, bounds: Range) -> float:
    """A uniform draw from a range."""
    return float(rng.uniform(*bounds))


def list_options(switches: AccountSwitches, days: float, rng: np.random.Generator) -> Listing:
    """Options of every expiry: calls and puts at strikes spaced by sqrt(T)."""
    groups = [(days + beyond, -switches.run_in_days) for beyond in switches.expiry_days]
    if switches.weekly_expiries:
        weeks = np.arange(7.0, days + WEEKLY_LIFE_DAYS, 7.0)
        groups += [(float(week), max(float(week) - WEEKLY_LIFE_DAYS, -switches.run_in_days)) for week in weeks]
    per_group = max(2 * round(switches.options / len(groups) / 2), 2)
    spacing = np.linspace(-1.5, 1.5, per_group // 2)
    rows = []
    for expiry, listed in groups:
        life = max(expiry - max(listed, 0.0), 1.0) / 365.0
        strikes = np.round(SPOT * np.exp(IMPLIED * np.sqrt(life) * spacing), -2)
        rows += [(strike, expiry, sign, listed) for strike in strikes.tolist() for sign in (1.0, -1.0)]
    strike, expiry_days, option_type, listed_days = (np.array(column) for column in zip(*rows, strict=True))
    in_view = (rng.random(strike.size) < switches.in_view) & (listed_days < 0.0) & (expiry_days > days)
    listed_days = np.where(in_view, rng.uniform(0.0, 0.7 * days, strike.size), listed_days)
    return Listing(strike, expiry_days, option_type, listed_days)


def draw_logits(switches: AccountSwitches, listing: Listing, days: float, rng: np.random.Generator) -> tuple[F64, F64]:
    """Times (days) from which each row of logits to buy (times, options) holds."""
    current = _new_logits(switches, listing, days, rng)
    times, rows = [-switches.run_in_days], [current]
    if switches.half_life_days:
        memory = 0.5 ** (1.0 / switches.half_life_days)
        for day in np.arange(1.0 - switches.run_in_days, days).tolist():
            fresh = _new_logits(switches, listing, days, rng)
            current = memory * current + np.sqrt(1.0 - memory**2) * fresh
            times.append(day)
            rows.append(current)
    if switches.turn_days:
        groups = (listing.option_type > 0, listing.option_type < 0, listing.expiry_days - days < 50.0)
        for day in np.sort(rng.uniform(0.0, days, 1 + rng.poisson(days / switches.turn_days))).tolist():
            group = groups[int(rng.integers(3))]
            fresh = _new_logits(switches, listing, days, rng)
            place = int(np.searchsorted(times, day))
            times.insert(place, day)
            rows.insert(place, rows[place - 1])
            rows[place:] = [np.where(group, -0.8 * row + 0.4 * fresh, row) for row in rows[place:]]
    return np.array(times), np.array(rows)


def _new_logits(switches: AccountSwitches, listing: Listing, days: float, rng: np.random.Generator) -> F64:
    life = np.maximum(listing.expiry_days - days, 7.0)
    moneyness = np.clip(np.log(listing.strike / SPOT) / (IMPLIED * np.sqrt(life / 365.0)), -1.5, 1.5)
    factors = rng.standard_normal(4)
    logits: F64 = (
        switches.level * factors[0]
        + switches.by_type * factors[1] * listing.option_type
        + switches.by_moneyness * factors[2] * moneyness
        + switches.by_tenor * factors[3] * np.log(life / 60.0)
        + switches.own_sd * rng.standard_normal(moneyness.size)
        - switches.put_bias * listing.option_type
    )
    return logits


def draw_orders(switches: AccountSwitches, listing: Listing, days: float, rng: np.random.Generator) -> Orders:
    """Every order from the run-in to the end of the watch."""
    option, time = _arrivals(switches, listing, days, rng)
    count = option.size
    kinds = np.array(switches.kind_shares) / np.where(np.arange(7) == COMBO, 2.0, 1.0)  # legs to events
    kind = rng.choice(7, count, p=kinds / kinds.sum())
    amount = _sizes(switches, draw(rng, switches.tail), count, rng)
    amount *= np.where((kind == 1) | (kind == 2), switches.block_factor, 1.0)
    kind[rng.random(count) < draw(rng, switches.unprinted)] = UNPRINTED
    account, direction = np.full(count, -1), np.zeros(count, np.int64)
    partner = _nearest_strike(listing)[option]
    is_pair = (kind == COMBO) & (listing.listed_days[partner] < time)
    if switches.funds:
        fund = _fund_orders(switches, listing, days, rng)
        option, time, kind, amount, account, direction, partner, is_pair = (
            np.concatenate(pair)
            for pair in zip((option, time, kind, amount, account, direction, partner, is_pair), fund, strict=True)
        )
    order = np.arange(option.size)
    if switches.clips:
        order, time, amount = _with_clips(switches, listing, days, (time, amount, kind, option), rng)
        option, kind, account, direction = option[order], kind[order], account[order], direction[order]
        partner, is_pair = partner[order], is_pair[order]
    by_time = np.argsort(time, kind="stable")
    columns = (option, time, kind, amount, account, direction, partner, is_pair, order)
    return _with_legs(switches, listing, days, tuple(column[by_time] for column in columns), rng)


def _arrivals(switches: AccountSwitches, listing: Listing, days: float, rng: np.random.Generator) -> tuple[I64, F64]:
    """Option and time (days) of the orders: Zipf over options, intensity by the hour."""
    hours = np.arange(round((days + switches.run_in_days) * 24.0) + 1)
    log_intensity = np.zeros(hours.size)
    shocks = rng.standard_normal(hours.size) * switches.burst_sd * np.sqrt(1.0 - switches.burst_memory**2)
    for i in range(1, hours.size):
        log_intensity[i] = switches.burst_memory * log_intensity[i - 1] + shocks[i]
    log_intensity += switches.session_swing * np.sin(2.0 * np.pi * (hours - 9.0) / 24.0)
    intensity = np.exp(log_intensity)
    clock = np.concatenate([[0.0], np.cumsum(intensity[:-1] / intensity[:-1].mean())]) / 24.0
    grid = hours / 24.0 - switches.run_in_days
    weight = (1.0 + rng.permutation(listing.strike.size)) ** -switches.zipf
    begin = np.interp(listing.listed_days, grid, clock)
    end = np.interp(np.minimum(listing.expiry_days, days), grid, clock)
    rate = switches.prints_per_day * (1.0 - switches.clips) / (1.0 + switches.kind_shares[COMBO] / 2.0)
    counts = rng.poisson(rate * weight / weight.mean() * (end - begin))
    option = np.repeat(np.arange(counts.size), counts)
    operational = begin[option] + rng.random(option.size) * (end - begin)[option]
    return option, np.interp(operational, clock, grid)


def _sizes(switches: AccountSwitches, tail: float, count: int, rng: np.random.Generator) -> F64:
    return (rng.pareto(tail, count) + switches.size_offset) * switches.size_scale


def _with_clips(
    switches: AccountSwitches,
    listing: Listing,
    days: float,
    columns: tuple[NDArray[Any], ...],
    rng: np.random.Generator,
) -> tuple[I64, F64, F64]:
    """Order, time and amount of every print where orders are executed in several, seconds apart."""
    time, amount, kind, option = columns
    more = rng.geometric(1.0 - switches.clips, time.size) - 1
    more[(kind == UNPRINTED) | (kind >= FIRST_LIQUIDATION)] = 0
    later = np.repeat(np.arange(time.size), more)
    rank = np.arange(later.size) - np.repeat(np.cumsum(more) - more, more) + 1.0
    times = time[later] + rank * rng.exponential(CLIP_DAYS, later.size)
    in_life = times < np.minimum(listing.expiry_days[option[later]], days)
    later, times = later[in_life], times[in_life]
    sizes = amount[later] * rng.uniform(0.3, 1.0, later.size)
    return np.concatenate([np.arange(time.size), later]), np.concatenate([time, times]), np.concatenate([amount, sizes])


def _nearest_strike(listing: Listing) -> I64:
    """The option of the same expiry and type whose strike is nearest."""
    log_strike = np.log(listing.strike)
    distance = np.abs(log_strike[:, None] - log_strike[None, :])
    other = (listing.expiry_days[:, None] != listing.expiry_days[None, :]) | (
        listing.option_type[:, None] != listing.option_type[None, :]
    )
    distance[other] += 1e3
    np.fill_diagonal(distance, 1e6)
    rows: I64 = np.argmin(distance, axis=1).astype(np.int64)
    return rows


def _next_expiry(listing: Listing) -> I64:
    """The option of the same type in the next expiry whose strike is nearest; itself in the last expiry."""
    out = np.arange(listing.strike.size)
    expiries = np.unique(listing.expiry_days)
    for i in out.tolist():
        later = expiries[expiries > listing.expiry_days[i]]
        if later.size:
            rows = np.flatnonzero((listing.expiry_days == later[0]) & (listing.option_type == listing.option_type[i]))
            out[i] = rows[np.argmin(np.abs(np.log(listing.strike[rows] / listing.strike[i])))]
    return out


def _fund_orders(
    switches: AccountSwitches, listing: Listing, days: float, rng: np.random.Generator
) -> tuple[NDArray[Any], ...]:
    """Programmes one after the other: a fund builds a position over days, holds it, and rolls it or starts another."""
    following = _next_expiry(listing)
    option: list[int] = []
    time: list[float] = []
    account: list[int] = []
    direction: list[int] = []
    partner: list[int] = []
    is_roll: list[bool] = []
    for fund in range(switches.funds):
        now = -switches.run_in_days + draw(rng, switches.fund_days)
        while now < days:
            end = min(now + draw(rng, switches.fund_days), days)
            alive = np.flatnonzero((listing.listed_days <= now) & (listing.expiry_days > end))
            row, side = int(rng.choice(alive)), int(rng.choice([-1, 1]))
            times = np.sort(rng.uniform(now, end, rng.poisson(switches.fund_orders * (end - now))))
            rolls_from = end + draw(rng, switches.fund_days) / 2.0
            target = int(following[row])
            rolls = target != row and rolls_from < min(days, listing.expiry_days[row]) - 1.0
            rolls &= bool(listing.listed_days[target] <= rolls_from)
            roll_times = np.sort(rng.uniform(rolls_from, rolls_from + 1.0, times.size if rolls else 0))
            option += [row] * (times.size + roll_times.size)
            time += [*times.tolist(), *roll_times.tolist()]
            account += [fund] * (times.size + roll_times.size)
            direction += [side] * times.size + [-side] * roll_times.size
            partner += [target] * (times.size + roll_times.size)
            is_roll += [False] * times.size + [True] * roll_times.size
            now = rolls_from + draw(rng, switches.fund_days) / 2.0
    count = len(option)
    kind = np.where(np.array(is_roll, np.bool_), COMBO, rng.choice([0, 1, 2], count, p=[0.7, 0.2, 0.1]))
    amount = switches.fund_size * rng.lognormal(-0.32, 0.8, count)
    return (
        np.array(option, np.int64), np.array(time), kind, amount, np.array(account, np.int64),
        np.array(direction, np.int64), np.array(partner, np.int64), np.array(is_roll, np.bool_),
    )  # fmt: skip


def _with_legs(
    switches: AccountSwitches,
    listing: Listing,
    days: float,
    columns: tuple[NDArray[Any], ...],
    rng: np.random.Generator,
) -> Orders:
    """Second legs beside the first, times distinct for each event, sizes in lots, and each order's tilt."""
    option, time, kind, amount, account, direction, partner, is_pair, order = columns
    count = option.size
    time_ms = np.round(time * DAY_MS).astype(np.int64)
    time_ms = np.maximum.accumulate(time_ms - np.arange(count)) + np.arange(count)
    is_roll = is_pair & (account >= 0)
    opposite = is_roll | (rng.random(count) < switches.spread_share)
    ratio = np.where((rng.random(count) < switches.ratio_share) & ~is_roll, 2.0, 1.0)
    times, logits = draw_logits(switches, listing, days, rng)
    row = np.clip(np.searchsorted(times, time, side="right") - 1, 0, None)
    uniform = rng.random(count)
    tilt = logits[row, option] - np.log(uniform / (1.0 - uniform))
    amount = np.clip(np.round(amount, 1), switches.min_size, switches.max_size)
    at = np.repeat(np.arange(count), 1 + is_pair)
    is_second = np.zeros(at.size, np.bool_)
    is_second[1:] = at[1:] == at[:-1]
    return Orders(
        time_ms=time_ms[at],
        option=np.where(is_second, partner[at], option[at]),
        event=at + 1,
        order=order[at],
        kind=kind[at],
        leg_side=np.where(is_second & opposite[at], -1, 1),
        amount=np.where(is_second, amount[at] * ratio[at], amount[at]),
        tilt=tilt[at],
        account=account[at],
        direction=direction[at],
    )

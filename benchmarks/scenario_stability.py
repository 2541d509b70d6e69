"""Changes of the scenario in quiet markets: an Ornstein-Uhlenbeck score, and a Brownian spot on recorded boards.

    python benchmarks/scenario_stability.py [--seeds 20]

The boards are those of ../shared/data/chains, with naive positions, a depth of 180 M USD and 1.3 B USD of volume an
hour; fixed-strike volatilities move by 0.6 points an hour. The last 90 of 160 minutes count, sampled every ten seconds.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np

from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.exposure.vanna_charm_volga import Totals, totals
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.pricing.pairing import Pairing
from dfmon.core.scenario.buckets import Bucket, BucketState, Scene, next_bucket_state
from dfmon.core.scenario.dimensions import UsdPerHour, UsdPerPoint
from dfmon.core.scenario.features import BookSums, HourMarket, StrikeFeatures, book_features, strike_features
from dfmon.core.scenario.rules import RuleInputs, RuleThresholds, call_scene
from dfmon.core.scenario.slow_flow import empty_flow_window, measure_hour, slow_flow
from dfmon.core.scenario.volatility import constant_horizon_sigma
from dfmon.model.units import DAY, MINUTE, NAN, SECOND
from tests.core.boards import Board, snapshot_board, ticker_board

DEPTH, VOLUME = 180e6, 1.3e9
MINUTES, COUNTED, SAMPLES = 160, 90, 6  # a sample every ten seconds
START_NS = 1_000_000_000 * SECOND
MINUTES_A_YEAR = 365 * 1440
POINTS_1H = 0.6  # mean size of the hourly move of volatility
MEAN_SIZE = math.sqrt(2.0 / math.pi)  # of a standard normal
HALF_LIFE_S, LEVEL_SD = 68 * 60, 0.25


@dataclass(frozen=True)
class MinuteOfBook:
    """The book at one minute of a walk: what changes within the minute is added by the sample."""

    total: Totals
    sigma_1h_pct: float
    flip_distance: float
    strikes: StrikeFeatures


def minute_of_book(board: Board, pairing: Pairing, log_move: float, points: float, minute: int) -> MinuteOfBook:
    """Naive positions on the board after a move of spot and of all volatilities."""
    forward, spot = board.forward * math.exp(log_move), board.spot * math.exp(log_move)
    sigma, tau = np.maximum(board.sigma + points / 100.0, 0.01), board.tau - minute / MINUTES_A_YEAR
    unit = unit_exposures(forward, board.strike, sigma, tau, board.option_type)
    pricing = pairing.points(forward, sigma, tau)
    at = pricing.option
    position = pricing.sum_exposure(board.naive)
    flip = find_flip(spot, forward[at], board.strike[at], sigma[at], tau[at], position).level
    expiries = np.unique(tau)
    at_money = np.array([_at_money(board, forward, sigma, tau == expiry) for expiry in expiries])
    daily = constant_horizon_sigma(expiries, at_money) * math.sqrt(1.0 / 365.0)
    strikes, code = np.unique(board.strike, return_inverse=True)
    nearest = tau == expiries[0]
    ngi = unit.ngi * board.naive
    by_strike, of_nearest = (np.bincount(code, x).astype(np.float64) for x in (ngi, ngi * nearest))
    sd = at_money[0] * math.sqrt(expiries[0])
    first = float(forward[int(np.flatnonzero(nearest)[0])])
    features = strike_features(spot, by_strike, strikes, of_nearest, strikes, first, sd, expiries[0] * 8760.0)
    distance = math.inf if flip is None else abs(flip / spot - 1.0) / daily
    return MinuteOfBook(totals(unit, board.naive), 100.0 * daily / math.sqrt(24.0), distance, features)


def _at_money(board: Board, forward: np.ndarray, sigma: np.ndarray, rows: np.ndarray) -> float:
    moneyness = np.log(board.strike[rows] / forward[rows])
    order = np.argsort(moneyness, kind="stable")
    return float(np.interp(0.0, moneyness[order], sigma[rows][order]))


def changes_on_board(board: Board, seed: int) -> int:
    """Changes of the bucket in the counted minutes of one Brownian walk."""
    rng = np.random.default_rng(seed)
    pairing = Pairing.from_listing(board.strike, board.expiry_ms, board.option_type)
    daily = minute_of_book(board, pairing, 0.0, 0.0, 0).sigma_1h_pct / 100.0 / math.sqrt(60 * SAMPLES)
    steps = rng.standard_normal((2, (MINUTES + 1) * SAMPLES - 1))
    spot = np.append(0.0, np.cumsum(steps[0] * daily))
    vol = np.append(0.0, np.cumsum(steps[1] * POINTS_1H / MEAN_SIZE / math.sqrt(60 * SAMPLES)))
    window, state, changes = empty_flow_window(), BucketState.initial(), 0
    for minute in range(MINUTES + 1):
        now = minute * SAMPLES
        book = minute_of_book(board, pairing, float(spot[now]), float(vol[now]), minute)
        hedge = NAN
        if minute >= 15:  # linear form of the quarter of an hour
            then = now - 15 * SAMPLES
            moved = 100.0 * (spot[now] - spot[then]), vol[now] - vol[then]
            hedge = -(book.total.ngi * moved[0] + book.total.vss * moved[1] + book.total.chl_1h / 4.0)
        pace = vol[now] - vol[now - 60 * SAMPLES] if minute >= 60 else None
        slow = slow_flow(UsdPerPoint(book.total.vss), UsdPerHour(book.total.chl_1h), pace)
        window = window.push(START_NS + minute * MINUTE, (NAN if slow is None else slow.value, hedge))
        hour = measure_hour(window, START_NS + minute * MINUTE)
        for sample in range(now, now + SAMPLES):
            inputs = _inputs(book, spot, vol, sample, hour.hedge_flow, hour.slow_sign, hour.slow_share)
            call = call_scene(inputs, RuleThresholds(), state.scene)
            before, state = state, next_bucket_state(state, call.scene, START_NS + sample * 10 * SECOND)
            counts = minute > MINUTES - COUNTED and before.bucket is not None
            changes += counts and state.bucket is not before.bucket
    return changes


def _inputs(
    book: MinuteOfBook, spot: np.ndarray, vol: np.ndarray, sample: int,
    hedge_flow: float | None, slow_sign: int, slow_share: float | None,
) -> RuleInputs:  # fmt: skip
    hour_ago = sample - 60 * SAMPLES
    z = 100.0 * (spot[sample] - spot[hour_ago]) / book.sigma_1h_pct if hour_ago >= 0 else NAN
    points = vol[sample] - vol[hour_ago] if hour_ago >= 0 else NAN
    market = HourMarket(VOLUME, DEPTH, book.sigma_1h_pct, float(z), float(points), MEAN_SIZE, POINTS_1H, 0.0, 0.0)
    sums = BookSums(book.total.ngi, book.total.vss, book.total.chl_1h, book.flip_distance)
    flow = NAN if hedge_flow is None else hedge_flow
    share = NAN if slow_share is None else slow_sign * slow_share
    return book_features(market, sums, None, book.strikes, flow, share).inputs


def changes_of_score(seed: int, days: int = 10) -> tuple[float, float]:
    """Changes a day of a bare threshold and of the bucket, for a score around the threshold of its own mean."""
    rng = np.random.default_rng(seed)
    step = math.exp(-math.log(2.0) * 10.0 / HALF_LIFE_S)
    noise = LEVEL_SD * math.sqrt(1.0 - step * step)
    score, state, bare, changes = 1.0, BucketState.initial(), 0, 0
    inside, holds = False, Scene(Bucket.DAMP)
    for sample in range(days * DAY // (10 * SECOND)):
        score = 1.0 + step * (score - 1.0) + noise * rng.standard_normal()
        bare += (score >= 1.0) is not inside
        inside = score >= 1.0
        holds = Scene(Bucket.PIN if score >= (0.8 if state.bucket is Bucket.PIN else 1.0) else Bucket.DAMP)
        before, state = state, next_bucket_state(state, holds, START_NS + sample * 10 * SECOND)
        changes += before.bucket is not None and state.bucket is not before.bucket
    return bare / days, changes / days


def priceable(board: Board) -> Board:
    """The options with a volatility, open interest and more than three hours to live."""
    rows = np.isfinite(board.sigma) & (board.sigma > 0) & (board.tau > 4e-4) & np.isfinite(board.open_interest)
    names = "forward", "strike", "sigma", "tau", "option_type", "open_interest", "expiry_ms"
    return replace(board, **{name: getattr(board, name)[rows] for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    bare, of_bucket = np.array([changes_of_score(seed) for seed in seeds[:5]]).T
    rate = f"{bare.mean():.0f} changes a day of a bare threshold, {of_bucket.max():.1f} at most of the bucket"
    print(f"score: {rate} (limit 15)")
    boards = (
        ("calm, 2026-01-22", ticker_board("20260122"), 2, 0.9),
        ("stressed, 2026-02-05", snapshot_board("20260205T212937Z", "BTC"), 6, 0.95),
    )
    for name, board, limit, share in boards:
        changes = np.array([changes_on_board(priceable(board), seed) for seed in seeds])
        within = float(np.mean(changes <= limit))
        verdict = "" if within >= share else "  MISSED"
        print(f"{name}: at most {limit} changes in {within:.0%} of {len(seeds)} seeds (limit {share:.0%}){verdict}")


if __name__ == "__main__":
    main()

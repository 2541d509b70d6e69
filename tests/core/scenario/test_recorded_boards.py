"""Hedge pressure and scenarios on three months of recorded boards, with naive positions.

Depth and volume are not on a board; they are set to 180M and 1.3B USD an hour for BTC, 90M and 0.6B for ETH.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.exposure.vanna_charm_volga import totals
from dfmon.core.flip.gamma_flip import find_flip
from dfmon.core.pricing.pairing import Pairing
from dfmon.core.scenario.buckets import Bucket
from dfmon.core.scenario.dimensions import DaysPerPercent, PointsPerPercent, UsdPerDay, UsdPerPercent, UsdPerPoint
from dfmon.core.scenario.features import BookSums, HourMarket, StrikeFeatures, book_features, strike_features
from dfmon.core.scenario.hpp_score import pressure_terms
from dfmon.core.scenario.move_scale import MoveScale
from dfmon.core.scenario.rules import RuleInputs, call_scene
from dfmon.core.scenario.volatility import constant_horizon_sigma
from tests.core.scenario.test_rules import LIMITS, read
from tests.shared_data import chains

pytestmark = pytest.mark.slow
YEAR_US = 365 * 86_400e6
DEPTH_AND_VOLUME = {"BTC": (180e6, 1.3e9), "ETH": (90e6, 0.6e9)}
Z = (-2.2, -1.2, -0.7, -0.3, 0.0, 0.3, 0.7, 1.2, 2.2)
LIQUIDATIONS = (0.0, 0.03)  # of the hourly volume, on the side of the move
POINTS = (-0.9, 0.0, 0.9)  # change of volatility in the hour at fixed strikes


@dataclass(frozen=True)
class NaiveBoard:
    """One board with naive positions; volatility and vega by number of the option for the moves between boards."""

    hours: float
    spot: float
    sigma_1h_pct: float
    ngi: float
    vss: float
    chl: float
    flip: float | None
    strikes: StrikeFeatures
    option: np.ndarray
    sigma: np.ndarray
    vega: np.ndarray


@pytest.fixture(scope="module")
def boards() -> dict[str, list[NaiveBoard]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = chains() / "deribit_chains_20251230_20260331.parquet"
    names = "timestamp", "instrument_name", "underlying", "option_type", "strike", "expiry_datetime"
    more = "implied_volatility", "open_interest", "currency", "index_price"
    table = parquet.read_table(path, columns=[*names, *more])
    column = {name: table[name].to_numpy() for name in ("underlying", "strike", more[0], more[1], more[3])}
    column |= {name: table[name].cast("int64").to_numpy() for name in ("timestamp", "expiry_datetime")}
    text = {name: table[name].combine_chunks() for name in ("option_type", "currency")}
    column |= {name: np.array(values.to_pylist()) for name, values in text.items()}
    column["option"] = table["instrument_name"].combine_chunks().dictionary_encode().indices.to_numpy()
    found: dict[str, list[NaiveBoard]] = {}
    for currency in DEPTH_AND_VOLUME:
        own = {name: values[column["currency"] == currency] for name, values in column.items()}
        starts = np.flatnonzero(np.diff(own["timestamp"], prepend=-1))
        parts = itertools.pairwise([*starts.tolist(), own["timestamp"].size])
        found[currency] = [_board({name: own[name][low:high] for name in own}) for low, high in parts]
    return found


def _board(rows: dict[str, Any]) -> NaiveBoard:
    tau = (rows["expiry_datetime"] - rows["timestamp"]) / YEAR_US
    sigma = rows["implied_volatility"]
    ok = (tau > 0.0) & (sigma > 0.001) & np.isfinite(rows["open_interest"]) & (rows["underlying"] > 0.0)
    rows, tau, sigma = {name: values[ok] for name, values in rows.items()}, tau[ok], sigma[ok]
    option_type = np.where(rows["option_type"] == "call", 1.0, -1.0)
    chain = rows["underlying"], rows["strike"], sigma, tau
    unit = unit_exposures(*chain, option_type)
    position = option_type * rows["open_interest"]
    sums, spot = totals(unit, position), float(np.median(rows["index_price"]))
    points = Pairing.from_listing(rows["strike"], rows["expiry_datetime"], option_type).points(*chain[:1], sigma, tau)
    merged = [values[points.option] for values in chain]
    flip = find_flip(spot, merged[0], merged[1], merged[2], merged[3], points.sum_exposure(position))
    expiries, atm = np.unique(tau), []
    for expiry in expiries:
        at = np.flatnonzero(tau == expiry)
        moneyness = np.log(rows["strike"][at] / rows["underlying"][at])
        order = np.argsort(moneyness, kind="stable")
        atm.append(np.interp(0.0, moneyness[order], sigma[at][order]))
    daily = constant_horizon_sigma(expiries, np.array(atm))
    by_strike = [_by_strike(rows["strike"], unit.ngi * position * keep) for keep in (1.0, tau == expiries[0])]
    first = int(np.flatnonzero(tau == expiries[0])[0])
    strikes = strike_features(
        spot, by_strike[0][1], by_strike[0][0], by_strike[1][1], by_strike[1][0], float(rows["underlying"][first]),
        atm[0] * math.sqrt(expiries[0]), float(expiries[0]) * 8_760.0,
    )  # fmt: skip
    vega = unit.vega * rows["open_interest"]
    return NaiveBoard(
        float(rows["timestamp"][0]) / 3.6e9, spot, 100.0 * daily * math.sqrt(1.0 / 8_760.0), sums.ngi, sums.vss,
        sums.chl, flip.level, strikes, rows["option"], sigma, vega,
    )  # fmt: skip


def _by_strike(strike: np.ndarray, ngi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    strikes, code = np.unique(strike, return_inverse=True)
    return strikes, np.bincount(code, ngi)


def _scale(boards: list[NaiveBoard]) -> tuple[float, float]:
    """s of hourly returns in % and of hourly volatility moves in points, from boards some six hours apart."""
    moves = []
    for before, after in itertools.pairwise(boards):
        _, now, then = np.intersect1d(after.option, before.option, assume_unique=True, return_indices=True)
        change, weight = 100.0 * (after.sigma[now] - before.sigma[then]), after.vega[now]
        moves.append((100.0 * math.log(after.spot / before.spot), float(weight @ change / weight.sum())))
    low, high = np.quantile(np.array(moves), (0.25, 0.75), axis=0)
    hours = np.median(np.diff([board.hours for board in boards]))
    s_return, s_points = ((high - low) / 1.349 / math.sqrt(hours)).tolist()
    return s_return, s_points


@pytest.mark.parametrize(("currency", "shares"), [("BTC", (0.58, 0.29, 0.13)), ("ETH", (0.68, 0.20, 0.12))])
def test_shares_of_hedge_pressure_by_its_terms(
    boards: dict[str, list[NaiveBoard]], currency: str, shares: tuple[float, float, float]
) -> None:
    s_return, s_points = _scale(boards[currency])
    scale = replace(
        MoveScale.initial(), alpha=PointsPerPercent(s_points / s_return), beta=DaysPerPercent(1.0 / 24.0 / s_return)
    )
    found = []
    for board in boards[currency]:
        terms = pressure_terms(1, UsdPerPercent(board.ngi), UsdPerPoint(board.vss), UsdPerDay(board.chl), scale)
        sizes = np.abs([terms.gamma.value, terms.vanna.value, terms.charm.value])
        found.append(sizes / sizes.sum())
    assert len(found) == 359
    assert np.mean(found, axis=0) == pytest.approx(shares, abs=0.02)


def test_every_bucket_is_reached_and_every_call_is_that_of_the_table(boards: dict[str, list[NaiveBoard]]) -> None:
    reached: dict[Bucket, int] = dict.fromkeys(Bucket, 0)
    for currency, (depth, volume) in DEPTH_AND_VOLUME.items():
        for board in boards[currency]:
            for z, liquidations, points in itertools.product(Z, LIQUIDATIONS, POINTS):
                inputs = _inputs(board, depth, volume, z, liquidations, points)
                call = call_scene(inputs, LIMITS, None)
                assert call.bucket is read(inputs)
                reached[read(inputs)] += 1
    assert sum(reached.values()) == 2 * 359 * len(Z) * len(LIQUIDATIONS) * len(POINTS)
    assert min(reached.values()) > 0, reached


def _inputs(board: NaiveBoard, depth: float, volume: float, z: float, liquidations: float, points: float) -> RuleInputs:
    """The inputs of the rules; the hedge flow of the hour is that of the roll-ups, the slow flow has one sign."""
    forced = liquidations * volume
    market = HourMarket(
        volume, depth, board.sigma_1h_pct, z, points, 0.8, 0.6, forced if z > 0.0 else 0.0, forced if z < 0.0 else 0.0
    )
    daily = board.sigma_1h_pct / 100.0 * math.sqrt(24.0)
    distance = math.inf if board.flip is None else abs(board.flip / board.spot - 1.0) / daily
    book = BookSums(board.ngi, board.vss, board.chl / 24.0, distance)
    hedge_flow = -(board.ngi * z * board.sigma_1h_pct + board.vss * points + board.chl / 24.0)
    return book_features(market, book, None, board.strikes, hedge_flow, 1.0).inputs


def test_vanna_and_charm_oppose_each_other_and_the_slow_flow_is_in_usd_an_hour(
    boards: dict[str, list[NaiveBoard]],
) -> None:
    """Their sum without a factor had the sign of the vanna; per hour the two are of one size and either may win."""
    for rows in boards.values():
        assert all(board.vss * board.chl < 0.0 for board in rows)
        pace = 0.1  # points an hour
        signs = {math.copysign(1.0, board.vss * pace + board.chl / 24.0) for board in rows}
        assert signs == {-1.0, 1.0}

"""The scenario of the true dealer book: the rule table read off the simulator's own ledger, without the engine's code.

It is the yardstick for scripts and for calibration. The prior thresholds and the prior move of volatility apply, as in
the first days of a session. Amounts are USD.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from dfmon.model.units import HOUR, MINUTE, SECOND, YEAR
from dfmon.sim.market.currency_market import CurrencyMarket, MarketEvents
from dfmon.sim.market.listing import next_delivery_ns
from dfmon.sim.market.surface import FloatArray, greeks

LO: Final = 0.01
MID: Final = 0.03
IV_MOVE_1H: Final = 0.75  # points
SAMPLE_NS: Final = MINUTE
_LOSS_NS: Final = 20 * MINUTE  # of the time value near expiry, while the delivery average forms
_PROFILE: Final = np.linspace(-0.25, 0.25, 11)  # daily sigmas around spot


class TrueFeatures(NamedTuple):
    """Inputs of the table. `z` is None before an hour has passed; `slow_share` is signed, the share of the hour in
    which the slow flow had its sign of now.
    """

    ngi: float
    vss: float
    charm_1h: float
    phi_gamma: float
    phi_vanna: float
    phi_charm: float
    psi: float
    changes_sign: bool
    z: float | None
    liquidations: float
    liquidation_sign: int
    heavier_short_side: int
    iv_points: float | None
    slow_share: float
    hours_to_expiry: float
    pin_distance: float
    pin_share: float


@dataclass(frozen=True, slots=True)
class _Sample:
    ts_ns: int
    spot: float
    iv: FloatArray
    names: list[str]
    slow_sign: int


class TruthTracker:
    """Follows one market; `sample` once a minute of market time, `add_events` whenever it has moved."""

    def __init__(self, market: CurrencyMarket) -> None:
        self._market = market
        self._samples: deque[_Sample] = deque(maxlen=HOUR // SAMPLE_NS + 1)
        self._liquidations: deque[tuple[int, float]] = deque()  # bounded by the hour

    def add_events(self, events: MarketEvents) -> None:
        """Takes the forced orders among the events."""
        mine = set(map(id, self._market.hedges))
        for event in events.liquidations:
            if id(event.market) in mine:
                self._liquidations.append((event.ts_ns, event.side * event.coins * event.price))

    def sample(self) -> None:
        """Takes spot, volatilities and the sign of the slow flow."""
        market, book = self._market, _Book(self._market)
        slow = book.charm_1h + book.vss * (self._iv_points(book) or 0.0)
        self._samples.append(
            _Sample(market.now_ns, market.path.price, market.board.iv.copy(), market.board.names, int(np.sign(slow)))
        )

    def features(self) -> TrueFeatures:
        """The features now; call it after `sample`."""
        market = self._market
        now_ns, spot, book = market.now_ns, market.path.price, _Book(market)
        hourly_volume = sum(m.volume for m in market.hedges) * spot / 24.0
        while self._liquidations and self._liquidations[0][0] <= now_ns - HOUR:
            self._liquidations.popleft()
        net_usd = sum(usd for _, usd in self._liquidations)
        gross_usd = sum(abs(usd) for _, usd in self._liquidations)
        points = self._iv_points(book)
        signs = [s.slow_sign for s in self._samples]
        ngi, sigma_1h = book.ngi(0.0), book.sigma_day / math.sqrt(24.0)
        hours, distance, share = book.pin()
        profile = [book.ngi(x * book.sigma_day) for x in _PROFILE.tolist()]
        return TrueFeatures(
            ngi=ngi,
            vss=book.vss,
            charm_1h=book.charm_1h,
            phi_gamma=abs(ngi) * 100.0 * sigma_1h / hourly_volume,
            phi_vanna=abs(book.vss) * IV_MOVE_1H / hourly_volume,
            phi_charm=abs(book.charm_1h) / hourly_volume,
            psi=ngi / sum(m.spec.depth_usd for m in market.hedges),
            changes_sign=min(profile) < 0.0 < max(profile),
            z=self._z(sigma_1h),
            liquidations=gross_usd / hourly_volume,
            liquidation_sign=int(np.sign(net_usd)),
            heavier_short_side=book.heavier_short_side(),
            iv_points=points,
            slow_share=signs[-1] * signs.count(signs[-1]) / len(signs),
            hours_to_expiry=hours,
            pin_distance=distance,
            pin_share=share,
        )

    def _z(self, sigma_1h: float) -> float | None:
        if len(self._samples) < HOUR // SAMPLE_NS + 1:
            return None
        return math.log(self._samples[-1].spot / self._samples[0].spot) / sigma_1h

    def _iv_points(self, book: _Book) -> float | None:
        """Change of the last hour at fixed strikes, weighted by vega and open interest."""
        if len(self._samples) < HOUR // SAMPLE_NS:
            return None
        old, board = self._samples[0], self._market.board
        iv_then = dict(zip(old.names, old.iv.tolist()))
        then = np.array([iv_then.get(name, math.nan) for name in board.names])
        weight = np.where(np.isnan(then), 0.0, board.greeks.vega * self._market.ledger.open_interest)
        return float(np.nansum(weight * (board.iv - then)) / max(weight.sum(), 1e-12))


class _Book:
    """The dealers' book at one moment, in columns."""

    def __init__(self, market: CurrencyMarket) -> None:
        board, now_ns = market.board, market.now_ns
        self._F, self._K, self._sign = board.underlying, board.strike, board.sign
        self._vol, self._position = board.iv / 100.0, market.ledger.dealer_position
        self._expiry_ns = np.array([c.expiry.expiry_ns for c in board.contracts])
        self._T = _effective_years(self._expiry_ns, now_ns)
        self._open_share = np.clip((self._expiry_ns - now_ns) / (30 * MINUTE), 0.0, 1.0)
        self._now_ns, self._spot = now_ns, market.path.price
        years = np.array([1.0 / 365.0])
        self.sigma_day = float(market.path.smile.volatility(np.zeros(1), years)[0]) / math.sqrt(365.0)
        unit = greeks(self._F, self._K, self._T, self._vol, self._sign)
        d2 = np.log(self._F / self._K) / (self._vol * np.sqrt(self._T)) - 0.5 * self._vol * np.sqrt(self._T)
        d1 = d2 + self._vol * np.sqrt(self._T)
        vanna = -np.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi) * d2 / self._vol
        open_position = self._position * self._open_share
        self._ngi_rows = open_position * unit.gamma * self._F**2 * 0.01
        self.vss = float(np.sum(open_position * vanna * self._F * 0.01))
        self.charm_1h = self._charm(open_position, unit.delta)

    def _charm(self, open_position: FloatArray, delta: FloatArray) -> float:
        """Change of delta over an hour, or up to the option's settlement window."""
        window_ns = self._expiry_ns - 30 * MINUTE - self._now_ns
        later_ns = self._now_ns + np.clip(window_ns, 0, HOUR)
        later = greeks(self._F, self._K, _effective_years(self._expiry_ns, later_ns), self._vol, self._sign)
        return float(np.sum(np.where(window_ns > 0, open_position * self._F * (later.delta - delta), 0.0)))

    def ngi(self, log_move: float) -> float:
        """Net gamma after a move of spot at fixed volatilities of the strikes."""
        F = self._F * math.exp(log_move)
        unit = greeks(F, self._K, self._T, self._vol, self._sign)
        return float(np.sum(self._position * self._open_share * unit.gamma * F**2 * 0.01))

    def heavier_short_side(self) -> int:
        """+1 where more short gamma lies above spot than below."""
        short = np.minimum(self._ngi_rows, 0.0)
        above = self._spot < self._K
        return int(np.sign(abs(short[above].sum()) - abs(short[~above].sum())))

    def pin(self) -> tuple[float, float, float]:
        """Hours to the nearest expiry, distance of its top strike in sigma sqrt(T), its share of |gamma|."""
        nearest = self._expiry_ns == next_delivery_ns(self._now_ns)
        strikes, rows = np.unique(self._K[nearest], return_inverse=True)
        by_strike = np.abs(np.bincount(rows, self._ngi_rows[nearest]))
        top = int(np.argmax(by_strike))
        years = float(self._T[nearest][0])
        at_money = int(np.argmin(np.abs(self._K[nearest] - self._spot)))
        sd = float(self._vol[nearest][at_money]) * math.sqrt(years)
        hours = (next_delivery_ns(self._now_ns) - self._now_ns) / HOUR
        distance = abs(math.log(float(strikes[top]) / self._spot)) / sd
        return hours, distance, float(by_strike[top] / max(by_strike.sum(), 1e-12))


def _effective_years(expiry_ns: FloatArray, now_ns: FloatArray | int) -> FloatArray:
    """Years to expiry less the mean age of the delivery average, which counts from six hours before."""
    left = np.maximum(expiry_ns - now_ns, SECOND).astype(np.float64)
    loss = _LOSS_NS * np.clip((6 * HOUR - left) / (3 * HOUR), 0.0, 1.0)
    return np.asarray(np.maximum(left - loss, 10 * SECOND) / YEAR)


def true_scenario(f: TrueFeatures) -> str:
    """The bucket by the entry conditions of the table; "" while a missing z could decide."""
    if f.changes_sign:
        return "FLIP-ZONE"
    if f.z is None:
        return ""
    z = abs(f.z)
    direction = int(np.sign(f.z))
    forced = f.liquidations >= LO and f.liquidation_sign == direction
    if z >= 1.5 and ((f.ngi < 0.0 and f.phi_gamma >= MID and forced) or f.psi <= -0.5):
        return "CASCADE"
    if f.ngi < 0.0 and f.phi_gamma >= MID and z >= 1.0 and direction == f.heavier_short_side:
        return "SQUEEZE"
    pinned = f.hours_to_expiry <= 24.0 and f.pin_distance <= 0.35 and f.pin_share >= 0.2
    if f.ngi > 0.0 and f.phi_gamma >= MID and z < 1.0 and pinned:
        return "PIN"
    if f.phi_charm + f.phi_vanna >= 0.5 * f.phi_gamma and abs(f.slow_share) >= 0.8 and z < 0.5:
        return "DRIFT"
    if f.ngi < 0.0 and max(f.phi_gamma, f.phi_vanna, f.phi_charm) >= LO:
        return "SQUEEZE"  # armed
    return "DAMP"

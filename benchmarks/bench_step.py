"""One tick of the live engine: BTC and ETH boards with an ensemble of positions, frames in, snapshots out."""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from dataclasses import replace

import numpy as np
from quant_chain import Chain, chain, interleaved

from dfmon.core.positions.compiled_filter import load_loops
from dfmon.core.pricing.compiled import load_kernels
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.events import Market
from dfmon.model.frames import ChainFrame, MarketFrame, ReceiveTimes, TradeColumns, VenueMarket
from dfmon.model.units import MINUTE, NAN, SECOND, YEAR

NOW = 1_769_085_005_047_000_000
ALL_BOOKS = "live tick, 128 members, bands"
COMPILED = "live tick, 128 members, bands, compiled"
BUDGETS = {ALL_BOOKS: 10e-3, COMPILED: 5e-3}
SIZES = {"BTC": (1_000, 100_000.0), "ETH": (800, 3_500.0)}


def prints(n: int) -> TradeColumns:
    """A print of every third option, without which positions would be unknown."""
    uid = np.arange(0, n, 3)
    k = uid.size
    return TradeColumns(
        uid=uid,
        seq=np.ones(k, np.int64),
        key=np.arange(k, dtype=np.uint64),
        exch_ns=np.full(k, NOW),
        side=np.where(np.arange(k) % 2, 1, -1).astype(np.int8),
        size=np.full(k, 5.0),
        price=np.full(k, 0.01),
        sigma=np.full(k, 0.5),
        block=np.zeros(k, np.bool_),
        rfq=np.zeros(k, np.bool_),
        combo=np.zeros(k, np.bool_),
        liquidation=("",) * k,
    )


def board(underlying: str, c: Chain) -> ChainFrame:
    """The chain as a frame of the engine."""
    n = c.strike.shape[0]
    missing = np.full(n, NAN)
    kind = np.where(c.option_type > 0, "C", "P")
    return ChainFrame(
        ts_ns=NOW,
        underlying=underlying,
        spot=c.spot,
        spot_ns=NOW,
        vol_index=0.5,
        delivery_average=NAN,
        uid=np.arange(n),
        names=tuple(f"{underlying}-{t * 8760:.0f}-{k:.0f}-{p}" for t, k, p in zip(c.tau, c.strike, kind)),
        expiry_ns=NOW + np.round(c.tau * YEAR).astype(np.int64),
        strike=c.strike,
        option_type=c.option_type.astype(np.int8),
        inverse=np.ones(n, np.bool_),
        forward=c.forward,
        sigma=c.sigma,
        bid_sigma=missing,
        ask_sigma=missing,
        mark=missing,
        bid=missing,
        ask=missing,
        open_interest=c.open_interest,
        volume=missing,
        data_ns=np.full(n, NOW),
        first_seen_ns=np.full(n, NOW),
        listed_ns=np.zeros(n, np.int64),
        interest=c.open_interest,
        interest_ns=np.full(n, NOW),
        full_history=np.zeros(n, np.bool_),
        lost_prints=np.zeros(n),
        trades=prints(n),
        received=ReceiveTimes(NOW, NOW, NOW, NOW),
    )


class LiveEngine:
    """Both underlyings, one second on at each tick, spot moving a little so that nothing repeats; all feeds are fresh.

    It begins after a minute, with hedge flows.
    """

    def __init__(self, params: FlowParams) -> None:
        self.params, self.seq = params, 0
        self.frames = [board(name, chain(size, spot)) for name, (size, spot) in SIZES.items()]
        self.states = [FlowState.initial() for _ in self.frames]
        perp = VenueMarket("binance", Market.PERP, 1e5, 3e7, 2.4e9, 1e9, 1e-4, 1e5, 0.5, 0.5, 0.5)
        self.market = MarketFrame((perp,), 0.0, 0.0)
        self.tick()
        self.seq += MINUTE // SECOND

    def tick(self) -> None:
        self.seq += 1
        move, ts_ns = 1.0 + 1e-4 * (self.seq % 7 - 3), NOW + self.seq * SECOND
        for i, frame in enumerate(self.frames):
            moved_frame = replace(
                frame,
                ts_ns=ts_ns,
                spot_ns=ts_ns,
                spot=frame.spot * move,
                forward=frame.forward * move,
                data_ns=np.full(frame.size, ts_ns),
                received=ReceiveTimes(ts_ns, ts_ns, ts_ns, ts_ns),
            )
            if self.seq > 1:
                moved_frame = replace(moved_frame, trades=moved_frame.trades.rows(np.zeros(0, np.intp)))
            self.states[i], _ = step(self.states[i], moved_frame, self.market, (), self.params, self.seq)


def runs() -> dict[str, LiveEngine]:
    """All position models at once, and the premium-adjusted what-if, option by option."""
    compiled = {COMPILED: LiveEngine(FlowParams("flow", compiled=True))} if load_kernels() and load_loops() else {}
    return {
        ALL_BOOKS: LiveEngine(FlowParams("flow")),
        **compiled,
        "live tick, 128 members, coin": LiveEngine(FlowParams("flow", numeraire="coin")),
    }


def main() -> None:
    options = sum(frame.size for frame in LiveEngine(FlowParams("naive")).frames)
    print(f"{' + '.join(SIZES)}, {options} options, one core, least of interleaved runs")
    for name, seconds in interleaved(
        {name: engine.tick for name, engine in runs().items()}, rounds=25, batch=0.02
    ).items():
        budget = f"   budget {BUDGETS[name] * 1e3:g} ms" if name in BUDGETS else ""
        print(f"{name:45s} {seconds * 1e3:8.3f} ms{budget}{'' if seconds <= BUDGETS.get(name, 1.0) else ': MISSED'}")


if __name__ == "__main__":
    main()

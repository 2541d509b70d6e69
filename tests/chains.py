"""Small boards, frames and events made deterministically, and a toy venue for the driver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    ClockReading,
    Delisted,
    Event,
    FeedState,
    FeedStatus,
    IndexPrice,
    Liquidation,
    Listed,
    Market,
    MarketTicker,
    OptionTicker,
    OptionTrade,
    Rejected,
)
from dfmon.model.frames import ChainFrame, MarketFrame, ReceiveTimes, TradeColumns, VenueMarket
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import DAY, HOUR, NAN, SECOND, expiry_label

NOW = 1_769_085_005_047_000_000
SPOT = 100_000.0
STRIKES = (80_000.0, 90_000.0, 95_000.0, 100_000.0, 105_000.0, 110_000.0, 120_000.0)
DAYS = (1.5, 9.0, 37.0)


# ---- events --------------------------------------------------------------------------------------------------------


def option(
    strike: float = SPOT, kind: int = 1, days: float = 9.0, underlying: str = "BTC", listed_ns: int = 0
) -> Instrument:
    expiry_ns = NOW + round(days * DAY)
    return Instrument(
        venue="deribit",
        name=f"{underlying}-{expiry_label(expiry_ns)}-{strike:.0f}-{'C' if kind > 0 else 'P'}",
        kind=Kind.OPTION,
        underlying=underlying,
        settlement=Settlement.INVERSE,
        expiry_ns=expiry_ns,
        strike=strike,
        option_type=OptionType(kind),
        listed_ns=listed_ns,
    )


def ticker(name: str, ns: int = NOW, **fields: Any) -> OptionTicker:
    return OptionTicker("deribit", name, ns, **{"mark_iv": 0.5, "open_interest": 10.0, "forward": SPOT, **fields})


def trade(name: str, side: int = 1, size: float = 1.0, ns: int = NOW, **fields: Any) -> OptionTrade:
    return OptionTrade(
        "deribit", name, f"{name}{ns}", 1, ns, side, **{"price": 0.01, "size": size, "iv": 0.5, **fields}
    )


def index(price: float = SPOT, ns: int = NOW, underlying: str = "BTC") -> IndexPrice:
    return IndexPrice("deribit", underlying, price, ns)


def listing(underlying: str = "BTC", days: Sequence[float] = DAYS) -> list[Instrument]:
    return [option(k, kind, d, underlying) for d in days for k in STRIKES for kind in (1, -1)]


def known(value: float | None) -> float:
    """A number of a snapshot, which must be there."""
    assert value is not None
    return value


# ---- frames --------------------------------------------------------------------------------------------------------


def trade_columns(
    uid: Sequence[int] = (), side: Sequence[int] = (), size: Sequence[float] = (), **fields: Any
) -> TradeColumns:
    k = len(uid)
    return TradeColumns(
        uid=np.array(uid, np.int64),
        seq=np.array(fields.get("seq", range(1, k + 1)), np.int64),
        key=np.array(fields.get("key", range(1, k + 1)), np.uint64),
        exch_ns=np.array(fields.get("exch_ns", [NOW] * k), np.int64),
        side=np.array(side, np.int8),
        size=np.array(size, np.float64),
        price=np.full(k, 0.01),
        sigma=np.full(k, 0.5),
        block=np.array(fields.get("block", [False] * k), np.bool_),
        rfq=np.array(fields.get("rfq", [False] * k), np.bool_),
        combo=np.array(fields.get("combo", [False] * k), np.bool_),
        liquidation=tuple(fields.get("liquidation", [""] * k)),
    )


def frame(
    strikes: Sequence[float] = STRIKES,
    days: Sequence[float] = DAYS,
    spot: float = SPOT,
    ts_ns: int = NOW,
    **columns: Any,
) -> ChainFrame:
    """A call and a put on every strike and expiry; forwards at spot, a smile, open interest that differs by row."""
    options = [option(k, kind, d) for d in days for k in strikes for kind in (1, -1)]
    n = len(options)
    strike = np.array([o.strike for o in options])
    unset = np.full(n, NAN)
    chain = ChainFrame(
        ts_ns=ts_ns,
        underlying="BTC",
        spot=spot,
        spot_ns=ts_ns if spot > 0.0 else 0,
        vol_index=0.5,
        delivery_average=NAN,
        uid=np.arange(n),
        names=tuple(o.name for o in options),
        expiry_ns=np.array([o.expiry_ns for o in options], np.int64),
        strike=strike,
        option_type=np.array([o.option_type for o in options], np.int8),
        inverse=np.ones(n, np.bool_),
        forward=np.full(n, spot if spot > 0.0 else SPOT),
        sigma=0.5 + 0.1 * np.abs(np.log(strike / SPOT)),
        bid_sigma=unset,
        ask_sigma=unset,
        mark=unset,
        bid=unset,
        ask=unset,
        open_interest=10.0 + np.arange(n, dtype=np.float64) * 7.0 % 11.0,
        volume=unset,
        data_ns=np.full(n, ts_ns),
        first_seen_ns=np.full(n, NOW),
        full_history=np.zeros(n, np.bool_),
        listed_ns=np.zeros(n, np.int64),
        interest=unset,
        interest_ns=np.full(n, ts_ns),
        lost_prints=np.zeros(n),
        trades=trade_columns(),
        received=ReceiveTimes(ts_ns if spot > 0.0 else 0, ts_ns, ts_ns, ts_ns),
    )
    chain = replace(chain, **columns)
    return chain if "interest" in columns else replace(chain, interest=chain.open_interest)


def permuted(chain: ChainFrame, order: np.ndarray) -> ChainFrame:
    """The same board with its rows in another order."""
    columns = ("uid", "expiry_ns", "strike", "option_type", "inverse", "forward", "sigma", "bid_sigma", "ask_sigma",
               "mark", "bid", "ask", "open_interest", "volume", "data_ns", "first_seen_ns", "full_history",
               "lost_prints", "listed_ns", "interest", "interest_ns")  # fmt: skip
    names = tuple(chain.names[i] for i in order)
    return replace(chain, names=names, **{name: getattr(chain, name)[order] for name in columns})


def market(depth: float = 3e7, volume: float = 2.4e9, **flows: Any) -> MarketFrame:
    row = VenueMarket("binance", Market.PERP, SPOT, depth, volume, 1e9, 1e-4, SPOT, 0.5, 0.5, 0.5)
    return replace(MarketFrame((row,), 0.0, 0.0), **flows)


def run(
    chains: Sequence[ChainFrame], params: FlowParams | None = None, around: MarketFrame | None = None
) -> tuple[FlowState, list[FlowSnapshot]]:
    """Step through `chains` from the start."""
    state, snapshots = FlowState.initial(), []
    for seq, chain in enumerate(chains, 1):
        state, snapshot = step(state, chain, around or market(), (), params or FlowParams(), seq)
        snapshots.append(snapshot)
    return state, snapshots


def shot(chain: ChainFrame, params: FlowParams | None = None, around: MarketFrame | None = None) -> FlowSnapshot:
    """The snapshot of one frame alone."""
    return run([chain], params, around)[1][0]


def path(spots: Sequence[float], every_s: float = 60.0, **columns: Any) -> list[ChainFrame]:
    """The same board while spot moves along `spots`."""
    return [frame(spot=spot, ts_ns=NOW + round(i * every_s * SECOND), **columns) for i, spot in enumerate(spots)]


# ---- a venue for the driver ----------------------------------------------------------------------------------------


class ToyVenue:
    """Decodes frames of words: what happened, then its arguments."""

    def __init__(self, venue: str = "deribit") -> None:
        self.venue = venue

    def connection_made(self, now_ns: int) -> Sequence[Event]:
        return [FeedStatus(self.venue, FeedState.SYNCING, "subscribing")]

    def connection_lost(self, reason: str) -> Sequence[Event]:
        return [FeedStatus(self.venue, FeedState.DOWN, reason), BookLost(self.venue, Market.PERP, "BTC")]

    def response_received(self, tag: str, body: bytes) -> Sequence[Event]:
        return self.frame_received(tag.encode() + b" " + body)

    def on_timer(self, now_ns: int) -> Sequence[Event]:
        """Every second of a connection is a record, so what it tells is part of a replay."""
        return [FeedStatus(self.venue, FeedState.LIVE, f"a second at {now_ns % 1_000}")]

    def data_to_send(self) -> list[str]:
        return []

    def rest_calls(self) -> list[object]:
        return []

    def frame_received(self, frame: bytes) -> Sequence[Event]:
        verb, *args = frame.decode().split()
        match verb:
            case "board":
                return [Listed(o) for o in listing(args[0])] + [ticker(o.name) for o in listing(args[0])]
            case "index":
                return [index(float(args[0]), int(args[1]))]
            case "ticker":
                return [ticker(args[0], int(args[1]), mark_iv=float(args[2]), open_interest=float(args[3]))]
            case "trade":
                return [trade(args[0], int(args[1]), float(args[2]))]
            case "clock":
                return [ClockReading(self.venue, int(args[0]), int(args[1]), int(args[1]))]
            case "delisted":
                return [Delisted("deribit", args[0])]
            case "book":
                mid, size = float(args[0]), float(args[1])
                return [BookSnapshot(self.venue, Market.PERP, "BTC", 0, ((mid - 1.0, size),), ((mid + 1.0, size),))]
            case "volume":
                return [MarketTicker(self.venue, Market.PERP, "BTC", 0, volume_usd=float(args[0]))]
            case "forced":
                return [Liquidation(self.venue, Market.PERP, "BTC", 0, int(args[0]), SPOT, float(args[1]))]
        return [Rejected(self.venue, "frame", verb)]


def hours(n: float) -> int:
    return round(n * HOUR)

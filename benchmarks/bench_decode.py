"""Decoding Deribit, frame to columns, against the peers: `python benchmarks/bench_decode.py`.

A ticker is a frame of an option with IVs, greeks and quotes, as the venue documents it; marks are a whole chain of
1,000 rows in one frame, each second with other numbers. `apply` is what the engine does with the events, the writing
of its columns once a tick included: a 100 ms channel brings up to ten tickers of an option between two ticks of a
second. Peers are measured where they are installed; cryptofeed 3 needs Python 3.13.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import ClassVar

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quant_chain import interleaved, show

from dfmon.engine.chain import ChainState
from dfmon.model.events import Listed
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.venues.deribit.protocol import DeribitProtocol

Run = Callable[[], object]

NOW_MS = 1_794_830_405_123
EXPIRY_NS = 1_798_185_600_000_000_000
PUSH = {"jsonrpc": "2.0", "method": "subscription"}
NAMES = [f"BTC-25DEC26-{strike}-{kind}" for strike in range(40_000, 140_000, 200) for kind in "CP"]
FRAMES_A_TICK = 10


def push(channel: str, data: object) -> bytes:
    body = {**PUSH, "params": {"channel": channel, "data": data}}
    return json.dumps(body, separators=(",", ":")).encode()


def ticker(name: str, number: int = 0) -> bytes:
    data = {
        "timestamp": NOW_MS + number, "state": "open",
        "stats": {"high": 0.0345, "low": 0.031, "price_change": -3.125, "volume": 9.2, "volume_usd": 18345.12},
        "greeks": {"delta": 0.41234, "gamma": 0.00003, "vega": 38.12345, "theta": -62.12345, "rho": 6.12345},
        "index_price": 91088.12, "instrument_name": name, "last_price": 0.0325, "settlement_price": 0.03412,
        "min_price": 0.0115, "max_price": 0.069, "open_interest": 412.7, "mark_price": 0.0327,
        "best_ask_price": 0.033, "best_bid_price": 0.0325, "best_ask_amount": 12.3, "best_bid_amount": 8.1,
        "interest_rate": 0.0, "mark_iv": 57.06, "bid_iv": 56.5, "ask_iv": 57.6, "underlying_price": 91240.57,
        "underlying_index": "BTC-25DEC26", "estimated_delivery_price": 91088.12,
    }  # fmt: skip
    return push(f"ticker.{name}.100ms", data)


def marks(names: list[str], second: int = 0) -> bytes:
    """A frame of the whole chain; each second has numbers of its own."""
    rows = [
        {"timestamp": NOW_MS + 1_000 * second, "iv": round(0.3 + (number + second) % 97 * 0.0031, 4),
         "instrument_name": name, "mark_price": round(0.0005 + number * 0.0003 + second * 0.0001, 4)}
        for number, name in enumerate(names)
    ]  # fmt: skip
    return push("markprice.options.btc_usd", rows)


class DfmonDecoder:
    """A protocol that knows the board, and the columns behind it."""

    def __init__(self) -> None:
        self.protocol = DeribitProtocol(("BTC",), linear=False)
        self.protocol.connection_made(NOW_MS * 1_000_000)
        self.chain = ChainState(("BTC",))
        for number, name in enumerate(NAMES):
            kind = OptionType.CALL if name.endswith("C") else OptionType.PUT
            strike = float(name.split("-")[2])
            option = Instrument(
                "deribit", name, Kind.OPTION, "BTC", Settlement.INVERSE, EXPIRY_NS, strike, kind, listed_ns=number
            )
            self.protocol.listings.options[name] = option
            self.chain.apply(Listed(option), 1)

    def apply_frame(self, frame: bytes) -> None:
        for event in self.protocol.frame_received(frame):
            self.chain.apply(event, 1)

    def apply_tick(self, frames: list[bytes]) -> None:
        """Decode, apply, and write the columns as a tick does."""
        for frame in frames:
            self.apply_frame(frame)
        self.chain.flush_tickers()


def cryptofeed(frame: str) -> Run:
    """cryptofeed's own handler with a callback that does nothing: it keeps bid and ask, and no IV, greeks or mark."""
    from cryptofeed.defines import TICKER
    from cryptofeed.exchanges import Deribit
    from cryptofeed.symbols import Symbols

    name = NAMES[0]
    Symbols.set(Deribit.id, {name: name}, {"instrument_type": {name: "option"}, "tick_size": {name: 0.0001}})

    async def callback(*_: object) -> None:
        return None

    feed = Deribit(symbols=[name], channels=[TICKER], callbacks={TICKER: callback})
    vars(feed)["_open_interest_cache"] = {}  # what its subscription makes

    def run() -> None:
        with suppress(StopIteration):
            feed.message_handler(frame, None, 1.0).send(None)

    return run


def ccxt_pro(frame: str) -> Run:
    """ccxt.pro's handler as its client calls it: after json.loads, into its own tickers."""
    import ccxt.pro

    exchange = ccxt.pro.deribit()
    market = exchange.safe_market_structure(
        {"id": NAMES[0], "symbol": "BTC/USD:BTC-261225-40000-C", "base": "BTC", "quote": "USD", "type": "option",
         "option": True, "contract": True}
    )  # fmt: skip
    exchange.set_markets([market])

    class Client:
        url = "x"
        subscriptions: ClassVar[dict[str, object]] = {}

        def resolve(self, *_: object) -> None:
            return None

    client = Client()
    exchange.handle_message(client, json.loads(frame))
    assert exchange.tickers
    return lambda: exchange.handle_message(client, json.loads(frame))


def _repeat(run: Run, times: int) -> None:
    for _ in range(times):
        run()


PEERS: dict[str, Callable[[str], Run]] = {"cryptofeed 3 handler": cryptofeed, "ccxt.pro handler": ccxt_pro}


def ticker_runs() -> tuple[dict[str, Run], float]:
    """The runs, and how many frames a call of the first takes."""
    decoder = DfmonDecoder()
    frames = [ticker(name, number) for number in range(FRAMES_A_TICK) for name in NAMES[:100]]
    one_frame_each = [ticker(name) for name in NAMES]
    first_frame = frames[0]
    runs: dict[str, Run] = {
        TICK: lambda: decoder.apply_tick(frames),
        "dfmon, one frame an option a tick": lambda: decoder.apply_tick(one_frame_each),
        "dfmon, decode alone": lambda: [decoder.protocol.frame_received(frame) for frame in frames],
        "json.loads": lambda: [json.loads(frame) for frame in frames],
        "msgspec, untyped": lambda: [msgspec.json.decode(frame) for frame in frames],
    }
    text = first_frame.decode()
    for name, build in PEERS.items():
        try:
            peer = build(text)
        except ImportError:
            print(f"{name}: not installed")
            continue
        runs[name] = partial(_repeat, peer, len(frames))
    return runs, len(frames)


TICK = "dfmon, ten frames an option a tick"


def main() -> None:
    runs, count = ticker_runs()
    times = {name: seconds / count for name, seconds in interleaved(runs, rounds=25).items()}
    print(f"a ticker of {len(ticker(NAMES[0]))} bytes, decoded and applied")
    bounds = {
        "json.loads": ("at most", 0.22),
        "cryptofeed 3 handler": ("at least", 5.0),
        "ccxt.pro handler": ("at least", 15.0),
    }
    show(times, TICK, bounds)

    decoder, reordered_decoder = DfmonDecoder(), DfmonDecoder()
    frame = marks(NAMES)
    seconds = cycle([marks(NAMES, second) for second in range(2)])
    orders = cycle([marks(NAMES, 1), marks(NAMES[::-1], 2)])
    print(f"\nmarks of {len(NAMES)} options in {len(frame)} bytes, decoded and applied")
    runs = {
        "dfmon, a chain in one order": lambda: decoder.apply_frame(next(seconds)),
        "dfmon, decode alone": lambda: decoder.protocol.frame_received(next(seconds)),
        "dfmon, each frame in another order": lambda: reordered_decoder.apply_frame(next(orders)),
        "json.loads": lambda: json.loads(frame),
        "msgspec, untyped": lambda: msgspec.json.decode(frame),
    }
    show(interleaved(runs), "dfmon, a chain in one order", {"json.loads": ("at most", 0.30)})


if __name__ == "__main__":
    main()

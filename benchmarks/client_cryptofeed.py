"""cryptofeed 3 on the simulated exchange: every public channel of the three venues' feeds, until each has spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cryptofeed import FeedHandler
from cryptofeed.defines import CANDLES, FUNDING, L1_BOOK, L2_BOOK, OPEN_INTEREST, TICKER, TRADES
from cryptofeed.exchanges import OKX, Binance, BinanceFutures, Deribit

Log = Callable[[str, object], None]
TIMEOUT_S = 60.0


def subscriptions(addresses: dict[str, Any]) -> list[tuple[Any, str, str, list[str], list[str]]]:
    """Feeds with their base URLs, symbols and channels."""
    at = {source: (address["ws"], address["rest"]) for source, address in addresses.items()}
    deribit_ws, deribit = at["deribit"]
    option = "BTC-USD"  # replaced by a listed one
    return [
        (Deribit, deribit_ws, deribit.removesuffix("/api/v2"), ["BTC-USD-PERP", option],
         [TRADES, TICKER, L2_BOOK, L1_BOOK, FUNDING, OPEN_INTEREST]),
        (Binance, *at["binance.spot"], ["BTC-USDT"], [TRADES, TICKER, L2_BOOK, CANDLES]),
        (BinanceFutures, *at["binance.market"], ["BTC-USDT-PERP"],
         [TRADES, TICKER, L2_BOOK, CANDLES, FUNDING, OPEN_INTEREST]),
        (OKX, at["okx"][0], at["okx"][1], ["BTC-USDT-PERP"],
         [TRADES, TICKER, L2_BOOK, CANDLES, FUNDING, OPEN_INTEREST]),
    ]  # fmt: skip


def run(addresses: dict[str, Any], log: Log) -> None:
    handler = FeedHandler()
    awaited: set[tuple[str, str]] = set()

    def callback(feed: str, channel: str) -> Callable[..., Any]:
        async def receive(update: Any, _: float) -> None:
            if (feed, channel) in awaited:
                awaited.discard((feed, channel))
                log(f"{feed} {channel}", str(update))
                if not awaited:
                    handler.request_stop()

        return receive

    for feed_type, ws, rest, symbols, channels in subscriptions(addresses):
        feed_type.rest_endpoints[0].address = rest
        for endpoint in feed_type.websocket_endpoints:
            path = endpoint.address.rpartition("/")[2] if feed_type is OKX else ""
            endpoint.address = f"{ws.removesuffix('/public')}/{path}" if path else ws
        listed = feed_type.symbols()
        log(f"{feed_type.id} symbols", listed)
        if feed_type is Deribit:
            symbols = [symbols[0], next(name for name in listed if name.endswith(("-call", "-C", "-put", "-P")))]
        callbacks = {channel: callback(feed_type.id, channel) for channel in channels}
        awaited.update((feed_type.id, channel) for channel in channels)
        handler.add_feed(feed_type(symbols=symbols, channels=channels, callbacks=callbacks))

    async def run_until_all_spoke() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await handler.run_async()

    try:
        asyncio.run(run_until_all_spoke())
    except TimeoutError:
        raise RuntimeError(f"silent for {TIMEOUT_S:.0f} s: {sorted(awaited)}") from None

"""nautilus_trader's Deribit adapter on the simulated exchange: a trading node with one strategy that subscribes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.adapters.deribit.config import DeribitDataClientConfig
from nautilus_trader.adapters.deribit.factories import DeribitLiveDataClientFactory
from nautilus_trader.config import InstrumentProviderConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.core.nautilus_pyo3 import DeribitProductType
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

Log = Callable[[str, object], None]
PERPETUAL = InstrumentId.from_str("BTC-PERPETUAL.DERIBIT")
MINUTES = BarType.from_str("BTC-PERPETUAL.DERIBIT-1-MINUTE-LAST-EXTERNAL")
TIMEOUT_S = 90.0


class Listener(Strategy):  # type: ignore[misc, unused-ignore]
    """Subscribes to every kind of public data and stops the node when each has come."""

    def __init__(self, log: Log, stop: Callable[[], None]) -> None:
        super().__init__()
        self._write, self._stop_node = log, stop
        self.awaited = {"instruments", "trade", "quote", "book deltas", "mark price", "index price", "funding rate",
                        "option greeks", "bar", "requested trades", "requested bars"}  # fmt: skip

    def on_start(self) -> None:
        instruments = self.cache.instruments()
        option = next(i for i in instruments if i.id.symbol.value.endswith("-C"))
        self._heard("instruments", f"{len(instruments)}, such as {option.id}")
        self.subscribe_trade_ticks(PERPETUAL)
        self.subscribe_quote_ticks(PERPETUAL)
        self.subscribe_order_book_deltas(PERPETUAL)
        self.subscribe_mark_prices(PERPETUAL)
        self.subscribe_index_prices(PERPETUAL)
        self.subscribe_funding_rates(PERPETUAL)
        self.subscribe_option_greeks(option.id)
        self.subscribe_bars(MINUTES)
        self.request_trade_ticks(PERPETUAL, start=self.clock.utc_now() - _minutes(5))
        self.request_bars(MINUTES, start=self.clock.utc_now() - _minutes(60))
        self.clock.set_time_alert(
            "limit", self.clock.utc_now() + _minutes(TIMEOUT_S / 60.0), lambda _: self._stop_node()
        )

    def _heard(self, kind: str, data: object) -> None:
        if kind in self.awaited:
            self.awaited.discard(kind)
            self._write(kind, str(data))
            if not self.awaited:
                self._stop_node()

    def on_trade_tick(self, tick: Any) -> None:
        self._heard("trade", tick)

    def on_quote_tick(self, tick: Any) -> None:
        self._heard("quote", tick)

    def on_order_book_deltas(self, deltas: Any) -> None:
        self._heard("book deltas", deltas)

    def on_mark_price(self, update: Any) -> None:
        self._heard("mark price", update)

    def on_index_price(self, update: Any) -> None:
        self._heard("index price", update)

    def on_funding_rate(self, update: Any) -> None:
        self._heard("funding rate", update)

    def on_option_greeks(self, update: Any) -> None:
        self._heard("option greeks", update)

    def on_bar(self, bar: Any) -> None:
        self._heard("bar", bar)

    def on_historical_data(self, data: Any) -> None:
        self._heard("requested bars" if type(data).__name__ == "Bar" else "requested trades", data)


def _minutes(count: float) -> Any:
    import pandas as pd

    return pd.Timedelta(minutes=count)


def run(addresses: dict[str, Any], log: Log) -> None:
    address = addresses["deribit"]
    data_client = DeribitDataClientConfig(
        base_url_http=address["rest"],
        base_url_ws=address["ws"],
        product_types=(DeribitProductType.FUTURE, DeribitProductType.OPTION),
        instrument_provider=InstrumentProviderConfig(load_all=True),
    )
    config = TradingNodeConfig(logging=LoggingConfig(log_level="WARNING"), data_clients={"DERIBIT": data_client})
    node = TradingNode(config=config)
    listener = Listener(log, node.stop)
    node.trader.add_strategy(listener)
    node.add_data_client_factory("DERIBIT", DeribitLiveDataClientFactory)
    node.build()
    try:
        node.run()
    finally:
        node.dispose()
    if listener.awaited:
        raise RuntimeError(f"silent for {TIMEOUT_S:.0f} s: {sorted(listener.awaited)}")

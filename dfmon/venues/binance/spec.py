"""Binance: spot and USD-M futures, whose book and trade streams come on different routes of one host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dfmon.model.events import Market
from dfmon.venues.binance import protocol
from dfmon.venues.binance.protocol import BinanceProtocol
from dfmon.venues.spec import PollSettings, ProtocolFactory, Source, Url, VenueSettings, VenueSpec


class BinanceSettings(VenueSettings, frozen=True, kw_only=True):
    """Addresses of Binance."""

    spot_websocket: Url = "wss://stream.binance.com:9443"
    spot_rest: Url = "https://api.binance.com"
    futures_websocket: Url = "wss://fstream.binance.com"
    futures_rest: Url = "https://fapi.binance.com"


def _factory(build: Callable[[Sequence[str], str], BinanceProtocol]) -> ProtocolFactory:
    def make(underlyings: Sequence[str], source: str, _polls: PollSettings) -> BinanceProtocol:
        return build(underlyings, source)

    return make


def _futures(
    name: str,
    build: Callable[[Sequence[str], str], BinanceProtocol],
    max_underlyings: int,
    **markets: tuple[Market, ...],
) -> Source:
    return Source(
        name,
        _factory(build),
        time_path="/fapi/v1/time",
        websocket_key="futures_websocket",
        rest_key="futures_rest",
        max_underlyings=max_underlyings,
        max_weight_1m=2_400,
        no_data_hint="is the address the one with the routes /public and /market?",
        **markets,
    )


_SPOT: Final = Source(
    "binance.spot",
    _factory(protocol.spot),
    time_path="/api/v3/time",
    websocket_key="spot_websocket",
    rest_key="spot_rest",
    max_underlyings=60,
    max_weight_1m=6_000,
    books=(Market.SPOT,),
    volumes=(Market.SPOT,),
)

SPEC: Final = VenueSpec(
    "binance",
    "Binance",
    BinanceSettings(),
    # 200 streams of a connection are far below the 1,024 allowed, and keep the URL below 8 kB
    (
        _SPOT,
        _futures("binance.public", protocol.public, 200, books=(Market.PERP,)),
        _futures("binance.market", protocol.market, 50, volumes=(Market.PERP,)),
    ),
    heartbeats=(b'"result":null',),
    venue_ms=lambda body: float(body["serverTime"]),
)

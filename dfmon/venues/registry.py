"""Every source dfmon can connect to: its name, where it is served, and how its protocol is built.

An explicit table: adding a venue is adding a package and a line here. A simulated exchange changes the addresses only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dfmon.model.errors import UsageError
from dfmon.venues.binance import protocol as binance
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.protocol import Endpoint


@dataclass(frozen=True, slots=True)
class Address:
    """Base URLs of a source, without a trailing slash: websocket and REST."""

    ws: str
    rest: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is polled what no stream brings, and how far back the first connection asks for prints."""

    summary_s: float = 30.0
    look_back_s: float = 0.0


_FUTURES: Final = Address("wss://fstream.binance.com", "https://fapi.binance.com")

ADDRESSES: Final[Mapping[str, Address]] = {
    "deribit": Address("wss://www.deribit.com/ws/api/v2", "https://www.deribit.com/api/v2"),
    "binance.spot": Address("wss://stream.binance.com:9443", "https://api.binance.com"),
    "binance.public": _FUTURES,
    "binance.market": _FUTURES,
    "okx": Address("wss://ws.okx.com:8443/ws/v5/public", "https://www.okx.com"),
}

ARCHIVE: Final = "https://history.deribit.com/api/v2"
"""Deribit's archive: the same methods as its REST, with every trade since the beginning."""

Factory = Callable[[Sequence[str], Address, Pace], Endpoint]


def _deribit(underlyings: Sequence[str], at: Address, pace: Pace) -> Endpoint:
    return Endpoint(
        "deribit", at.ws, at.rest, DeribitProtocol(underlyings, summary_s=pace.summary_s, look_back_s=pace.look_back_s)
    )


def _binance(build: Callable[[Sequence[str]], binance.BinanceProtocol]) -> Factory:
    def make(underlyings: Sequence[str], at: Address, _pace: Pace) -> Endpoint:
        protocol = build(underlyings)
        return Endpoint(protocol.source, f"{at.ws}{protocol.path}", at.rest, protocol)

    return make


def _okx(underlyings: Sequence[str], at: Address, _pace: Pace) -> Endpoint:
    return Endpoint("okx", at.ws, at.rest, OkxProtocol(underlyings))


FACTORIES: Final[Mapping[str, Factory]] = {
    "deribit": _deribit,
    "binance.spot": _binance(binance.spot),
    "binance.public": _binance(binance.public),
    "binance.market": _binance(binance.market),
    "okx": _okx,
}


def endpoint(source: str, underlyings: Sequence[str], at: Address | None = None, pace: Pace | None = None) -> Endpoint:
    """One connection with a fresh protocol; `at` replaces the venue's own address."""
    factory = FACTORIES.get(source)
    if factory is None:
        raise UsageError(f"no source {source!r}; there are {', '.join(FACTORIES)}")
    return factory(underlyings, at or ADDRESSES[source], pace or Pace())


def endpoints(
    underlyings: Sequence[str],
    sources: Sequence[str] = tuple(FACTORIES),
    addresses: Mapping[str, Address] | None = None,
    pace: Pace | None = None,
) -> list[Endpoint]:
    """A connection per source, in the order given; `addresses` replaces those it names."""
    return [endpoint(source, underlyings, (addresses or {}).get(source), pace) for source in sources]

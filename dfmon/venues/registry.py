"""Every source dfmon can connect to: its name, where it is served, and how its protocol is built.

An explicit table: adding a venue is adding a package and a line here. A simulated exchange changes the addresses only.
Where a venue limits what one connection may carry, many underlyings are spread over several: `okx`, `okx.2` and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
class PollSettings:
    """How often is polled what no stream brings, and how far back the first connection asks for prints."""

    summary_s: float = 30.0
    look_back_s: float = 0.0


_BINANCE_FUTURES: Final = Address("wss://fstream.binance.com", "https://fapi.binance.com")

ADDRESSES: Final[Mapping[str, Address]] = {
    "deribit": Address("wss://www.deribit.com/ws/api/v2", "https://www.deribit.com/api/v2"),
    "binance.spot": Address("wss://stream.binance.com:9443", "https://api.binance.com"),
    "binance.public": _BINANCE_FUTURES,
    "binance.market": _BINANCE_FUTURES,
    "okx": Address("wss://ws.okx.com:8443/ws/v5/public", "https://www.okx.com"),
}

ARCHIVE: Final = "https://history.deribit.com/api/v2"
"""Deribit's archive: the same methods as its REST, with every trade since the beginning."""

Factory = Callable[[str, Sequence[str], Address, PollSettings], Endpoint]

# Underlyings of one connection. Binance: 200 streams are far below its 1,024 and keep the URL below 8 kB.
# OKX: fewer than 30 books are advised, and each underlying has two.
_MAX_UNDERLYINGS: Final[Mapping[str, int]] = {
    "binance.spot": 60,
    "binance.public": 200,
    "binance.market": 50,
    "okx": 14,
}


def _deribit(source: str, underlyings: Sequence[str], address: Address, pace: PollSettings) -> Endpoint:
    return Endpoint(
        source,
        address.ws,
        address.rest,
        DeribitProtocol(underlyings, summary_s=pace.summary_s, look_back_s=pace.look_back_s),
    )


def _binance(build: Callable[[Sequence[str], str], binance.BinanceProtocol]) -> Factory:
    def make(source: str, underlyings: Sequence[str], address: Address, _pace: PollSettings) -> Endpoint:
        protocol = build(underlyings, source)
        return Endpoint(source, f"{address.ws}{protocol.path}", address.rest, protocol)

    return make


def _okx(source: str, underlyings: Sequence[str], address: Address, _pace: PollSettings) -> Endpoint:
    return Endpoint(source, address.ws, address.rest, OkxProtocol(underlyings, source))


FACTORIES: Final[Mapping[str, Factory]] = {
    "deribit": _deribit,
    "binance.spot": _binance(binance.spot),
    "binance.public": _binance(binance.public),
    "binance.market": _binance(binance.market),
    "okx": _okx,
}


def endpoint(
    source: str, underlyings: Sequence[str], address: Address | None = None, pace: PollSettings | None = None
) -> Endpoint:
    """One connection with a fresh protocol; `address` replaces the venue's own address."""
    base = _base_source(source)
    if base is None:
        raise UsageError(f"no source {source!r}; there are {', '.join(FACTORIES)}")
    return FACTORIES[base](source, underlyings, address or ADDRESSES[base], pace or PollSettings())


def endpoints(
    underlyings: Sequence[str],
    sources: Sequence[str] = tuple(FACTORIES),
    addresses: Mapping[str, Address] | None = None,
    pace: PollSettings | None = None,
) -> list[Endpoint]:
    """The connections of each source, in the order given; `addresses` replaces those it names.

    A source may be named by any of its connections, as recordings do: the underlyings decide how many there are.
    """
    bases = dict.fromkeys(_base_source(source) or source for source in sources)
    return [
        endpoint(name, group, (addresses or {}).get(base), pace)
        for base in bases
        for name, group in _split_underlyings(base, underlyings)
    ]


def _base_source(source: str) -> str | None:
    """The entry of the table a connection belongs to: `okx.2` to `okx`."""
    stem, _, number = source.rpartition(".")
    return next((name for name in (source, stem if number.isdecimal() else "") if name in FACTORIES), None)


def _split_underlyings(base: str, underlyings: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Names of a source's connections and the underlyings of each."""
    max_underlyings = _MAX_UNDERLYINGS.get(base, len(underlyings) or 1)
    for number, first in enumerate(range(0, len(underlyings) or 1, max_underlyings), 1):
        yield base if number == 1 else f"{base}.{number}", underlyings[first : first + max_underlyings]

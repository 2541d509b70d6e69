"""The venues that dfmon can connect to, and the endpoints of their sources.

To add a venue, add its package here. Where a venue limits what one connection may carry, many underlyings are spread
over several: `okx`, `okx.2` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Final

from dfmon.model.errors import UsageError
from dfmon.model.events import Market
from dfmon.model.frames import ExpectedMarket
from dfmon.venues.protocol import Endpoint
from dfmon.venues.spec import Address, PollSettings, Source, VenueSpec

_PACKAGES: Final = ("deribit", "binance", "okx")

VENUES: Final[tuple[VenueSpec, ...]] = tuple(import_module(f"dfmon.venues.{name}.spec").SPEC for name in _PACKAGES)

SOURCES: Final[Mapping[str, tuple[VenueSpec, Source]]] = {
    source.name: (spec, source) for spec in VENUES for source in spec.sources
}


def find_source(name: str) -> tuple[VenueSpec, Source]:
    """The venue and the source of a connection: `okx.2` is of `okx`. Raises UsageError."""
    base = _base_source(name)
    if base is None:
        raise UsageError(f"no source {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[base]


def endpoint(
    name: str, underlyings: Sequence[str], address: Address | None = None, polls: PollSettings | None = None
) -> Endpoint:
    """One connection with a new protocol; `address` replaces the default one."""
    spec, source = find_source(name)
    address = address or source.address(spec.settings)
    protocol = source.protocol(underlyings, name, polls or PollSettings())
    return Endpoint(name, address.ws + protocol.path, address.rest, protocol, heartbeats=spec.heartbeats)


def endpoints(
    underlyings: Sequence[str],
    sources: Sequence[str] = tuple(SOURCES),
    addresses: Mapping[str, Address] | None = None,
    polls: PollSettings | None = None,
) -> list[Endpoint]:
    """The connections of each source, in the given order; `addresses` replaces the default ones.

    A source may be named by any of its connections, as in recordings: the underlyings decide how many there are.
    """
    bases = dict.fromkeys(_base_source(name) or name for name in sources)
    return [
        endpoint(name, group, (addresses or {}).get(base), polls)
        for base in bases
        for name, group in _split_underlyings(base, underlyings)
    ]


def options_title(sources: Sequence[str]) -> str:
    """The title of the options venue of these connections, of all of them where there are several."""
    titles = dict.fromkeys(spec.title for spec, _ in map(find_source, sources) if spec.lists_options)
    return " and ".join(titles)


def expected_markets(sources: Sequence[str]) -> tuple[ExpectedMarket, ...]:
    """The spot and perpetual markets that these connections bring for every underlying, ordered by venue and market."""
    books: set[tuple[str, Market]] = set()
    volumes: set[tuple[str, Market]] = set()
    for name in sources:
        if (base := _base_source(name)) is not None:
            spec, source = SOURCES[base]
            books |= {(spec.name, market) for market in source.books}
            volumes |= {(spec.name, market) for market in source.volumes}
    return tuple(ExpectedMarket(*key, key in books, key in volumes) for key in sorted(books | volumes))


def _base_source(name: str) -> str | None:
    stem, _, number = name.rpartition(".")
    return next((base for base in (name, stem if number.isdecimal() else "") if base in SOURCES), None)


def _split_underlyings(name: str, underlyings: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Names of a source's connections and the underlyings of each."""
    count = len(underlyings) or 1
    size = find_source(name)[1].max_underlyings or count
    for number, first in enumerate(range(0, count, size), 1):
        yield name if number == 1 else f"{name}.{number}", underlyings[first : first + size]

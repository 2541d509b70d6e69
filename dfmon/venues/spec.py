"""The description of a venue: its settings, its sources, and every fact about it that the program needs by name.

Each venue's package has a module `spec` with one `SPEC`; `registry` lists the packages. Configuration, connections,
watchdogs, demo and doctor read the specs and know no venue by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct

from dfmon.model.events import Market
from dfmon.venues.protocol import VenueProtocol

_PORT = r"(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|\d{1,4})"
_HOST = r"(\[[0-9A-Fa-f:.%]+\]|[^\s/:@\[\]?#]+)"  # an IPv6 address is in brackets
Url = Annotated[
    str,
    Meta(
        pattern=rf"^(wss?|https?)://([^\s/@]*@)?{_HOST}(:{_PORT})?(/\S*)?$",
        description="a URL with its scheme, such as wss://host:port/path, an IPv6 address in brackets",
    ),
]
Flag = Annotated[bool, Meta(description="true or false")]
Coins = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[A-Z0-9]{2,10}$")], ...],
    Meta(min_length=1, description="coin names in upper case, such as BTC"),
]


class VenueSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section of a venue in the configuration. A venue of spot and perpetuals adds its addresses to it."""

    enabled: Flag = True


class OptionsSettings(VenueSettings, frozen=True, kw_only=True):
    """Section of an options venue. The venue adds the defaults of the addresses, and its `coins` that have options."""

    coins: Coins
    websocket: Url
    rest: Url
    archive: Url
    archive_pace: Annotated[float, Meta(ge=0.1, le=200.0, description="calls a second from 0.1 to 200")] = 4.0
    backfill: Flag = True
    look_back_h: Annotated[float, Meta(ge=0.0, le=20_000.0, description="hours from 0 to 20000")] = 24.0
    summary_s: Annotated[float, Meta(ge=2.0, le=600.0, description="seconds from 2 to 600")] = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Base URLs of a source, without a trailing slash: websocket and REST."""

    ws: str
    rest: str


@dataclass(frozen=True, slots=True)
class PollSettings:
    """Interval of the REST polls of options, and how far back the first connection requests prints."""

    summary_s: float = 30.0
    look_back_s: float = 0.0


ProtocolFactory = Callable[[Sequence[str], str, PollSettings], VenueProtocol]  # underlyings, source, polls


@dataclass(frozen=True, slots=True)
class Source:
    """A connection of a venue, or several of them where one cannot carry all underlyings.

    `websocket_key` and `rest_key` are the keys of the venue's settings that have the base URLs. `time_path` is the REST
    path of the venue's clock. `max_weight_1m` is the request weight that the venue allows in a minute, if it counts
    one. `no_data_hint` ends the doctor's sentence about a connection without data. `books` and `volumes` are the
    markets whose book and 24 h volume it brings for every underlying.
    """

    name: str
    protocol: ProtocolFactory
    time_path: str
    websocket_key: str = "websocket"
    rest_key: str = "rest"
    max_underlyings: int | None = None
    max_weight_1m: int | None = None
    no_data_hint: str = ""
    books: tuple[Market, ...] = ()
    volumes: tuple[Market, ...] = ()

    def address(self, settings: VenueSettings) -> Address:
        return Address(getattr(settings, self.websocket_key), getattr(settings, self.rest_key))


@dataclass(frozen=True, slots=True)
class StatusCall:
    """REST path of the venue's status, and a function from the decoded body to what is locked, empty for nothing."""

    path: str
    locked: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class VenueSpec:
    """A venue. It is one of options if its settings are `OptionsSettings`, else one of spot and perpetuals.

    `name` is the section of the configuration, and `settings` its defaults. `heartbeats` are texts of frames that prove
    no more than a running process: heartbeats, responses, acknowledgements. `venue_ms` finds the time in the decoded
    response of a `time_path`. `max_connections` is the venue's limit for an IP address.
    """

    name: str
    title: str
    settings: VenueSettings
    sources: tuple[Source, ...]
    heartbeats: tuple[bytes, ...]
    venue_ms: Callable[[Any], float]
    status: StatusCall | None = None
    max_connections: int | None = None

    @property
    def lists_options(self) -> bool:
        return isinstance(self.settings, OptionsSettings)

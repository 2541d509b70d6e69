"""OKX: spot, linear and inverse swaps on one connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dfmon.model.events import Market
from dfmon.venues.okx.protocol import OkxProtocol
from dfmon.venues.spec import PollSettings, Source, Url, VenueSettings, VenueSpec


class OkxSettings(VenueSettings, frozen=True, kw_only=True):
    """Addresses of OKX."""

    websocket: Url = "wss://ws.okx.com:8443/ws/v5/public"
    rest: Url = "https://www.okx.com"


def _protocol(underlyings: Sequence[str], source: str, _polls: PollSettings) -> OkxProtocol:
    return OkxProtocol(underlyings, source)


SPEC: Final = VenueSpec(
    "okx",
    "OKX",
    OkxSettings(),
    # fewer than 30 books per connection are advised, and each underlying has two
    (
        Source(
            "okx",
            _protocol,
            time_path="/api/v5/public/time",
            max_underlyings=14,
            books=(Market.SPOT, Market.PERP),
            volumes=(Market.SPOT, Market.PERP),
        ),
    ),
    heartbeats=(b"pong", b'"event":'),
    venue_ms=lambda body: float(body["data"][0]["ts"]),
)

"""Deribit: the options venue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dfmon.model.events import Market
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.spec import Coins, OptionsSettings, PollSettings, Source, StatusCall, Url, VenueSpec


class DeribitSettings(OptionsSettings, frozen=True, kw_only=True):
    """Addresses and rates of Deribit. The archive has the same methods as REST, and every trade since the beginning."""

    coins: Coins = ("BTC", "ETH", "SOL", "XRP", "AVAX", "TRX")
    websocket: Url = "wss://www.deribit.com/ws/api/v2"
    rest: Url = "https://www.deribit.com/api/v2"
    archive: Url = "https://history.deribit.com/api/v2"


def _protocol(underlyings: Sequence[str], _source: str, polls: PollSettings) -> DeribitProtocol:
    return DeribitProtocol(underlyings, summary_s=polls.summary_s, look_back_s=polls.look_back_s)


def _locked(body: Any) -> str:
    result = body["result"]
    if str(result["locked"]).lower() == "false":
        return ""
    return str(result.get("locked_indices") or result.get("locked_currencies") or "everything")


SPEC: Final = VenueSpec(
    "deribit",
    "Deribit",
    DeribitSettings(),
    (Source(wire.SOURCE, _protocol, time_path="/public/get_time", volumes=(Market.PERP,)),),
    heartbeats=(b'"heartbeat"', b'"usOut"'),
    venue_ms=lambda body: float(body["result"]),
    status=StatusCall("/public/status", _locked),
    max_connections=32,
)

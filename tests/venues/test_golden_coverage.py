"""A golden frame for every channel a protocol asks for, and for every REST call it makes."""

import json
from collections.abc import Callable

import pytest

from dfmon.model.units import HOUR, SECOND
from dfmon.venues.protocol import VenueProtocol
from dfmon.venues.registry import SOURCES, endpoint
from tests.venues.test_damaged_frames import SESSIONS
from tests.venues.venue_golden import NOW, goldens

# `estimated_expiration_price.btc_usd` and all of its kind are one; so are the streams of two symbols.
KINDS: dict[str, Callable[[str], str]] = {"deribit": lambda channel: channel.split(".")[0], "okx": str}
UNCOVERED = {"gap", "before", "life"}  # answered with the pages of prints that "trades" has


def kind_of(source: str, channel: str) -> str:
    if source.startswith("binance"):
        return channel.partition("@")[2]
    return KINDS[source](channel)


def channels_requested(source: str, protocol: VenueProtocol) -> set[str]:
    if source.startswith("binance"):
        stream = protocol.path.partition("streams=")[2]
        return {kind_of(source, name) for name in stream.split("/")}
    kinds: set[str] = set()
    for text in protocol.data_to_send():
        request = json.loads(text) if text != "ping" else {}
        if request.get("method") == "public/subscribe":
            kinds |= {kind_of(source, name) for name in request["params"]["channels"]}
        elif request.get("op") == "subscribe":
            kinds |= {arg["channel"] for arg in request["args"]}
    return kinds


def channels_covered(source: str) -> set[str]:
    covered: set[str] = set()
    for golden in goldens(SESSIONS[source]):
        try:
            message = json.loads(golden.body)
        except ValueError:
            continue
        refused = any(kind == "Rejected" for kind, _ in golden.events)
        if golden.tag or refused or not isinstance(message, dict):
            continue
        name = (
            message.get("stream") or message.get("params", {}).get("channel") or message.get("arg", {}).get("channel")
        )
        if name:
            covered.add(kind_of(source, name))
    return covered


@pytest.mark.parametrize("source", SOURCES)
def test_every_channel_asked_for_has_a_golden_frame(source: str) -> None:
    protocol = endpoint(source, ("BTC", "ETH")).protocol
    protocol.connection_made(NOW)
    for golden in goldens(SESSIONS[source]):
        if golden.tag:
            golden.play(protocol)
    for second in range(0, HOUR // SECOND, 60):
        protocol.on_timer(NOW + second * SECOND)
    requested = channels_requested(source, protocol)
    assert requested
    assert requested - channels_covered(source) == set()


@pytest.mark.parametrize("source", SOURCES)
def test_every_call_has_a_golden_answer(source: str) -> None:
    protocol = endpoint(source, ("BTC", "ETH")).protocol
    protocol.connection_made(NOW)
    calls: set[str] = set()
    for golden in goldens(SESSIONS[source]):
        golden.play(protocol)
        calls |= {call.tag.partition(":")[0] for call in protocol.rest_calls()}
    for second in range(0, HOUR // SECOND, 60):
        protocol.on_timer(NOW + second * SECOND)
        calls |= {call.tag.partition(":")[0] for call in protocol.rest_calls()}
    covered = {golden.tag.partition(":")[0] for golden in goldens(SESSIONS[source]) if golden.tag}
    assert calls - covered - UNCOVERED == set()

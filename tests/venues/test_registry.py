import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dfmon.model.errors import UsageError
from dfmon.model.events import Market
from dfmon.model.frames import ExpectedMarket
from dfmon.venues import registry
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.registry import SOURCES, VENUES
from dfmon.venues.spec import Address, PollSettings, VenueSpec

FOLDER = Path(registry.__file__).parent


def test_every_source_has_an_address_and_answers_to_its_name() -> None:
    assert all(isinstance(spec, VenueSpec) for spec in VENUES)
    assert len(SOURCES) == sum(len(spec.sources) for spec in VENUES)
    for endpoint in registry.endpoints(["BTC", "ETH"]):
        assert endpoint.source == endpoint.protocol.source
        assert endpoint.url.startswith("wss://")
        assert endpoint.rest.startswith("https://")


def test_a_simulator_changes_addresses_and_nothing_else() -> None:
    at = Address("ws://127.0.0.1:9", "http://127.0.0.1:9")
    (public,) = registry.endpoints(["BTC"], ["binance.public"], {"binance.public": at})
    assert public.url == "ws://127.0.0.1:9/public/stream?streams=btcusdt@depth@100ms"
    assert public.rest == "http://127.0.0.1:9"


def test_many_underlyings_are_spread_over_as_many_connections_as_the_venues_advise() -> None:
    coins = [f"C{number:03d}" for number in range(30)]
    made = {endpoint.source: endpoint for endpoint in registry.endpoints(coins)}
    assert [name for name in made if name.startswith("okx")] == ["okx", "okx.2", "okx.3"]
    assert list(made)[:4] == ["deribit", "binance.spot", "binance.public", "binance.market"]
    books = []
    for name, endpoint in made.items():
        assert endpoint.protocol.source == name
        if name.startswith("okx"):
            endpoint.protocol.connection_made(1)
            (request,) = endpoint.protocol.data_to_send()
            mine = [arg["instId"] for arg in json.loads(request)["args"] if arg["channel"] == "books"]
            assert len(mine) < 30
            books += mine
        if name.startswith("binance"):
            assert endpoint.url.count("@") - endpoint.url.count("@100ms") <= 1024
            assert len(endpoint.url) < 8_000
    assert sorted(books) == sorted(f"{coin}-{tail}" for coin in coins for tail in ("USDT", "USDT-SWAP"))


def test_a_recording_names_its_connections_and_gets_the_same_ones() -> None:
    coins = [f"C{number:03d}" for number in range(70)]
    live = [endpoint.source for endpoint in registry.endpoints(coins, ["binance.spot", "okx"])]
    assert [endpoint.source for endpoint in registry.endpoints(coins, live)] == live
    assert live[:2] == ["binance.spot", "binance.spot.2"]


def test_protocols_are_not_shared() -> None:
    assert registry.endpoint("okx", ["BTC"]).protocol is not registry.endpoint("okx", ["BTC"]).protocol


def test_the_pace_reaches_the_protocol() -> None:
    protocol = registry.endpoint("deribit", ["BTC"], polls=PollSettings(summary_s=10)).protocol
    assert isinstance(protocol, DeribitProtocol)
    assert protocol._schedule._summary_interval_ns == 10 * 10**9


def test_an_unknown_source_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="no source 'mtgox'; there are deribit, "):
        registry.endpoint("mtgox", ["BTC"])


@pytest.mark.slow
def test_protocols_load_no_network_library() -> None:
    code = (
        "import sys, dfmon.venues.deribit.protocol, dfmon.venues.binance.protocol, dfmon.venues.okx.protocol\n"
        "print([name for name in ('asyncio', 'websockets', 'httpx', 'logging', 'random') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert not {"websockets", "httpx"} & set(loaded)


@pytest.mark.parametrize(
    "path",
    [path for venue in ("binance", "deribit", "okx") for path in sorted((FOLDER / venue).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(FOLDER)),
)
def test_decoders_read_no_clock(path: Path) -> None:
    called = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not called & {"utcnow", "today", "time_ns", "monotonic", "now"}


def test_the_markets_of_the_connections_are_expected_once_each() -> None:
    names = ("deribit", "binance.spot", "binance.public", "binance.market", "okx", "okx.2", "board")
    rows = [(m.venue, m.market.value, m.has_book, m.has_volume) for m in registry.expected_markets(names)]
    assert rows == [
        ("binance", "perp", True, True), ("binance", "spot", True, True), ("deribit", "perp", False, True),
        ("okx", "perp", True, True), ("okx", "spot", True, True),
    ]  # fmt: skip
    assert registry.expected_markets(["binance.public"]) == (ExpectedMarket("binance", Market.PERP, True, False),)
    assert registry.expected_markets([]) == ()

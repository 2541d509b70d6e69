import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dfmon.model.errors import UsageError
from dfmon.venues import registry
from dfmon.venues.registry import ADDRESSES, FACTORIES, Address, Pace

VENUES = Path(registry.__file__).parent


def test_every_source_has_an_address_and_answers_to_its_name():
    assert set(ADDRESSES) == set(FACTORIES)
    for endpoint in registry.endpoints(["BTC", "ETH"]):
        assert endpoint.source == endpoint.protocol.source
        assert endpoint.url.startswith("wss://")
        assert endpoint.rest.startswith("https://")


def test_a_simulator_changes_addresses_and_nothing_else():
    at = Address("ws://127.0.0.1:9", "http://127.0.0.1:9")
    (public,) = registry.endpoints(["BTC"], ["binance.public"], {"binance.public": at})
    assert public.url == "ws://127.0.0.1:9/public/stream?streams=btcusdt@depth@100ms"
    assert public.rest == "http://127.0.0.1:9"


def test_protocols_are_not_shared():
    assert registry.endpoint("okx", ["BTC"]).protocol is not registry.endpoint("okx", ["BTC"]).protocol


def test_the_pace_reaches_the_protocol():
    protocol = registry.endpoint("deribit", ["BTC"], pace=Pace(summary_s=10)).protocol
    assert protocol._schedule._every == 10 * 10**9


def test_an_unknown_source_is_named_with_those_there_are():
    with pytest.raises(UsageError, match="no source 'mtgox'; there are deribit, "):
        registry.endpoint("mtgox", ["BTC"])


def test_protocols_load_no_network_library():
    code = (
        "import sys, dfmon.venues.deribit.protocol, dfmon.venues.binance.protocol, dfmon.venues.okx.protocol\n"
        "print([name for name in ('asyncio', 'websockets', 'httpx', 'logging', 'random') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert not {"websockets", "httpx"} & set(loaded)


@pytest.mark.parametrize("path", sorted(VENUES.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_decoders_read_no_clock(path: Path):
    called = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not called & {"utcnow", "today", "time_ns", "monotonic", "now"}

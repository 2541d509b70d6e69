"""No websocket can be opened: Deribit's board is polled over REST, says so, and goes back to streams."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.events import FeedState, FeedStatus, IndexPrice
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.sim.server import SimConfig, SimServer
from dfmon.venues import connection
from dfmon.venues.deribit import rest_poller as module
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.protocol import Endpoint
from dfmon.venues.rest.client import RestClient
from dfmon.venues.transport.base import FrameHandler, Headers, Socket
from dfmon.venues.transport.opener import choose_opener
from tests.event_types import of_type
from tests.venues.venue_golden import NOW, body


def index(price: float) -> bytes:
    return body({"jsonrpc": "2.0", "result": {"index_price": price}, "usOut": NOW // 1000})


def poll_tags(protocol: DeribitProtocol, *seconds: int) -> list[str]:
    for second in seconds:
        protocol.on_timer(NOW + second * SECOND)
    return [call.tag for call in protocol.rest_calls()]


def test_the_first_poll_is_ten_seconds_after_the_loss_and_asks_for_everything() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.connection_lost("connection refused")
    assert poll_tags(protocol, *range(10)) == []
    assert poll_tags(protocol, 10) == [
        "instruments:BTC:option", "instruments:BTC:future", "futures:BTC", "index:btc_usd", "volatility:BTC"
    ]  # fmt: skip
    status, price = protocol.response_received("index:btc_usd", index(90_000.0))
    assert status == FeedStatus("deribit", FeedState.SYNCING, "by REST alone, every 10 s: connection refused")
    assert price == IndexPrice("deribit", "BTC", 90_000.0, NOW)
    protocol.response_received("instruments:BTC:option", body({"result": []}))
    protocol.rest_calls()
    assert "index:btc_usd" in poll_tags(protocol, 20)
    (status,) = of_type(FeedStatus, protocol.connection_lost("HTTP 403"))
    assert status.reason.endswith(": HTTP 403")
    assert status.state is FeedState.SYNCING, "a failed attempt does not take away what REST brings"


def test_where_rest_fails_too_the_feed_is_down_and_nothing_piles_up() -> None:
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=60.0)
    protocol.connection_lost("connection refused")
    poll_tags(protocol, 0, 10)
    protocol.response_received("index:btc_usd", index(90_000.0))
    poll_tags(protocol, 20)
    (down,) = of_type(FeedStatus, protocol.response_received("index:btc_usd", b""))
    assert (down.state, down.reason) == (FeedState.DOWN, "connection refused")
    for second in range(30, 4000, 10):
        for tag in poll_tags(protocol, second):
            protocol.response_received(tag, b"")
    assert len(protocol._rest._pending) < 10
    assert len(protocol.data_to_send()) == 0


@pytest.mark.slow
async def test_the_board_lives_by_rest_and_goes_back_to_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_INTERVAL_S", 0.2)
    exchange = SimServer(SimConfig(currencies=("BTC",), history=0.02))
    at = await exchange.start()
    blocked = True
    snapshots: list[FlowSnapshot] = []
    protocol = DeribitProtocol(("BTC",), linear=False, look_back_s=3600.0)
    driver = Driver(("BTC",), FlowParams(), {"deribit": protocol}, snapshots.append, options_sources=("deribit",))

    async def opening(url: str, headers: Headers, on_frame: FrameHandler) -> Socket:
        if blocked:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await choose_opener()(url, headers, on_frame)

    async def short_pause(stop: asyncio.Event, seconds: float) -> None:
        await asyncio.sleep(0.05)

    async def until(predicate: Callable[[FlowSnapshot], object]) -> FlowSnapshot:
        async with asyncio.timeout(30):
            while True:
                driver.request_tick(time.time_ns())
                if predicate(snapshots[-1]):
                    return snapshots[-1]
                await asyncio.sleep(0.05)

    stop = asyncio.Event()
    async with RestClient(pace_s=0.01) as rest:
        endpoint = Endpoint("deribit", at["deribit"].ws, at["deribit"].rest, protocol)
        run_coroutine = connection.run(
            endpoint, driver, rest, time.time_ns, stop, transport=opening, pause=short_pause, tick_s=0.05
        )
        task = asyncio.create_task(run_coroutine)
        snapshot = await until(lambda s: s.metrics.ngi.value is not None and s.spot)
        assert snapshot.feeds[0].state == "live"
        assert "by REST alone" in snapshot.feeds[0].note
        assert "name not found" in snapshot.feeds[0].note
        assert snapshot.feeds[0].reconnects == 1, "one loss, however often a new connection fails"
        snapshot = await until(lambda s: s.context.dvol is not None and s.context.funding is not None)
        snapshot = await until(lambda s: s.feeds[0].greeks_checked > 1)
        assert snapshot.feeds[0].greeks_differing == 0
        spot = snapshot.spot
        await until(lambda s: s.spot != spot)
        blocked = False
        await until(lambda s: s.context.dvol is not None and s.feeds[0].state == "live" and not s.feeds[0].note)
        stop.set()
        await task
    await exchange.stop()

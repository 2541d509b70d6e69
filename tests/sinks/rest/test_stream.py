"""`/v1/stream` as a websocket and as server-sent events: topics, resumption, slow readers, pages of other sites."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import UNSET
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dfmon.engine.hub import SnapshotHub
from dfmon.model.errors import DfmonError
from dfmon.model.scenario import ScenarioChange
from dfmon.model.snapshot import Alert, Detail, FlowSnapshot, from_json, to_json
from dfmon.model.units import MILLISECOND, SECOND
from dfmon.sinks.base import HubListener, SinkProgress
from dfmon.sinks.events import Event, Print
from dfmon.sinks.rest import messages
from dfmon.sinks.rest.messages import Message, MessageLog, Subscriber
from dfmon.sinks.rest.past_events import PastEvent
from dfmon.sinks.rest.rest_service import RestService
from dfmon.sinks.rest.settings import RestSettings
from tests.sinks.factory import START_NS, snapshot, wait_until
from tests.sinks.rest.conftest import Serve
from tests.structs import complete

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-some-length"


class TableReader:
    """Reads events off the tables of snapshots that no engine made; those of the engine: tests/sinks/test_events.py."""

    def __init__(self, session: str) -> None:
        self._seen: set[bytes] | None = None

    def read(self, snapshot: FlowSnapshot) -> list[Event]:
        assert snapshot.tables is not UNSET
        found = [
            *(Event("", 0, "scenario", "", "", scenario=each) for each in reversed(snapshot.tables.transitions)),
            *(Event("", 0, "alert", "", "", alert=each) for each in reversed(snapshot.tables.alerts)),
            *(Event("", 0, "print", "", "", print=each) for each in PRINTS.get(snapshot.seq, ())),
        ]
        keys = {msgspec.json.encode(event) for event in found}
        new = [] if self._seen is None else [e for e in found if msgspec.json.encode(e) not in self._seen]
        self._seen = keys
        return new


PRINTS = {7: (complete(Print, name="BTC-7"),)}


@pytest.fixture(autouse=True)
def _tables_have_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "EventReader", TableReader)


def change(number: int) -> ScenarioChange:
    return complete(ScenarioChange, ts=f"time {number}", model="flow", before="PIN", after=f"bucket {number}")


def alert(number: int, underlying: str = "BTC") -> Alert:
    return Alert(START_NS + number, "FLIP", f"alert {number}", underlying, "flow", "spot")


def with_events(
    seq: int, changes: int = 0, alerts: int = 0, underlying: str = "BTC", *, strikes: int = 1
) -> FlowSnapshot:
    """A snapshot whose logs have so many events, the newest first."""
    detail = complete(
        Detail,
        transitions=tuple(change(n) for n in range(changes, 0, -1)),
        alerts=tuple(alert(n, underlying) for n in range(alerts, 0, -1)),
    )
    return msgspec.structs.replace(snapshot(seq, underlying, strikes=strikes), tables=detail)


def plain(event: Alert | ScenarioChange) -> Any:
    """The event as a client reads it."""
    return json.loads(msgspec.json.encode(event))


def websocket(service: RestService, query: str = "", **options: Any) -> connect:
    return connect(f"ws://127.0.0.1:{service.port}/v1/stream{query}", proxy=None, max_size=None, **options)


async def receive(client: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
        message: dict[str, Any] = json.loads(await client.recv())
        return message


async def test_a_websocket_has_each_snapshot_change_and_alert_in_order(hub: SnapshotHub, service: RestService) -> None:
    hub.publish(with_events(1, changes=2, alerts=2))
    async with websocket(service) as client:
        first = await receive(client)
        assert (first["topic"], first["underlying"]) == ("snapshot", "BTC")  # what was before is no news
        assert first["data"] == json.loads(to_json(with_events(1), "live"))
        hub.publish(with_events(2, changes=4, alerts=3))
        found = [await receive(client) for _ in range(4)]
    assert [each["topic"] for each in found] == ["scenario", "scenario", "alert", "snapshot"]
    numbers = [each["seq"] for each in (first, *found)]
    assert numbers == sorted(set(numbers))
    assert found[0]["data"] == plain(change(3))
    assert found[1]["data"] == plain(change(4))
    assert found[2]["data"] == plain(alert(3))
    assert found[3]["data"]["seq"] == 2


async def test_topics_and_the_underlying_are_chosen(hub: SnapshotHub, service: RestService) -> None:
    for name in ("BTC", "ETH"):
        hub.publish(with_events(1, underlying=name))
    async with (
        websocket(service, "?topics=scenario") as changes,
        websocket(service, "?topics=alert,scenario&currency=eth") as of_eth,
        websocket(service, "?topics=snapshot&currency=ETH&detail=true") as detailed,
    ):
        await receive(detailed)
        await wait_until(lambda: service.connections.requests.streams == 3)
        hub.publish(with_events(2, changes=1, alerts=1))
        hub.publish(with_events(2, changes=1, alerts=1, underlying="ETH"))
        assert [(await receive(changes))["underlying"] for _ in range(2)] == ["BTC", "ETH"]
        assert [(await receive(of_eth))["topic"] for _ in range(2)] == ["scenario", "alert"]
        message = await receive(detailed)
    assert from_json(json.dumps(message["data"]).encode()) == msgspec.structs.replace(
        with_events(2, 1, 1, "ETH"), state="live"
    )


async def test_prints_are_a_topic_that_is_asked_for(hub: SnapshotHub, service: RestService) -> None:
    hub.publish(with_events(1))
    async with websocket(service, "?topics=print") as prints, websocket(service) as others:
        await receive(others)
        hub.publish(with_events(7))
        found = await receive(prints)
        assert (found["topic"], found["data"]["name"]) == ("print", "BTC-7")
        assert (await receive(others))["topic"] == "snapshot"


async def test_a_client_that_returns_gets_the_events_that_it_missed(hub: SnapshotHub, service: RestService) -> None:
    hub.publish(with_events(1))
    async with websocket(service) as client:
        last = (await receive(client))["seq"]
    hub.publish(with_events(2, changes=1))
    hub.publish(with_events(3, changes=2, alerts=1))
    async with websocket(service, f"?since={last}") as client:
        found = [await receive(client) for _ in range(4)]
    assert [each["topic"] for each in found] == ["scenario", "scenario", "alert", "snapshot"]
    numbers = [last, *(each["seq"] for each in found)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        (1, "dfmon has started again since that message"),
        (1 << 60, "that number is not known here"),
    ],
)
async def test_a_number_of_another_run_is_a_gap(
    hub: SnapshotHub, service: RestService, since: int, reason: str
) -> None:
    hub.publish(with_events(1))
    async with websocket(service, f"?since={since}") as client:
        gap, newest = await receive(client), await receive(client)
    assert (gap["topic"], gap["data"]) == ("gap", {"missing": None, "reason": reason})
    assert newest["topic"] == "snapshot"


def stored(underlying: str, model: str, since_ns: int, until_ns: int) -> list[PastEvent]:
    """Three changes and an alert of each underlying, a second apart, the last 5 s before `until_ns`."""
    times = [until_ns - age * SECOND for age in (8, 7, 6)]
    events = [PastEvent(ts_ns, change(number)) for number, ts_ns in enumerate(times)]
    events.append(PastEvent(until_ns - 5 * SECOND, alert(0, underlying)))
    return [event for event in events if event.ts_ns >= since_ns]


async def test_after_a_restart_a_client_gets_what_the_history_has_since_its_message(
    hub: SnapshotHub, serve: Serve
) -> None:
    for name in ("BTC", "ETH"):
        hub.publish(with_events(1, underlying=name))
    service = await serve(past_events=stored)
    async with websocket(service) as client:
        last = (await receive(client))["seq"]
    seen = last - 16_500  # 16.5 s ago, so that the overlap of 10 s ends between the first two changes
    async with websocket(service, f"?since={seen}&topics=scenario,alert,snapshot") as client:
        gap, *found = [await receive(client) for _ in range(11)]
    reason = "dfmon has started again since that message; the scenario changes and alerts of its history follow"
    assert (gap["topic"], gap["data"]) == ("gap", {"missing": None, "reason": reason})
    assert [each["topic"] for each in found] == ["scenario"] * 6 + ["alert"] * 2 + ["snapshot"] * 2
    assert {each["underlying"] for each in found[:2]} == {"BTC", "ETH"}
    assert found[0]["data"] == plain(change(0))
    numbers = [gap["seq"], *(each["seq"] for each in found)]
    assert numbers == sorted(set(numbers))
    async with websocket(service, f"?since={found[5]['seq']}&topics=alert&currency=ETH") as client:
        gap, again = await receive(client), await receive(client)
    assert again["data"] == plain(alert(0, "ETH"))


async def test_a_history_that_cannot_be_read_is_said_in_the_gap(hub: SnapshotHub, serve: Serve) -> None:
    def fails(*_: object) -> list[PastEvent]:
        raise DfmonError("it is locked")

    hub.publish(with_events(1))
    service = await serve(past_events=fails)
    async with websocket(service, "?since=1") as client:
        gap = await receive(client)
    assert gap["data"]["reason"] == (
        "dfmon has started again since that message, and its history cannot be read: it is locked"
    )


async def test_events_that_are_not_kept_any_more_are_a_gap(hub: SnapshotHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "RETAINED", 5)
    log = MessageLog(HubListener(hub), SinkProgress(), lambda: 100 * MILLISECOND)
    hub.publish(with_events(1))
    for seq in range(2, 11):
        hub.publish(with_events(seq, changes=seq))
    subscriber = Subscriber(log, frozenset({"scenario"}), None, since=101)
    received = await take(subscriber, 6)
    assert received[0].content == messages.Gap(None, "the last 5 events of each topic are there")
    assert [each.content for each in received[1:]] == [change(number) for number in range(6, 11)]
    assert [each.seq for each in received] == sorted(each.seq for each in received)


async def take(subscriber: Subscriber, count: int) -> list[Message]:
    found: list[Message] = []
    async for message in subscriber.messages(asyncio.Event()):
        assert message is not None
        found.append(message)
        if len(found) == count:
            break
    return found


async def test_a_slow_websocket_misses_snapshots_and_no_event(hub: SnapshotHub, service: RestService) -> None:
    hub.publish(with_events(0))
    async with websocket(service, max_queue=1) as client:
        await receive(client)
        seq = 0
        async with asyncio.timeout(60):
            while service.progress.dropped < 20:
                seq += 1
                hub.publish(with_events(seq, changes=seq, strikes=3000))
                await asyncio.sleep(0)
        last = seq + 1
        hub.publish(with_events(last, changes=last))
        found: list[dict[str, Any]] = []
        while not found or found[-1]["data"].get("seq") != last:
            found.append(await receive(client))
    snapshots = [each for each in found if each["topic"] == "snapshot"]
    changes = [each["data"]["after"] for each in found if each["topic"] == "scenario"]
    assert changes == [f"bucket {number}" for number in range(1, last + 1)]
    assert len(snapshots) < last - 15
    assert [each["seq"] for each in found] == sorted(each["seq"] for each in found)


async def test_a_client_that_reads_too_little_is_told_what_it_misses(
    hub: SnapshotHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_UNREAD", 3)
    log = MessageLog(HubListener(hub), SinkProgress())
    hub.publish(with_events(1))
    subscriber = Subscriber(log, frozenset({"scenario"}), None, None)
    stream = subscriber.messages(asyncio.Event())
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for number in range(2, 9):
        hub.publish(with_events(number, changes=number))
    received = [await waiting, *[await anext(stream) for _ in range(3)]]
    await stream.aclose()
    gap = received[0]
    assert gap is not None
    assert gap.content == messages.Gap(5, "of events up to 3 wait for a client that reads slowly")
    assert [each.content for each in received[1:] if each is not None] == [change(n) for n in (6, 7, 8)]


async def test_server_sent_events_have_the_topic_and_the_number(hub: SnapshotHub, client: httpx.AsyncClient) -> None:
    hub.publish(with_events(1))
    async with client.stream("GET", "/v1/stream") as response:
        lines = response.aiter_lines()
        first = await event(lines)
        hub.publish(with_events(2, changes=1))
        second = await event(lines)
        await lines.aclose()  # type: ignore[attr-defined]
    assert (first["event"], second["event"]) == ("snapshot", "scenario")
    assert int(second["id"]) > int(first["id"])
    headers = {"Last-Event-ID": first["id"]}  # of a browser that returns
    async with client.stream("GET", "/v1/stream?topics=scenario", headers=headers) as response:
        lines = response.aiter_lines()
        assert await event(lines) == second
        await lines.aclose()  # type: ignore[attr-defined]


async def event(lines: AsyncIterator[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    async for line in lines:
        if not line:
            return fields
        name, _, value = line.partition(": ")
        fields[name] = value
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?topics=prices", "topics: 'prices' is none; allowed: snapshot, scenario, alert, print"),
        ("?topic=alert", "unknown query name topic, allowed: currency, detail, since, topics"),
        ("?currency=XRP", "No underlying 'XRP' here; there is BTC."),
        ("?since=-1", "since is '-1': input should be greater than or equal to 0"),
    ],
)
async def test_a_websocket_that_asks_for_nothing_known_is_refused_in_a_sentence(
    hub: SnapshotHub, service: RestService, query: str, sentence: str
) -> None:
    hub.publish(with_events(1))
    with pytest.raises(InvalidStatus) as refused:
        async with websocket(service, query):
            pass
    assert refused.value.response.status_code in (404, 422)
    assert json.loads(refused.value.response.body or b"") == {"detail": sentence}


async def test_a_page_of_another_site_may_not_open_a_websocket(hub: SnapshotHub, serve: Serve) -> None:
    """CORS does not hold for websockets, and the browser sends the Host of this machine."""
    hub.publish(with_events(1))
    service = await serve(RestSettings(origins=("https://desk.example",)))
    for origin in (f"http://127.0.0.1:{service.port}", "https://desk.example", None):
        async with websocket(service, origin=origin) as client:
            assert (await receive(client))["topic"] == "snapshot"
    for other in ("https://evil.example", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with websocket(service, origin=other):
                pass
        assert refused.value.response.status_code == 403


async def test_a_websocket_needs_the_token_too(hub: SnapshotHub, serve: Serve) -> None:
    hub.publish(with_events(1))
    service = await serve(RestSettings(TOKEN))
    basic = base64.b64encode(f":{TOKEN}".encode()).decode()
    for credentials in (f"Bearer {TOKEN}", f"Basic {basic}"):
        async with websocket(service, additional_headers={"Authorization": credentials}) as client:
            assert (await receive(client))["topic"] == "snapshot"
    for wrong in ({}, {"Authorization": "Bearer wrong-token-of-length"}):
        with pytest.raises(InvalidStatus) as refused:
            async with websocket(service, additional_headers=wrong):
                pass
        assert refused.value.response.status_code == 401
    assert service.connections.requests.refused == {"token": 2}


async def test_messages_of_a_client_are_dropped_and_large_ones_end_it(hub: SnapshotHub, service: RestService) -> None:
    hub.publish(with_events(1))
    async with websocket(service) as client:
        await receive(client)
        for _ in range(50):
            await client.send("subscribe to everything")
        hub.publish(with_events(2))
        assert (await receive(client))["data"]["seq"] == 2
        await client.send("x" * 5_000)
        with pytest.raises(ConnectionClosed):
            await receive(client)
    await wait_until(lambda: not list(service.connections) and not service.connections.requests.streams)


async def test_websockets_end_with_the_service(hub: SnapshotHub, service: RestService, stop: asyncio.Event) -> None:
    hub.publish(with_events(1))
    async with websocket(service) as client:
        await receive(client)
        stop.set()
        with pytest.raises(ConnectionClosed) as ended:
            await receive(client)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code in (1001, 1012)
    await wait_until(lambda: service.progress.state == "off")

"""Events of a session on the simulated exchange against what its driver and its snapshots had."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from dfmon.core.step import FlowParams
from dfmon.engine.driver import Driver
from dfmon.model.events import OptionTrade
from dfmon.model.snapshot import Alert, FlowSnapshot
from dfmon.model.units import iso
from dfmon.sinks.base import new_session
from dfmon.sinks.events import Event, EventReader
from dfmon.venues.registry import expected_markets, options_title
from tests.simulated_session import SimulatedSession
from tests.sinks.factory import snapshot
from tests.sinks.rest.conftest import computed

__all__ = ["computed"]


@pytest.mark.slow
def test_each_print_change_and_alert_of_a_session_is_one_event() -> None:
    session, reader = SimulatedSession(("BTC",)), EventReader("s")
    prints: list[OptionTrade] = []
    events: list[Event] = []
    snapshots: list[FlowSnapshot] = []

    def on_snapshot(published: FlowSnapshot) -> None:
        snapshots.append(published.without_views())
        events.extend(reader.read(published))

    decoders = session.decoders()
    driver = Driver(
        ("BTC",), FlowParams(), decoders, on_snapshot,
        on_trade=lambda event: prints.append(event) if isinstance(event, OptionTrade) else None,
        options_sources=("deribit",), expected_markets=expected_markets(tuple(decoders)),
        options_venue=options_title(tuple(decoders)),
    )  # fmt: skip

    def each_second(now_ns: int) -> None:
        second = len(snapshots)
        if second == 20:
            driver.lost("okx", now_ns, "connection broken off")
            for later in (1, 2, 3):  # the outage grows older from tick to tick
                driver.request_tick(now_ns + later * 1_000_000)
        if second == 23:
            driver.connected("okx", now_ns)

    asyncio.run(session.run(driver, 30.0, each_second))
    assert [event.number for event in events] == list(range(1, len(events) + 1)) == list(range(1, reader.count + 1))
    found = [event.print for event in events if event.print is not None]
    assert found
    expected = {(trade.name, trade.seq): (iso(trade.exch_ns), trade.size, trade.price) for trade in prints}
    assert {(p.name, p.seq): (p.ts, p.size, p.price) for p in found} == expected
    assert len(found) == len(expected)
    alerts = [event.alert for event in events if event.alert is not None]
    outage = [alert for alert in alerts if alert.kind == "FEED"]
    assert [alert.text.partition(" lost for ")[0] for alert in outage[:1]] == ["okx"]
    assert len(outage) == 2  # lost, and back
    assert msgspec.json.decode(msgspec.json.encode(events[0]), type=Event) == events[0]


def test_an_alert_of_a_rule_is_an_event_once(computed: FlowSnapshot) -> None:
    reader = EventReader("s")
    reader.read(computed)
    alert = Alert(computed.ts_ns, "RULE", "BTC high: spot 90,000", "BTC", "", "high")
    found = [event.alert for _ in range(2) for event in reader.read(replace(computed, rule_alerts=(alert,)))]
    assert [each for each in found if each is not None and each.kind == "RULE"] == [alert]


def test_a_snapshot_of_another_process_has_no_events() -> None:
    assert EventReader("s").read(snapshot(1)) == []


def test_sessions_have_names_of_their_own_in_order() -> None:
    names = [new_session() for _ in range(50)]
    assert len(set(names)) == 50
    assert [name[:12] for name in names] == sorted(name[:12] for name in names)


def test_an_event_has_the_member_of_its_kind_alone() -> None:
    event = Event("s", 3, "alert", "t", "BTC", alert=Alert(0, "SCENE", "x"))
    tree: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    assert set(tree) == {"session", "number", "kind", "ts", "underlying", "alert"}
    assert event.id == "s-3"

"""What the screen notes is said without it: once in the log when it begins and ends, in /healthz, in the exit code."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from dfmon.aio import STOP_SIGNALS
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import Feed
from dfmon.replay import ReplaySession, open_source
from dfmon.runtime import composition
from dfmon.runtime.composition import Outputs
from dfmon.runtime.conditions import (
    HOLD_S,
    START_S,
    ConditionLog,
    FeedCheck,
    GrowthCheck,
    StalenessCheck,
    sink_conditions,
)
from dfmon.runtime.runner import run_headless
from dfmon.sinks.base import SinkStatus
from dfmon.sinks.rest.responses import SinkHealth
from dfmon.sinks.rest.rest_service import create_app
from dfmon.store.segment_files import SegmentFiles
from tests import live_sessions
from tests.sinks import factory
from tests.structs import complete


@pytest.fixture(autouse=True)
def restore_log_and_signals() -> Iterator[None]:
    root = logging.getLogger("dfmon")
    saved = root.handlers[:], root.level, root.propagate
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    root.handlers[:], root.propagate = [], True
    yield
    root.handlers[:], root.level, root.propagate = saved
    for number, handler in handlers.items():
        signal.signal(number, handler)


def feed(state: str, note: str = "", name: str = "deribit", rejected: int = 0) -> Feed:
    return complete(Feed, name=name, state=state, note=note, rejected=rejected)


def test_a_condition_is_logged_once_when_it_begins_and_once_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    conditions = ConditionLog(lambda: now)
    texts = ["connection refused; next try in 3 s", "connection refused; next try in 5 s"]
    with caplog.at_level(logging.INFO, "dfmon"):
        for now in range(30):
            conditions.update({"feed okx": texts[now % 2]} if now % 4 else {})  # flaps
        for now in range(30, 90):  # noqa: B007 - read by the clock
            conditions.update({})
    assert [record.getMessage() for record in caplog.records] == [
        f"feed okx: {texts[1]}",
        "feed okx: over after 0:00:28",
    ]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert HOLD_S < 30


def test_conditions_of_feeds_and_sinks() -> None:
    feeds = [
        feed("connecting"), feed("syncing", "subscribing"), feed("live"), feed("down", "name not found"),
        feed("slow", "", "okx"), feed("live", "REST: HTTP 500", "binance.spot"),
        feed("syncing", "by REST alone: x", "b"),
    ]  # fmt: skip
    now = 0.0
    check = FeedCheck(lambda: now)
    assert dict(check.conditions(feeds)) == {
        "feed deribit": "down, name not found",
        "feed okx (slow)": "no data for a while",
        "feed binance.spot (live)": "REST: HTTP 500",
        "feed b (by REST)": "by REST alone: x",
    }
    now = START_S
    late = [feed("syncing", "waiting for data", "new"), feed("connecting"), feed("connecting", "", "okx")]
    assert dict(check.conditions(late)) == {"feed deribit": "down, name not found"}  # until it has data
    now = 2 * START_S
    assert dict(check.conditions([late[0], feed("live"), late[2]])) == {
        "feed new (syncing)": "waiting for data",
        "feed okx (connecting)": "no data yet",
    }
    assert not dict(check.conditions([feed("connecting")]))
    left_out = [dict(check.conditions([feed("live", rejected=count)])) for count in (2, 2, 3)]
    assert [len(conditions) for conditions in left_out] == [1, 0, 1]
    assert left_out[2] == {"feed deribit (unreadable)": "3 messages or rows left out so far"}
    statuses = [SinkStatus("redis", state, 0, 0, "OOM") for state in ("off", "connecting", "sending", "refused")]
    assert dict(sink_conditions(statuses)) == {"sink redis": "refused, OOM"}
    full = SinkStatus("redis", "away", 0, 0, "no route", "events cannot be spilled: full")
    expected = {"sink redis": "away, no route", "spill of redis": "events cannot be spilled: full"}
    assert dict(sink_conditions([full])) == expected


def test_an_underlying_is_stale_after_it_was_fresh() -> None:
    check = StalenessCheck()
    stale, fresh = factory.snapshot(1, state="stale"), factory.snapshot(2)
    assert not dict(check.conditions([stale]))
    assert not dict(check.conditions([fresh]))
    assert list(dict(check.conditions([stale]))) == ["BTC stale"]


def test_counts_that_grow() -> None:
    growth = GrowthCheck()
    assert [growth.has_grown("x", count) for count in (0, 2, 2, 3)] == [False, True, False, True]


async def test_healthz_is_degraded_with_its_reasons() -> None:
    hub = SnapshotHub(mode="live")
    app = create_app(hub)
    hub.publish(factory.snapshot(1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        hub.runtime = dataclasses.replace(hub.runtime, degraded=("recording: paused",))
        response = await client.get("/healthz")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["degraded"] == ["recording: paused"]


def test_health_has_every_field_of_a_sink() -> None:
    assert SinkHealth.__struct_fields__ == SinkStatus.__struct_fields__


@pytest.mark.slow
async def test_a_full_disk_is_said_in_log_health_and_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with live_sessions.exchange(0.0) as config:
        record = msgspec.structs.replace(config.record, directory=str(tmp_path / "r"))
        config = msgspec.structs.replace(config, record=record)
        session = composition.live_session(config, "sim", Outputs((), None), live_sessions.raise_error)
        stop = asyncio.Event()
        monkeypatch.setattr(SegmentFiles, "append_rows", full)
        with caplog.at_level(logging.INFO, "dfmon"):
            task = asyncio.create_task(session.run(stop))
            await live_sessions.until(lambda: any("recording" in text for text in session.hub.runtime.degraded))
            stop.set()
            await task
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("recording")]
    assert len(said) == 1
    assert "no space left on device" in said[0]
    assert session.losses[0].startswith("the recording lacks ")


def test_a_loss_is_the_exit_code(caplog: pytest.LogCaptureFixture) -> None:
    class Lossy:
        hub = SnapshotHub()
        losses: tuple[str, ...] = ("the recording lacks 7 records",)

        async def run(self, stop: asyncio.Event) -> None: ...
        def submit(self, request: object) -> None: ...

    with caplog.at_level(logging.INFO, "dfmon"):
        assert run_headless(Lossy(), Outputs((), None)) == 1
    assert "the recording lacks 7 records" in caplog.text
    Lossy.losses = ()
    assert run_headless(Lossy(), Outputs((), None)) == 0


async def test_a_headless_replay_ends_with_its_source(tmp_path: Path) -> None:
    from dfmon.core.step import FlowParams
    from tests.board_files import board_text

    path = tmp_path / "board.csv"
    path.write_text(board_text())
    hub = SnapshotHub(mode="replay")
    source = open_source(path, None, FlowParams(positions="naive"))
    session = ReplaySession(source, hub, speed=float("inf"), stop_at_end=True)
    async with asyncio.timeout(30):
        await session.run(asyncio.Event())
    assert hub.latest("BTC") is not None
    assert session.losses == ()

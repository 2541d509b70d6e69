"""The lives of a ticker, a print and a tick in docs/architecture.md are what a live session really does."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from dfmon.engine.hub import SnapshotHub
from dfmon.runtime import composition
from dfmon.venues import connection
from dfmon.venues.deribit.protocol import DeribitProtocol
from dfmon.venues.transport.websockets import open_websockets
from tests.live_sessions import exchange, raise_error, until

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
ON_FAILURE_ONLY = {"dfmon.engine.chain:ChainState.restore_drained"}


def documented(subject: str) -> list[str]:
    """The functions that the page names for the life of `subject`, in order."""
    section = re.search(rf"## The life of a {subject}\n(.*?)\n## ", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert section is not None
    return re.findall(r"`(dfmon[\w.]*:[\w.]+)`", section.group(1))


@contextmanager
def calls_recorded() -> Iterator[set[str]]:
    """The functions of dfmon that are called meanwhile, in any thread."""
    called: set[str] = set()

    def on_event(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and (module := frame.f_globals.get("__name__", "")).startswith("dfmon."):
            called.add(f"{module}:{frame.f_code.co_qualname}")

    sys.setprofile(on_event)
    threading.setprofile(on_event)
    try:
        yield called
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.mark.slow
async def test_a_live_session_calls_every_function_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "choose_opener", lambda: open_websockets)
    named = {name for subject in ("ticker", "print", "tick") for name in documented(subject)} - ON_FAILURE_ONLY
    stop, hub = asyncio.Event(), SnapshotHub(mode="sim")
    async with exchange(0.02) as config:
        with calls_recorded() as called:
            session = composition.live_session(config, "sim", composition.Outputs((), None), raise_error, hub)
            running = asyncio.create_task(session.run(stop))
            protocol = session._options["deribit"]
            assert isinstance(protocol, DeribitProtocol)
            await until(lambda: protocol.subscribed and bool(protocol.options))
            protocol._rpc.subscribe([f"ticker.{next(iter(protocol.options))}.100ms"])
            with suppress(TimeoutError):
                await until(lambda: named <= called)
            stop.set()
            await running
    assert not named - called

"""Rows behind the charts that arrive from other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from dfmon.model.snapshot import MetricRow
from dfmon.tui.chart_history import load_in_thread


def test_rows_that_arrive_after_the_screen_was_closed_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    may_read, failures = threading.Event(), list[object]()
    monkeypatch.setattr(threading, "excepthook", failures.append)

    def read(_: str, __: int) -> Sequence[MetricRow]:
        may_read.wait()
        return ()

    async def main() -> None:
        load_in_thread(read, ("BTC",), 0, lambda *_: None, lambda _: None)

    asyncio.run(main())
    (reader,) = (thread for thread in threading.enumerate() if thread.name == "history-BTC")
    may_read.set()
    reader.join()
    assert failures == []

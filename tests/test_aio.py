"""Interruptible waits, cancellation, and stop on signals."""

import asyncio
import os
import signal

import pytest

from dfmon.aio import StopSignals, cancel_and_wait, run_until_set, wait_until_set


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


async def test_a_wait_ends_with_the_event_and_reports_it(stop: asyncio.Event) -> None:
    assert not await wait_until_set(stop, 0.0)
    assert not await wait_until_set(stop, 0.001)
    asyncio.get_running_loop().call_soon(stop.set)
    async with asyncio.timeout(60):
        assert await wait_until_set(stop, 3600)
    assert await wait_until_set(stop, 0.0)


async def test_the_event_cancels_what_runs_and_waits_for_its_end(stop: asyncio.Event) -> None:
    ended = []

    async def run() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append("run")

    asyncio.get_running_loop().call_soon(stop.set)
    await run_until_set(stop, run(), run())
    assert ended == ["run", "run"]


async def test_the_first_to_end_ends_the_others_and_its_error_is_raised(stop: asyncio.Event) -> None:
    async def fail() -> None:
        raise OSError("the first")

    forever = asyncio.ensure_future(asyncio.sleep(3600))
    with pytest.raises(OSError, match="the first"):
        await run_until_set(stop, forever, fail())
    assert forever.cancelled()


async def test_cancellation_leaves_outcomes_in_the_tasks() -> None:
    async def fail() -> None:
        raise OSError("unread")

    done, failed = asyncio.ensure_future(asyncio.sleep(0, "done")), asyncio.ensure_future(fail())
    await asyncio.sleep(0.001)
    await cancel_and_wait(done, failed)
    await cancel_and_wait()
    assert done.result() == "done"
    assert isinstance(failed.exception(), OSError)


async def test_the_first_signal_is_the_exit_code(stop: asyncio.Event) -> None:
    signals = StopSignals(stop.set)
    assert signals.exit_code == 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        stop.clear()
        os.kill(os.getpid(), number)
        assert await wait_until_set(stop, 1.0)
    assert signals.exit_code == 128 + signal.SIGTERM

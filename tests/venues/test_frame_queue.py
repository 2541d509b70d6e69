"""What happens to frames of which more come than can be applied. No socket and no clock: the loop is turned by hand."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.venues import frame_queue as module
from dfmon.venues.frame_queue import FrameQueue
from dfmon.venues.protocol import DropPolicy

POLICIES = {b"p": DropPolicy.PRINT, b"k": DropPolicy.NEVER, b"s": DropPolicy.CONFLATE, b"d": DropPolicy.DROPPABLE}
KINDS = {b"p": "trades", b"k": "other", b"s": "ticker", b"d": "book"}


def classify(frame: bytes) -> tuple[DropPolicy, str]:
    """Frames are a letter for the fate, a digit for the key, and a number."""
    return POLICIES[frame[:1]], f"{KINDS[frame[:1]]} {frame[1:2].decode()}"


class QueueHarness:
    """An inbox whose frames are kept, and that is full at 40 frames."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self.applied: list[bytes] = []
        self.times: list[int] = []
        self.errors: list[Exception] = []
        self.flow: list[bool] = []
        self.batches = 0
        self.now = 0
        self.queue = FrameQueue(classify, self._apply, self._after, self._clock, self.errors.append, self.flow.append)

    def _apply(self, recv_ns: int, frame: bytes) -> None:
        self.times.append(recv_ns)
        self.applied.append(frame)

    def _after(self) -> None:
        self.batches += 1

    def _clock(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture(autouse=True)
def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for applying at once is over, however fast the machine is."""
    monkeypatch.setattr(module, "_MAX_INLINE_S", -1.0)
    monkeypatch.setattr(module, "_IDLE_GAP_S", float("inf"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRESSURE_FRAMES", 8)
    monkeypatch.setattr(module, "_MAX_FRAMES", 40)


async def test_a_burst_is_applied_whole_in_order_and_drained_once() -> None:
    harness = QueueHarness()
    frames = [b"s%d%d" % (n % 3, n) for n in range(200)]
    for frame in frames:
        harness.queue.enqueue(frame)
    assert harness.applied == []
    await asyncio.sleep(0)
    assert harness.applied == frames
    assert harness.times == list(range(1, 201))
    assert (harness.batches, sum(harness.queue.dropped.values())) == (1, 0)


async def test_a_frame_that_comes_after_a_pause_is_applied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_GAP_S", -1.0)
    monkeypatch.setattr(module, "_MAX_INLINE_S", 0.0)
    harness = QueueHarness()
    harness.queue.enqueue(b"k0")
    assert (harness.applied, harness.batches) == ([b"k0"], 1)


@pytest.mark.usefixtures("small")
async def test_under_pressure_the_newest_state_of_a_key_stands_for_those_before() -> None:
    harness = QueueHarness()
    for n in range(1000):
        harness.queue.enqueue(b"s%d%d" % (n % 3, n))
    await asyncio.sleep(0)
    assert harness.applied[:8] == [b"s%d%d" % (n % 3, n) for n in range(8)]
    assert sorted(harness.applied[8:]) == [b"s0999", b"s1997", b"s2998"]
    assert harness.queue.dropped == {"ticker": 1000 - 11}
    assert harness.times[-3:] == [999, 1000, 998], "the time of receipt is that of the frame that is applied"


@pytest.mark.usefixtures("small")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"p0", b"k0", b"s0", b"s1", b"s2", b"d0", b"d1"]), max_size=120), st.randoms())
def test_nothing_is_lost_but_what_may_be(kinds: list[bytes], rng: random.Random) -> None:
    """Prints and what is said once: all, in order. States: the newest of a key last. All else is counted."""

    async def fill_and_flush() -> None:
        harness = QueueHarness()
        frames = [kind + b"%04d" % number for number, kind in enumerate(kinds)]
        for frame in frames:
            harness.queue.enqueue(frame)
            if rng.random() < 0.05:
                await asyncio.sleep(0)
        harness.queue.flush()
        never_dropped = [frame for frame in frames if frame[:1] in b"pk"]
        assert [frame for frame in harness.applied if frame[:1] in b"pk"] == never_dropped
        for key in (b"s0", b"s1", b"s2"):
            of_key = [frame for frame in frames if frame.startswith(key)]
            applied = [frame for frame in harness.applied if frame.startswith(key)]
            assert applied == sorted(applied)
            assert applied[-1:] == of_key[-1:]
        for key in (b"d0", b"d1"):
            applied = [frame for frame in harness.applied if frame.startswith(key)]
            assert applied == sorted(applied)
        assert len(harness.applied) + sum(harness.queue.dropped.values()) == len(frames)
        assert len(harness.queue) == 0

    asyncio.run(fill_and_flush())


@pytest.mark.usefixtures("small")
async def test_beyond_the_bound_differences_are_dropped_and_the_socket_is_left_unread() -> None:
    harness = QueueHarness()
    for n in range(45):
        harness.queue.enqueue(b"p0%d" % n)
    assert harness.flow == [False]
    for n in range(10):
        harness.queue.enqueue(b"d0%d" % n)
    assert len(harness.queue) == 45
    await asyncio.sleep(0)
    assert harness.flow == [False, True]
    assert harness.queue.dropped == {"book": 10}
    assert len(harness.applied) == 45


@pytest.mark.usefixtures("small")
async def test_bytes_are_bounded_as_frames_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 1000)
    harness = QueueHarness()
    for _ in range(9):
        harness.queue.enqueue(b"k0" + b"x" * 100)
    harness.queue.enqueue(b"s1" + b"x" * 50)
    for size in (100, 900):
        harness.queue.enqueue(b"s1" + b"x" * size)
    harness.queue.enqueue(b"d0")
    assert harness.queue.dropped == {"ticker": 2, "book": 1}
    harness.queue.flush()
    assert harness.queue._bytes == 0


async def test_what_applying_raises_is_handed_on_and_does_not_vanish_in_the_loop() -> None:
    harness = QueueHarness()

    def raise_error(recv_ns: int, frame: bytes) -> None:
        raise ZeroDivisionError

    harness.queue._apply = raise_error
    harness.queue.enqueue(b"k0")
    await asyncio.sleep(0)
    assert [type(error) for error in harness.errors] == [ZeroDivisionError]


async def test_the_loop_turns_between_slices_of_a_long_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE_S", 0.0)
    harness = QueueHarness()
    for n in range(100):
        harness.queue.enqueue(b"p0%d" % n)
    loop_turns = 0
    while len(harness.queue):
        await asyncio.sleep(0)
        loop_turns += 1
    assert loop_turns >= 6
    assert len(harness.applied) == 100

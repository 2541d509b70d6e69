"""What happens to frames of which more come than can be applied. No socket and no clock: the loop is turned by hand."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.venues import frame_queue as module
from dfmon.venues.frame_queue import Inbox
from dfmon.venues.protocol import Fate

FATES = {b"p": Fate.PRINT, b"k": Fate.KEEP, b"s": Fate.STATE, b"d": Fate.DELTA}
KINDS = {b"p": "trades", b"k": "other", b"s": "ticker", b"d": "book"}


def sort(frame: bytes) -> tuple[Fate, str]:
    """Frames are a letter for the fate, a digit for the key, and a number."""
    return FATES[frame[:1]], f"{KINDS[frame[:1]]} {frame[1:2].decode()}"


class Bench:
    """An inbox whose frames are kept, and that is full at 40 frames."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch | None = None) -> None:
        self.applied: list[bytes] = []
        self.times: list[int] = []
        self.errors: list[Exception] = []
        self.flow: list[bool] = []
        self.batches = 0
        self.now = 0
        self.inbox = Inbox(sort, self._apply, self._after, self._clock, self.errors.append, self.flow.append)

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
    monkeypatch.setattr(module, "_AT_ONCE_S", -1.0)
    monkeypatch.setattr(module, "_PAUSE_S", float("inf"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRESSURE", 8)
    monkeypatch.setattr(module, "_MOST_FRAMES", 40)


async def test_a_burst_is_applied_whole_in_order_and_drained_once() -> None:
    bench = Bench()
    frames = [b"s%d%d" % (n % 3, n) for n in range(200)]
    for frame in frames:
        bench.inbox.put(frame)
    assert bench.applied == []
    await asyncio.sleep(0)
    assert bench.applied == frames
    assert bench.times == list(range(1, 201))
    assert (bench.batches, sum(bench.inbox.dropped.values())) == (1, 0)


async def test_a_frame_that_comes_after_a_pause_is_applied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_S", -1.0)
    bench = Bench()
    bench.inbox.put(b"k0")
    assert (bench.applied, bench.batches) == ([b"k0"], 1)


@pytest.mark.usefixtures("small")
async def test_under_pressure_the_newest_state_of_a_key_stands_for_those_before() -> None:
    bench = Bench()
    for n in range(1000):
        bench.inbox.put(b"s%d%d" % (n % 3, n))
    await asyncio.sleep(0)
    assert bench.applied[:8] == [b"s%d%d" % (n % 3, n) for n in range(8)]
    assert sorted(bench.applied[8:]) == [b"s0999", b"s1997", b"s2998"]
    assert bench.inbox.dropped == {"ticker": 1000 - 11}
    assert bench.times[-3:] == [999, 1000, 998], "the time of receipt is that of the frame that is applied"


@pytest.mark.usefixtures("small")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([b"p0", b"k0", b"s0", b"s1", b"s2", b"d0", b"d1"]), max_size=120), st.randoms())
def test_nothing_is_lost_but_what_may_be(kinds: list[bytes], chance: random.Random) -> None:
    """Prints and what is said once: all, in order. States: the newest of a key last. All else is counted."""

    async def play() -> None:
        bench = Bench()
        frames = [kind + b"%04d" % number for number, kind in enumerate(kinds)]
        for frame in frames:
            bench.inbox.put(frame)
            if chance.random() < 0.05:
                await asyncio.sleep(0)
        bench.inbox.all()
        kept = [frame for frame in frames if frame[:1] in b"pk"]
        assert [frame for frame in bench.applied if frame[:1] in b"pk"] == kept
        for key in (b"s0", b"s1", b"s2"):
            of_key = [frame for frame in frames if frame.startswith(key)]
            applied = [frame for frame in bench.applied if frame.startswith(key)]
            assert applied == sorted(applied)
            assert applied[-1:] == of_key[-1:]
        for key in (b"d0", b"d1"):
            applied = [frame for frame in bench.applied if frame.startswith(key)]
            assert applied == sorted(applied)
        assert len(bench.applied) + sum(bench.inbox.dropped.values()) == len(frames)
        assert len(bench.inbox) == 0

    asyncio.run(play())


@pytest.mark.usefixtures("small")
async def test_beyond_the_bound_differences_are_dropped_and_the_socket_is_left_unread() -> None:
    bench = Bench()
    for n in range(45):
        bench.inbox.put(b"p0%d" % n)
    assert bench.flow == [False]
    for n in range(10):
        bench.inbox.put(b"d0%d" % n)
    assert len(bench.inbox) == 45
    await asyncio.sleep(0)
    assert bench.flow == [False, True]
    assert bench.inbox.dropped == {"book": 10}
    assert len(bench.applied) == 45


@pytest.mark.usefixtures("small")
async def test_bytes_are_bounded_as_frames_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    bench = Bench()
    for _ in range(9):
        bench.inbox.put(b"k0" + b"x" * 100)
    bench.inbox.put(b"s1" + b"x" * 50)
    for size in (100, 900):
        bench.inbox.put(b"s1" + b"x" * size)
    bench.inbox.put(b"d0")
    assert bench.inbox.dropped == {"ticker": 2, "book": 1}
    bench.inbox.all()
    assert bench.inbox._bytes == 0


async def test_what_applying_raises_is_handed_on_and_does_not_vanish_in_the_loop() -> None:
    bench = Bench()

    def broken(recv_ns: int, frame: bytes) -> None:
        raise ZeroDivisionError

    bench.inbox._apply = broken
    bench.inbox.put(b"k0")
    await asyncio.sleep(0)
    assert [type(error) for error in bench.errors] == [ZeroDivisionError]


async def test_the_loop_turns_between_slices_of_a_long_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE_S", 0.0)
    bench = Bench()
    for n in range(100):
        bench.inbox.put(b"p0%d" % n)
    turns = 0
    while len(bench.inbox):
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 6
    assert len(bench.applied) == 100

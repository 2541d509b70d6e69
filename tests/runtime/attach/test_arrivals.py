"""The choice between sources: first arrivals, restarts, gaps, disagreement, and what is refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from dfmon.model.freshness import Freshness, InputAge
from dfmon.model.snapshot import Feed, FlowSnapshot, to_json
from dfmon.model.units import HOUR, SECOND
from dfmon.runtime.attach.arrivals import Arrivals, SchemaError, SourceState, compare, read_snapshot
from tests.sinks.factory import START_NS, snapshot, snapshot_in_scenario
from tests.structs import complete


def at(second: float, seq: int, **changes: object) -> FlowSnapshot:
    return replace(snapshot(seq), ts_ns=START_NS + round(second * SECOND), **changes)


def states(count: int) -> list[SourceState]:
    return [SourceState(f"source{n}", f"redis://host{n}") for n in range(1, count + 1)]


def test_a_restart_is_known_by_the_name_of_the_run() -> None:
    """Whatever its numbers and its clock: one that continues to count, and one whose clock was set back."""
    arrivals, [source] = Arrivals(), states(1)
    for number, (second, seq, session) in enumerate([(10, 5, "a"), (11, 6, "b"), (5, 1, "c"), (6, 2, "c")]):
        assert arrivals.offer(source, at(second, seq, session=session), START_NS + number * SECOND)
    assert (source.restarts, source.shared) == (2, set())
    [sought] = states(1)
    for second, seq in ((10, 10), (3, 3), (4, 4)):  # a replay that goes back
        sought.add(at(second, seq, session="a", state="replay"), START_NS)
    assert sought.restarts == 0


def test_two_dfmons_behind_one_address_are_no_restarts() -> None:
    [source] = states(1)
    for number in range(20):
        source.add(at(number, 100 + number, session="ab"[number % 2]), START_NS + number * SECOND)
    assert (source.restarts, source.shared) == (1, {"BTC"})
    assert "; several dfmons send BTC" in source.feed(START_NS + 20 * SECOND).note


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), max_size=60))
def test_what_is_shown_is_the_first_arrival_of_the_newest_tick(offers: list[tuple[int, int]]) -> None:
    arrivals, sources = Arrivals(), states(3)
    shown: list[int] = []
    for number, second in offers:
        spot = 90_000.0 + number
        if arrivals.offer(sources[number], at(second, second, spot=spot), START_NS):
            shown.append(second)
        newest = max(second for _, second in offers[: offers.index((number, second)) + 1])
        [current] = arrivals.silent(START_NS + HOUR)
        assert current.ts_ns >= START_NS + newest * SECOND
    assert shown == sorted(shown)
    for number, source in enumerate(sources):
        assert source.snapshots == sum(n == number for n, _ in offers)


def test_tables_of_the_same_tick_from_the_same_source_are_taken_and_others_are_not() -> None:
    arrivals, (first, second) = Arrivals(), states(2)
    assert arrivals.offer(first, at(1, 1), START_NS)
    assert arrivals.offer(first, at(1, 1), START_NS)
    assert not arrivals.offer(second, at(1, 1), START_NS)
    assert not arrivals.offer(second, at(0.5, 1), START_NS)


@pytest.mark.parametrize("names", [(UNSET, UNSET), ("a", "b")], ids=["older", "named"])
def test_a_restart_and_a_gap_are_noted(names: tuple[str | UnsetType, str | UnsetType]) -> None:
    [source] = states(1)
    for second, seq in ((1, 101), (2, 102), (30, 130), (31, 1), (32, 2)):
        source.add(at(second, seq, session=names[second > 30]), START_NS + second * SECOND)
    assert (source.restarts, source.gaps, source.gaps_ns) == (1, 1, 28 * SECOND)
    feed = source.feed(START_NS + 40 * SECOND)
    assert (feed.state, feed.age_s) == ("slow", 8.0)
    assert feed.note == "redis://host1; BTC; restarted 1x; gaps: 1, 0:00:28 in all"


def test_what_is_silent_is_stale_and_as_old_as_it_is_by_now() -> None:
    arrivals, [source] = Arrivals(), states(1)
    fresh, old = InputAge(0.4, 5.0, fresh=True), InputAge(100.0, 120.0, fresh=True)
    freshness = Freshness(fresh, fresh, old, old, InputAge(None, 10.0, fresh=False), old)
    okx = complete(Feed, name="okx", state="live", age_s=0.5)
    arrivals.offer(source, at(1, 1, freshness=freshness, feeds=(okx,)), START_NS)
    arrivals.offer(source, replace(at(1, 1), underlying="ETH", state="replay"), START_NS)
    assert arrivals.silent(START_NS + 3 * SECOND) == []
    [stale] = arrivals.silent(START_NS + 42 * SECOND)
    assert (stale.underlying, stale.state, stale.ts_ns) == ("BTC", "stale", START_NS + SECOND)
    assert stale.freshness is not None
    assert stale.freshness.spot == InputAge(42.4, 5.0, fresh=False)
    assert stale.freshness.stale.startswith("spot 42 s old")
    assert [(feed.state, feed.age_s) for feed in stale.feeds] == [("slow", 42.5)]


def test_the_last_snapshot_of_a_dead_collector_is_stale_at_once() -> None:
    """So no reader of an attached program's output takes it for news."""
    arrivals, [source] = Arrivals(), states(1)
    assert arrivals.offer(source, at(0, 1), START_NS + 300 * SECOND)
    assert arrivals.shown("BTC", START_NS + 300 * SECOND).state == "stale"
    assert source.feed(START_NS + 300 * SECOND).age_s == 300.0
    assert arrivals.offer(source, at(1, 2), START_NS + 301 * SECOND)  # it lives, and its clock is behind
    assert arrivals.shown("BTC", START_NS + 302 * SECOND).state != "stale"


def test_a_slow_tick_of_a_collector_is_neither_stale_nor_a_gap() -> None:
    arrivals, [source] = Arrivals(), states(1)
    for second in (0, 5, 10, 15):
        arrivals.offer(source, at(second, second + 1), START_NS + second * SECOND)
    now_ns = START_NS + 24 * SECOND
    assert (source.gaps, arrivals.silent(now_ns), source.feed(now_ns).state) == (0, [], "live")
    assert arrivals.interval_s() == 5.0
    assert [each.state for each in arrivals.silent(START_NS + 28 * SECOND)] == ["stale"]


def test_a_source_is_as_old_as_its_underlying_that_is_silent() -> None:
    [source] = states(1)
    source.add(at(0, 1), START_NS)
    source.add(replace(at(40, 1), underlying="ETH"), START_NS + 40 * SECOND)
    feed = source.feed(START_NS + 42 * SECOND)
    assert (feed.state, feed.age_s, feed.note) == ("slow", 42.0, "redis://host1; BTC, ETH; BTC: nothing for 42 s")
    source.problems["BTC"] = "no response in time"
    assert source.feed(START_NS + 42 * SECOND).state == "slow"
    assert source.feed(START_NS + 60 * SECOND).state == "down"


def test_sources_that_disagree_say_on_what() -> None:
    arrivals, (first, second) = Arrivals(), states(2)
    arrivals.offer(first, at(1, 1), START_NS)
    arrivals.offer(second, at(1, 1), START_NS)
    assert arrivals.disagreement(second) == arrivals.disagreement(first) == ""
    other = replace(snapshot_in_scenario(2, 6, "CASCADE"), ts_ns=START_NS + SECOND, spot=80_000.0)
    arrivals.offer(second, other, START_NS)
    assert arrivals.disagreement(second) == (
        "BTC differs from source1: spot 80,000 against 91,234, CASCADE against FLIP-ZONE"
    )
    assert arrivals.disagreement(first) == ""
    ngi = replace(at(1, 1).metrics.ngi, value=5e6)
    assert compare(at(1, 1), at(1, 1, metrics=replace(at(1, 1).metrics, ngi=ngi))) == "NGI 5.0M against -12.3M"


def test_snapshots_of_this_schema_are_read_and_those_of_a_newer_one_refused() -> None:
    body = to_json(snapshot(1), "live")
    assert read_snapshot(body, "redis://h") == replace(snapshot(1), tables=msgspec.UNSET)
    newer = body.replace(b'"schema":1', b'"schema":99', 1)
    sentence = "redis://h sends snapshots of schema 99, and this dfmon reads up to 2: update it"
    with pytest.raises(SchemaError, match=sentence):
        read_snapshot(newer, "redis://h")
    for other in (b"", b"{}", b"[1]", b"\xff\xfe", b'{"schema":"x","underlying":"BTC"}'):
        with pytest.raises(SchemaError, match="sends no snapshots of dfmon"):
            read_snapshot(other, "redis://h")
    with pytest.raises(SchemaError, match="schema 2 that cannot be read"):
        read_snapshot(b'{"schema":2,"underlying":"BTC"}', "redis://h")

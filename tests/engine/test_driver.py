from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.pricing import compiled
from dfmon.core.step import FlowParams, step
from dfmon.engine import driver as driver_module
from dfmon.engine.driver import Driver
from dfmon.engine.journal import Record, RecordKind, decode, encode
from dfmon.model.events import BlockRfqChecked, Listed, PrintsLost
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, MILLISECOND, SECOND
from tests.chains import NOW, SPOT, ToyVenue, index, listing, option

NAMES = [o.name for o in listing()]


class DriverHarness:
    """A driver with all that comes out of it."""

    def __init__(self, underlyings: tuple[str, ...] = ("BTC",), **driver_options: Any) -> None:
        self.records: list[Record] = []
        self.snapshots: list[FlowSnapshot] = []
        self.errors: list[Exception] = []
        decoders = {"deribit": ToyVenue("deribit"), "binance": ToyVenue("binance")}
        wiring: dict[str, Any] = {
            "options_sources": ("deribit",),
            "journal": self.records.append,
            "report": self.errors.append,
            **driver_options,
        }
        self.driver = Driver(underlyings, FlowParams(), decoders, self.snapshots.append, **wiring)

    def feed(self, *frames: str, source: str = "deribit", at_ns: int = NOW) -> None:
        for frame in frames:
            self.driver.frame(source, at_ns, frame.encode())

    @property
    def digests(self) -> list[str]:
        return [snapshot.digest() for snapshot in self.snapshots]


class SlowWorker:
    """Computes when told to."""

    def __init__(self) -> None:
        self.queued: list[Callable[[], None]] = []

    @property
    def busy(self) -> bool:
        return bool(self.queued)

    def submit(self, job: Callable[[], None], done: Callable[[], None]) -> None:
        self.queued += [job, done]

    def finish(self) -> None:
        queued, self.queued = self.queued, []
        for callback in queued:
            callback()


def open_session(**driver_options: Any) -> DriverHarness:
    session = DriverHarness(**driver_options)
    session.driver.connected("deribit", NOW)
    session.feed("board BTC", f"index {SPOT} {NOW}")
    return session


def replayed(records: Sequence[Record], underlyings: tuple[str, ...] = ("BTC",)) -> DriverHarness:
    session = DriverHarness(underlyings)
    for record in records:
        session.driver.apply(record)
    return session


def test_records_are_numbered_one_by_one_in_the_order_of_what_happened() -> None:
    session = open_session()
    session.driver.response("deribit", NOW + 1, "index", f"{SPOT} {NOW}".encode())
    session.driver.request_tick(NOW + 2)
    session.driver.lost("deribit", NOW + 3, "closed")
    kinds = [
        RecordKind.CONNECTED,
        RecordKind.FRAME,
        RecordKind.FRAME,
        RecordKind.REST,
        RecordKind.TICK,
        RecordKind.LOST,
    ]
    assert [(r.seq, r.kind) for r in session.records] == list(enumerate(kinds, 1))


def test_tick_gives_one_snapshot_of_each_underlying() -> None:
    session = open_session(underlyings=("BTC", "ETH"))
    session.driver.request_tick(NOW)
    session.driver.request_tick(NOW + SECOND)
    assert [(s.underlying, s.seq) for s in session.snapshots] == [("BTC", 1), ("ETH", 1), ("BTC", 2), ("ETH", 2)]
    assert session.snapshots[0].instruments == len(NAMES)
    assert session.snapshots[1].instruments == 0


def test_timer_while_the_worker_is_busy_is_counted_and_not_journalled() -> None:
    worker = SlowWorker()
    session = open_session(worker=worker)
    before = len(session.records)
    session.driver.request_tick(NOW)
    session.driver.request_tick(NOW + SECOND)
    assert (session.driver.overruns, len(session.records) - before, session.snapshots) == (1, 1, [])
    worker.finish()
    session.driver.request_tick(NOW + 2 * SECOND)
    worker.finish()
    assert [s.ts_ns for s in session.snapshots] == [NOW, NOW + 2 * SECOND]
    assert replayed(session.records).digests == session.digests


def test_what_happens_during_a_computation_does_not_change_it() -> None:
    worker = SlowWorker()
    session = open_session(worker=worker)
    session.driver.request_tick(NOW)
    session.feed(f"index 5.0 {NOW + 1}", f"delisted {NAMES[0]}")
    session.driver.set_params(FlowParams("naive"), NOW + 1)
    worker.finish()
    (snapshot,) = session.snapshots
    assert (snapshot.spot, snapshot.instruments, snapshot.positions.model) == (SPOT, len(NAMES), "flow")


@pytest.mark.slow
def test_parameters_are_a_record_and_hold_from_the_next_tick() -> None:
    session = open_session()
    session.driver.request_tick(NOW)
    new_params = FlowParams("file", {NAMES[0]: -2.5}, numeraire="coin")
    session.driver.set_params(new_params, NOW + 1)
    session.driver.request_tick(NOW + SECOND)
    assert [s.positions.model for s in session.snapshots] == ["flow", "file"]
    assert session.records[-2].kind is RecordKind.PARAMS
    assert replayed(session.records).driver.params == new_params


@pytest.mark.slow
def test_compiled_kernels_take_over_by_a_record_that_leaves_all_else_as_it_was_set() -> None:
    if compiled.load_kernels() is None:
        pytest.skip("numba is not installed: pip install 'dfmon[fast]'")
    session = open_session()
    session.driver.set_params(FlowParams("naive"), NOW)
    session.driver.request_tick(NOW)
    session.driver.use_compiled(NOW + 1)
    session.driver.request_tick(NOW)
    first, second = session.snapshots
    assert second.positions.model == "naive"
    assert replayed(session.records).digests == session.digests
    assert replayed(session.records).driver.params == FlowParams("naive", compiled=True)
    for name in ("ngi", "vss", "chl", "volg", "vega", "theta"):
        interpreted, compiled_value = getattr(first.metrics, name).value, getattr(second.metrics, name).value
        assert compiled_value == pytest.approx(interpreted, rel=1e-11), name
    assert second.flip.level == pytest.approx(first.flip.level, rel=1e-12)
    assert compiled.active_kernels() is None, "the choice of a step is that of no other"


def test_a_recording_of_compiled_prices_replays_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session()
    session.driver.request_tick(NOW)
    monkeypatch.setattr(compiled, "load_kernels", lambda: None)
    session.driver.use_compiled(NOW + 1)
    session.driver.request_tick(NOW)
    first, second = session.snapshots
    assert second.metrics == first.metrics


def test_failing_step_is_reported_and_the_last_snapshot_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session()
    session.driver.request_tick(NOW)

    def fail(*_: object) -> None:
        raise ArithmeticError("no")

    monkeypatch.setattr(driver_module, "step", fail)
    session.driver.request_tick(NOW + SECOND)
    assert [str(error) for error in session.errors] == ["no"]
    assert len(session.snapshots) == 1
    monkeypatch.setattr(driver_module, "step", step)
    session.driver.request_tick(NOW + 2 * SECOND)
    assert [s.seq for s in session.snapshots] == [1, 3]


def test_failing_step_nobody_listens_to_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ArithmeticError("no")

    monkeypatch.setattr(driver_module, "step", fail)
    with pytest.raises(ArithmeticError):
        open_session(report=None).driver.request_tick(NOW)


def test_source_nobody_decodes_is_journalled_and_passed_over() -> None:
    session = open_session()
    session.feed("board BTC", source="elsewhere")
    session.driver.apply(Record(0, NOW, RecordKind.GAP, "", b"7"))
    session.driver.request_tick(NOW)
    assert session.records[-2].source == "elsewhere"
    assert {feed.name for feed in session.snapshots[0].feeds} == {"deribit", "binance"}


def test_frame_that_makes_no_sense_is_counted_for_its_feed_and_for_the_board() -> None:
    session = open_session()
    session.feed("nonsense")
    session.feed("nonsense", source="binance")
    session.driver.request_tick(NOW)
    (snapshot,) = session.snapshots
    assert {feed.name: feed.rejected for feed in snapshot.feeds} == {"deribit": 1, "binance": 1}
    assert "1 frame: left out" in snapshot.unavailable


def test_lost_connection_is_down_with_its_reason_until_there_is_data_again() -> None:
    session = open_session()
    session.driver.lost("deribit", NOW, "closed")
    session.driver.request_tick(NOW)
    session.driver.connected("deribit", NOW + SECOND)
    session.driver.request_tick(NOW + SECOND)
    session.feed(f"index {SPOT} {NOW}", at_ns=NOW + SECOND)
    session.driver.request_tick(NOW + 2 * SECOND)
    feeds = [s.feeds[0] for s in session.snapshots]
    assert [(f.state, f.note) for f in feeds] == [
        ("down", "closed"),
        ("syncing", "subscribing"),
        ("live", "subscribing"),
    ]


def test_recorded_board_enters_as_events_and_is_one_tick_of_one_underlying() -> None:
    session = DriverHarness(("BTC", "ETH"))
    session.driver.apply_events(ToyVenue().frame_received(b"board ETH"), NOW)
    session.driver.tick(NOW, "ETH")
    assert [(s.underlying, s.instruments) for s in session.snapshots] == [("ETH", len(NAMES))]


# ---- replay ----------------------------------------------------------------------------------------------------------

OPTIONS, SIZES = st.sampled_from(NAMES), st.floats(0.0, 50.0)
FRAMES = st.one_of(
    st.builds("index {} {}".format, st.floats(0.9 * SPOT, 1.1 * SPOT), st.integers(NOW, NOW + 10**12)),
    st.builds("ticker {} {} {} {}".format, OPTIONS, st.integers(NOW, NOW + 10**12), st.floats(0.0, 3.0), SIZES),
    st.builds("trade {} {} {}".format, OPTIONS, st.sampled_from([1, -1]), SIZES),
    st.builds("delisted {}".format, OPTIONS),
    st.builds("book {} {}".format, st.floats(0.9 * SPOT, 1.1 * SPOT), SIZES),
    st.builds("volume {}".format, st.floats(0.0, 1e10)),
    st.builds("forced {} {}".format, st.sampled_from([1, -1]), st.floats(0.0, 1e8)),
    st.just("board ETH"),
    st.just("nonsense"),
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), FRAMES),
        st.tuples(st.just("tick"), st.just("")),
        st.tuples(st.just("params"), st.sampled_from(["flow", "naive", "short-all"])),
        st.tuples(st.just("lost"), st.sampled_from(["closed", "pong missed"])),
    ),
    min_size=3,
    max_size=25,
)


def perform(session: DriverHarness, number: int, action: tuple[str, str]) -> None:
    kind, value = action
    at_ns = NOW + number * 20 * SECOND
    match kind:
        case "frame":
            session.feed(
                value, source="binance" if value.split()[0] in ("book", "volume", "forced") else "deribit", at_ns=at_ns
            )
        case "tick":
            session.driver.request_tick(at_ns)
        case "params":
            session.driver.set_params(FlowParams(value), at_ns)
        case "lost":
            session.driver.lost("binance", at_ns, value)
    if number % 4 == 3:
        session.driver.request_tick(at_ns)


BTC_AND_ETH = ("BTC", "ETH")


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(ACTIONS)
def test_recording_replayed_through_another_driver_gives_equal_digests(actions: list[tuple[str, str]]) -> None:
    session = open_session(underlyings=BTC_AND_ETH)
    for number, action in enumerate(actions):
        perform(session, number, action)
    assert not session.errors
    recorded = list(decode(b"".join(map(encode, session.records))))
    assert replayed(recorded, BTC_AND_ETH).digests == session.digests


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(ACTIONS, ACTIONS)
def test_two_drivers_in_one_process_do_not_touch_each_other(
    first_actions: list[tuple[str, str]], second_actions: list[tuple[str, str]]
) -> None:
    first, second = open_session(underlyings=BTC_AND_ETH), open_session(underlyings=BTC_AND_ETH)
    for number in range(max(len(first_actions), len(second_actions))):
        for session, actions in ((first, first_actions), (second, second_actions)):
            if number < len(actions):
                perform(session, number, actions[number])
    assert replayed(first.records, BTC_AND_ETH).digests == first.digests
    assert replayed(second.records, BTC_AND_ETH).digests == second.digests


def test_a_second_of_a_connection_is_a_record_and_its_remark_is_told() -> None:
    session = open_session()
    session.driver.timer("deribit", NOW + 7, "500 tickers were replaced by newer ones")
    session.driver.request_tick(NOW + SECOND)
    assert session.records[-2].kind is RecordKind.TIMER
    assert session.snapshots[-1].feeds[0].note == "a second at 7; 500 tickers were replaced by newer ones"
    assert replayed(session.records).digests == session.digests


def test_an_option_lives_by_the_clock_of_its_venue() -> None:
    """Our clock is an hour ahead: the time to expiry must not be an hour short."""
    exact_clock, ahead_clock = open_session(), open_session()
    ahead_clock.feed(f"clock {NOW} {NOW - HOUR}")
    exact_clock.driver.request_tick(NOW)
    ahead_clock.driver.request_tick(NOW + HOUR)
    (at_venue,), (at_ours,) = exact_clock.snapshots, ahead_clock.snapshots
    assert at_ours.metrics.ngi.value == at_venue.metrics.ngi.value
    assert at_ours.context.next_expiry_hours == at_venue.context.next_expiry_hours
    assert at_ours.feeds[0].clock_ms == HOUR / MILLISECOND
    assert at_ours.feeds[0].note == "subscribing; our clock is 3600.0 s ahead of the venue's"
    assert replayed(ahead_clock.records).digests == ahead_clock.digests


def test_prints_of_a_failed_tick_are_counted_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    session = open_session()

    def failing_step(*_args: object) -> None:
        raise ArithmeticError("no")

    session.feed(f"trade {NAMES[0]} 1 2.0")
    monkeypatch.setattr(driver_module, "step", failing_step)
    session.driver.request_tick(NOW)
    assert session.errors
    monkeypatch.setattr(driver_module, "step", step)
    session.feed(f"trade {NAMES[1]} -1 3.0")
    for second in (1, 2):
        session.driver.request_tick(NOW + second * SECOND)
    book = session.driver.flow_states()["BTC"].book
    volume = dict(zip(book.names, book.printed.tolist()))
    assert (volume[NAMES[0]], volume[NAMES[1]]) == (2.0, 3.0)


def test_a_gap_of_a_recording_takes_back_what_was_known_from_birth() -> None:
    chain = Driver(("BTC",), FlowParams(), {}, lambda _: None)
    listed_later = option(listed_ns=NOW + SECOND)
    chain.apply_events([index(), Listed(listed_later)], NOW)
    assert chain._chains.freeze("BTC", NOW + 2 * SECOND).full_history.tolist() == [True]
    chain.apply(Record(1, NOW + 3 * SECOND, RecordKind.GAP, "", b"17"))
    assert chain._chains.freeze("BTC", NOW + 4 * SECOND).full_history.tolist() == [False]


def test_lost_prints_and_requests_reach_the_frame() -> None:
    driver = Driver(("BTC",), FlowParams(), {}, lambda _: None)
    first, second = option(), option(strike=90_000.0)
    events = [PrintsLost("deribit", second.name, 3), PrintsLost("deribit", "BTC-1JAN20-1-C", 1)]
    checked = [BlockRfqChecked("deribit", "BTC", matched) for matched in (True, True, False)]
    driver.apply_events([Listed(first), Listed(second), *events, *checked], NOW)
    frame = driver._chains.freeze("BTC", NOW)
    assert dict(zip(frame.names, frame.lost_prints.tolist())) == {first.name: 0.0, second.name: 3.0}
    assert frame.block_rfq_checks == (2, 1)
    assert driver._chains.unlisted_counts["trade"] == 1
    driver._chains.commit_drained("BTC")
    assert driver._chains.freeze("BTC", NOW).lost_prints.tolist() == [0.0, 0.0]


def test_snapshots_name_the_options_venue_and_those_that_are_disabled() -> None:
    session = open_session(options_venue="Toy Options", disabled_venues=("okx", "toyx"))
    session.driver.request_tick(NOW + SECOND)
    snapshot = session.snapshots[-1]
    assert snapshot.options_venue == "Toy Options"
    rows = {feed.name: feed for feed in snapshot.feeds}
    assert list(rows)[-2:] == ["okx", "toyx"]
    assert (rows["okx"].state, rows["okx"].age_s, rows["okx"].frames) == ("disabled", None, 0)
    assert "feeds.okx: venue disabled, its markets are in no sum" in snapshot.unavailable
    assert not [text for text in snapshot.unavailable if text.startswith("feeds.toyx: no data")]

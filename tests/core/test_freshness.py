"""Ages of the inputs on a virtual clock: each limit holds to the nanosecond."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.freshness import FreshnessLimits, measure_freshness
from dfmon.engine.chain import ChainState
from dfmon.engine.market import MarketState
from dfmon.model.events import (
    BookLost,
    BookSnapshot,
    BookUpdate,
    Event,
    FutureTicker,
    IndexPrice,
    Listed,
    Market,
    MarketTicker,
    MarketTrade,
    OptionMarks,
    OptionTicker,
)
from dfmon.model.frames import ReceiveTimes, float_column
from dfmon.model.freshness import Freshness
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND
from tests.chains import NOW, SPOT, frame, index, listing, market, option, ticker

LIMITS = {"spot": 5, "marks": 15, "forwards": 75, "open_interest": 120, "depth": 10, "volumes": 600}
PERP = ("binance", Market.PERP, "BTC")
OPTIONS = listing()
NAMES = [instrument.name for instrument in OPTIONS]


class Board:
    """Chain and markets on a clock of their own: the venue's time is that of receipt."""

    def __init__(self) -> None:
        self.chain, self.market = ChainState(("BTC",)), MarketState(("BTC",))
        for instrument in OPTIONS:
            self.chain.apply(Listed(instrument), NOW)

    def apply(self, *events: Event, at_ns: int = NOW) -> None:
        for event in events:
            for state in (self.chain, self.market):
                if state.handler(type(event)) is not None:
                    state.apply(event, at_ns)

    def freshness(self, at_ns: int, limits: FreshnessLimits | None = None) -> Freshness:
        frames = self.chain.freeze("BTC", at_ns), self.market.freeze("BTC", at_ns)
        return measure_freshness(*frames, limits or FreshnessLimits())


def marks(names: list[str] | None = None, at_ns: int = NOW) -> OptionMarks:
    chosen = NAMES if names is None else names
    return OptionMarks("deribit", at_ns, chosen, float_column([0.5] * len(chosen)), float_column([0.01] * len(chosen)))


def tickers(names: list[str] | None = None, at_ns: int = NOW, **fields: float) -> list[OptionTicker]:
    return [ticker(name, at_ns, **fields) for name in (NAMES if names is None else names)]


def book(kind: type = BookSnapshot) -> Event:
    event: Event = kind(*PERP, NOW, ((SPOT - 1.0, 5.0),), ((SPOT + 1.0, 5.0),))
    return event


def volume(at_ns: int = NOW) -> MarketTicker:
    return MarketTicker(*PERP, at_ns, volume_usd=1e9)


def fed(at_ns: int = NOW) -> Board:
    board = Board()
    board.apply(index(ns=at_ns), *tickers(at_ns=at_ns), marks(at_ns=at_ns), book(), volume(), at_ns=at_ns)
    return board


def ages(freshness: Freshness) -> dict[str, float | None]:
    return {name: getattr(freshness, name).age_s for name in LIMITS}


def fresh(freshness: Freshness) -> set[str]:
    return {name for name in LIMITS if getattr(freshness, name).fresh}


# ---- limits ----------------------------------------------------------------------------------------------------------


def test_without_any_data_nothing_is_fresh_and_no_age_is_a_number() -> None:
    freshness = Board().freshness(NOW)
    assert set(ages(freshness).values()) == {None}
    assert fresh(freshness) == set()
    assert freshness.stale == "no spot yet, no marks yet"


@pytest.mark.parametrize(("name", "limit_s"), LIMITS.items())
def test_an_input_is_fresh_up_to_its_limit_and_not_a_nanosecond_longer(name: str, limit_s: int) -> None:
    board = fed()
    assert name in fresh(board.freshness(NOW + limit_s * SECOND))
    assert name not in fresh(board.freshness(NOW + limit_s * SECOND + 1))
    assert getattr(board.freshness(NOW + limit_s * SECOND), name).age_s == limit_s
    assert getattr(board.freshness(NOW), name).limit_s == limit_s


@pytest.mark.parametrize("name", LIMITS)
def test_limits_can_be_set(name: str) -> None:
    limits = msgspec.structs.replace(FreshnessLimits(), **{f"{name}_s": 0.5})
    board = fed()
    assert name in fresh(board.freshness(NOW + SECOND // 2, limits))
    assert name not in fresh(board.freshness(NOW + SECOND // 2 + 1, limits))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (5.0, ""),
        (5.4, "spot 5 s old"),
        (15.0, "spot 15 s old"),
        (15.6, "spot 16 s old, marks 16 s old"),
        (150.0, "spot 2 min old, marks 2 min old"),
        (5_400.0, "spot 1 h 30 min old, marks 1 h 30 min old"),
    ],
)
def test_spot_or_marks_over_the_limit_are_the_reason_in_words(seconds: float, words: str) -> None:
    assert fed().freshness(NOW + round(seconds * SECOND)).stale == words


@pytest.mark.parametrize("name", ["forwards", "open_interest", "depth", "volumes"])
def test_other_inputs_do_not_make_everything_stale(name: str) -> None:
    later = NOW + LIMITS[name] * SECOND + 1
    board = fed()
    board.apply(index(ns=later), marks(at_ns=later), at_ns=later)
    assert board.freshness(later).stale == ""
    assert name not in fresh(board.freshness(later))


# ---- what counts as data of an input ---------------------------------------------------------------------------------


def test_ages_count_from_receipt_whatever_the_venues_clock_says() -> None:
    board = Board()
    skewed = NOW - HOUR
    board.apply(index(ns=skewed), *tickers(at_ns=skewed), marks(at_ns=skewed), at_ns=NOW)
    assert {ages(board.freshness(NOW + SECOND))[name] for name in ("spot", "marks", "forwards", "open_interest")} == {1}


def test_a_venue_that_repeats_itself_brings_no_data() -> None:
    board = fed()
    later = NOW + 6 * SECOND
    board.apply(index(), marks(), *tickers(), at_ns=later)
    assert {ages(board.freshness(later))[name] for name in ("spot", "marks", "forwards", "open_interest")} == {6}


def test_one_busy_option_does_not_make_the_board_fresh() -> None:
    board = Board()
    board.apply(index(), *tickers())
    for second in range(1, 40):
        now = NOW + second * SECOND
        board.apply(*tickers(NAMES[:3], now), at_ns=now)
    assert ages(board.freshness(now))["marks"] == ages(board.freshness(now))["forwards"] == 39.0


def test_a_message_of_marks_confirms_the_options_that_it_does_not_name() -> None:
    board = fed()
    later = NOW + 14 * SECOND
    board.apply(marks(NAMES[:1], later), at_ns=later)
    assert ages(board.freshness(later))["marks"] == 0.0
    assert ages(board.freshness(later))["forwards"] == 14.0


def test_options_without_open_interest_do_not_hold_up_a_sweep_and_heavy_ones_do() -> None:
    board, later = Board(), NOW + 20 * SECOND
    board.apply(index(), *tickers(NAMES[:30], open_interest=0.0), *tickers(NAMES[30:]))
    board.apply(*tickers(NAMES[30:], later), at_ns=later)
    assert ages(board.freshness(later))["forwards"] == 0.0
    heavy = fed()
    heavy.apply(*tickers(NAMES[:-1], later, open_interest=1.0), *tickers(NAMES[-1:], NOW + 1, open_interest=9e9))
    heavy.apply(*tickers(NAMES[:-1], later, open_interest=1.0), at_ns=later)
    assert ages(heavy.freshness(later))["forwards"] == 20.0


def test_dated_futures_bring_the_forwards_of_their_expiries() -> None:
    board, later = fed(), NOW + 60 * SECOND
    for expiry_ns in {instrument.expiry_ns for instrument in OPTIONS}:
        board.apply(FutureTicker("deribit", "F", "BTC", expiry_ns, later, mark=SPOT), at_ns=later)
    assert ages(board.freshness(later))["forwards"] == 0.0
    assert ages(board.freshness(later))["open_interest"] == 60.0


def test_depth_is_as_old_as_the_book_and_not_as_the_ticker_or_the_prints() -> None:
    board, later = fed(), NOW + 9 * SECOND
    board.apply(volume(later), MarketTrade(*PERP, later, SPOT, 1.0, 1), at_ns=later)
    assert (ages(board.freshness(later))["depth"], ages(board.freshness(later))["volumes"]) == (9.0, 0.0)
    board.apply(book(BookUpdate), at_ns=later)
    assert ages(board.freshness(later))["depth"] == 0.0


def test_a_lost_book_has_no_age() -> None:
    board = fed()
    board.apply(BookLost(*PERP))
    assert ages(board.freshness(NOW + SECOND))["depth"] is None


def test_an_index_that_cannot_be_is_no_spot() -> None:
    board = Board()
    board.apply(IndexPrice("deribit", "BTC", NAN, NOW), index(-1.0))
    assert ages(board.freshness(NOW))["spot"] is None


# ---- options that sweeps leave out -----------------------------------------------------------------------------------


def sweep(board: Board, number: int, interval_s: int, names: list[str]) -> Freshness:
    now = NOW + number * interval_s * SECOND
    board.apply(index(ns=now), *tickers(names, now), at_ns=now)
    return board.freshness(now)


def test_an_option_that_ten_sweeps_leave_out_is_counted_by_itself() -> None:
    board = fed()
    board.freshness(NOW)
    counts = [sweep(board, number, 30, NAMES[:-1]).absent_options for number in range(1, 13)]
    assert counts == [0] * 9 + [1] * 3
    assert board.chain.freeze("BTC", NOW + 12 * 30 * SECOND).absent_rows == (len(NAMES) - 1,)
    assert sweep(board, 13, 30, NAMES).absent_options == 0


def test_marks_that_did_not_change_for_ten_seconds_are_not_left_out() -> None:
    board = fed()
    for second in range(1, 75):
        now = NOW + second * SECOND
        board.apply(marks(NAMES[:-1], now), at_ns=now)
        assert board.freshness(now).absent_options == 0
    board.apply(marks(NAMES[:-1], now + SECOND), at_ns=now + SECOND)
    assert board.freshness(now + SECOND).absent_options == 1, "the poll did not bring it either"


def test_a_newly_listed_option_is_not_left_out_by_the_sweeps_before_it() -> None:
    board = fed()
    for number in range(12):
        sweep(board, number, 30, NAMES)
    now = NOW + 11 * 30 * SECOND
    board.chain.apply(Listed(option(111_000.0)), now)
    assert board.freshness(now).absent_options == 0
    for number in range(12, 21):
        assert sweep(board, number, 30, NAMES).absent_options == 0
    assert sweep(board, 22, 30, NAMES).absent_options == 1


# ---- clocks ----------------------------------------------------------------------------------------------------------


def test_ages_count_from_the_tick_after_our_clock_was_set_back() -> None:
    board, before = fed(NOW + HOUR), NOW
    assert set(ages(board.freshness(before)).values()) == {0.0}
    assert set(ages(board.freshness(before + 6 * SECOND)).values()) == {6.0}
    assert board.freshness(before + 6 * SECOND).stale == "spot 6 s old"


def test_a_clock_set_forward_is_stale_until_the_next_data_and_no_longer() -> None:
    board, later = fed(), NOW + HOUR
    assert board.freshness(later).stale != ""
    board.apply(index(ns=NOW + SECOND), marks(at_ns=NOW + SECOND), at_ns=later + SECOND)
    assert board.freshness(later + SECOND).stale == ""


@pytest.mark.slow
@given(st.lists(st.integers(-2 * HOUR, 2 * HOUR), min_size=1, max_size=8))
def test_no_clock_makes_an_age_negative(steps: list[int]) -> None:
    board, now = fed(), NOW
    for step_ns in steps:
        now += step_ns
        assert all(age is not None and age >= 0.0 for age in ages(board.freshness(now)).values())


def test_the_ages_of_a_frame_are_those_of_its_receive_times() -> None:
    chain = replace(frame(), received=ReceiveTimes(NOW - SECOND, NOW - 2 * SECOND, NOW - MINUTE, 0))
    freshness = measure_freshness(chain, market(), FreshnessLimits())
    assert ages(freshness) == {
        "spot": 1.0, "marks": 2.0, "forwards": 60.0, "open_interest": None, "depth": 0.5, "volumes": 0.5,
    }  # fmt: skip

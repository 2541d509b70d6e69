import math

import pytest

from dfmon.engine.feed_tracker import FeedTracker
from dfmon.model.events import BookLost, FeedState, FeedStatus, Market, RawTicker, Rejected
from dfmon.model.units import MILLISECOND, MINUTE, SECOND
from tests.chains import NOW, index, ticker


def test_feed_is_connecting_then_syncing_then_live_with_its_first_data() -> None:
    feed = FeedTracker("x")
    states = [feed.health(NOW).state]
    feed.connected()
    states.append(feed.health(NOW).state)
    feed.on_event(index(), NOW)
    states.append(feed.health(NOW).state)
    assert states == [FeedState.CONNECTING, FeedState.SYNCING, FeedState.LIVE]


def test_age_is_unknown_before_the_first_data_and_grows_after_it() -> None:
    feed = FeedTracker("x")
    assert math.isnan(feed.health(NOW).age_s)
    feed.on_event(index(), NOW)
    assert feed.health(NOW + 3 * SECOND).age_s == 3.0


def test_complaints_and_states_are_no_data() -> None:
    feed = FeedTracker("x")
    feed.connected()
    feed.on_event(Rejected("x", "frame"), NOW)
    feed.on_event(FeedStatus("x", FeedState.SYNCING, "subscribing"), NOW)
    health = feed.health(NOW)
    assert math.isnan(health.age_s)
    assert (health.state, health.reason, health.rejected) == (FeedState.SYNCING, "subscribing", 1)


def test_what_a_lost_connection_takes_back_is_no_data() -> None:
    feed = FeedTracker("x")
    feed.on_event(index(), NOW)
    feed.lost("gone")
    feed.on_event(BookLost("x", Market.PERP, "BTC"), NOW + 9 * SECOND)
    assert feed.health(NOW + 10 * SECOND).age_s == 10.0
    assert feed.health(NOW).state is FeedState.DOWN


def test_one_loss_is_one_reconnect_however_often_it_is_said() -> None:
    feed = FeedTracker("x")
    for _ in range(2):
        feed.lost("refused")
    feed.connected()
    feed.lost("closed")
    assert (feed.health(NOW).reconnects, feed.health(NOW).reason) == (2, "closed")


def test_latency_is_smoothed_may_be_negative_and_starts_anew_with_a_connection() -> None:
    feed = FeedTracker("x")
    feed.on_event(ticker("X", NOW), NOW - 10 * MILLISECOND)
    assert feed.health(NOW).lag_ms == -10.0
    feed.on_event(ticker("X", NOW), NOW + 90 * MILLISECOND)
    assert feed.health(NOW).lag_ms == pytest.approx(-5.0)
    feed.connected()
    assert math.isnan(feed.health(NOW).lag_ms)


def test_event_without_a_venue_time_says_nothing_about_latency() -> None:
    feed = FeedTracker("x")
    feed.on_event(index(ns=0), NOW)
    assert math.isnan(feed.health(NOW).lag_ms)


def test_a_connection_clears_the_reason_of_the_last_loss() -> None:
    feed = FeedTracker("x")
    feed.lost("refused")
    feed.connected()
    assert (feed.health(NOW).state, feed.health(NOW).reason) == (FeedState.SYNCING, "")


def test_data_make_a_syncing_feed_live_and_no_other() -> None:
    feed = FeedTracker("x")
    feed.on_event(index(), NOW)
    assert feed.health(NOW).state is FeedState.CONNECTING
    feed.on_event(FeedStatus("x", FeedState.DOWN, "silent"), NOW)
    feed.on_event(index(), NOW)
    assert (feed.health(NOW).state, feed.health(NOW).reason) == (FeedState.DOWN, "silent")


def test_each_loss_after_a_connection_is_counted() -> None:
    feed = FeedTracker("x")
    for _ in range(3):
        feed.lost("closed")
        feed.connected()
    assert feed.health(NOW).reconnects == 3


def test_age_counts_from_the_tick_after_our_clock_was_set_back() -> None:
    feed = FeedTracker("x")
    feed.on_event(index(), NOW + SECOND)
    assert feed.health(NOW).age_s == 0.0
    assert feed.health(NOW + 5 * SECOND).age_s == 5.0


class Raw(RawTicker, frozen=True, gc=False):
    name: str
    exch_ms: int


def test_latency_of_a_ticker_in_the_units_of_the_venue() -> None:
    feed = FeedTracker("x")
    feed.on_event(Raw("X", NOW // MILLISECOND), NOW // MILLISECOND * MILLISECOND + 7 * MILLISECOND)
    assert feed.health(NOW).lag_ms == 7.0


def test_the_least_latency_of_each_minute_reaches_the_clock() -> None:
    """The clock without a reading is the least latency of its minutes; a minute before the newest one counts, too."""
    feed, start = FeedTracker("x"), NOW // MINUTE * MINUTE

    def receive(latency_ms: int, recv_ns: int) -> float:
        feed.on_event(ticker("X", recv_ns - latency_ms * MILLISECOND), recv_ns)
        return feed.health(recv_ns).clock_ms

    assert [receive(ms, start + i) for i, ms in enumerate((40, 50, 30, 30, 35))] == [40.0, 40.0, 30.0, 30.0, 30.0]
    assert receive(20, start + MINUTE) == 20.0
    feed.on_timer(start + 2 * MINUTE, "")
    assert receive(60, start - MINUTE) == 20.0
    feed.clock.on_timer(start - MINUTE)
    assert receive(60, start - MINUTE) == 60.0  # our clock was set back: the next latency counts

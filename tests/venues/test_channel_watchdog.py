from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.units import DAY, HOUR, MINUTE, SECOND
from dfmon.venues.health.channel_watchdog import ChannelWatchdog
from tests.venues.venue_golden import NOW


def watching(**max_channel_silence_s: int) -> ChannelWatchdog:
    watchdog = ChannelWatchdog()
    for channel, seconds in max_channel_silence_s.items():
        watchdog.expect(channel, seconds * SECOND)
    watchdog.check(NOW)
    return watchdog


def test_a_silent_channel_is_named_with_its_age_and_subscribed_anew_once() -> None:
    watchdog = watching(marks=60, index=10)
    for second in range(1, 75):
        watchdog.on_data("index")
        to_resubscribe, message = watchdog.check(NOW + second * SECOND)
        assert to_resubscribe == (["marks"] if second == 60 else [])
        assert message == (f"marks silent for {second} s" if second >= 60 else "")
    assert watchdog.failure_reason == ""


def test_where_a_new_subscription_does_not_help_the_connection_is_given_up() -> None:
    watchdog = watching(index=10)
    for second in range(1, 21):
        assert watchdog.failure_reason == ""
        watchdog.check(NOW + second * SECOND)
    assert watchdog.failure_reason == "index silent for 20 s"


def test_a_second_connection_is_not_made_for_a_channel_that_stays_dead() -> None:
    watchdog = watching(index=10)
    for second in range(1, 21):
        watchdog.check(NOW + second * SECOND)
    watchdog.restart()
    watchdog.expect("index", 10 * SECOND)
    for second in range(21, 400):
        _, message = watchdog.check(NOW + second * SECOND)
    assert watchdog.failure_reason == ""
    assert message == "index silent for 378 s"
    watchdog.on_data("index")
    assert watchdog.check(NOW + 400 * SECOND) == ([], "")
    for second in range(401, 421):
        watchdog.check(NOW + second * SECOND)
    assert watchdog.failure_reason, "it has spoken since, so its next silence is a new one"


def test_no_connection_is_made_for_a_channel_of_little_weight() -> None:
    watchdog = ChannelWatchdog()
    watchdog.expect("dvol", 10 * SECOND, critical=False)
    resubscribed = [channel for second in range(100) for channel in watchdog.check(NOW + second * SECOND)[0]]
    assert (resubscribed, watchdog.failure_reason) == (["dvol"], "")


@given(st.integers(0, 86_399), st.integers(1, 40))
def test_a_pause_of_the_daily_settlement_is_no_alarm_below_thirty_seconds(at_s: int, silent_s: int) -> None:
    start = NOW - NOW % DAY + at_s * SECOND
    watchdog = ChannelWatchdog()
    watchdog.expect("perpetual", 15 * SECOND)
    watchdog.check(start)
    to_resubscribe, _ = watchdog.check(start + silent_s * SECOND)
    time = (start + silent_s * SECOND) % DAY
    rolling = 7 * HOUR + 59 * MINUTE <= time < 8 * HOUR + 2 * MINUTE
    assert bool(to_resubscribe) == (silent_s >= (30 if rolling else 15))


def test_while_the_venue_stands_still_no_wait_goes_on() -> None:
    watchdog = watching(index=10)
    for _ in range(1, 100):
        watchdog.reset_timers()
    assert watchdog.check(NOW + 100 * SECOND) == ([], "")
    assert watchdog.check(NOW + 109 * SECOND) == ([], "")
    assert watchdog.check(NOW + 110 * SECOND)[0] == ["index"]


def test_what_nobody_expects_is_not_kept() -> None:
    watchdog = watching(index=10)
    for number in range(1000):
        watchdog.on_data(f"x{number}")
    watchdog.check(NOW + SECOND)
    assert watchdog._active == set()
    watchdog.remove("index")
    assert watchdog.check(NOW + HOUR) == ([], "")

from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.units import DAY, HOUR, MINUTE, SECOND
from dfmon.venues.health.channel_watchdog import Watchdog
from tests.venues.venue_golden import NOW


def watching(**within_s: int) -> Watchdog:
    dog = Watchdog()
    for channel, seconds in within_s.items():
        dog.expect(channel, seconds * SECOND)
    dog.due(NOW)
    return dog


def test_a_silent_channel_is_named_with_its_age_and_subscribed_anew_once() -> None:
    dog = watching(marks=60, index=10)
    for second in range(1, 75):
        dog.heard("index")
        again, words = dog.due(NOW + second * SECOND)
        assert again == (["marks"] if second == 60 else [])
        assert words == (f"marks silent for {second} s" if second >= 60 else "")
    assert dog.broken == ""


def test_where_a_new_subscription_does_not_help_the_connection_is_given_up() -> None:
    dog = watching(index=10)
    for second in range(1, 21):
        assert dog.broken == ""
        dog.due(NOW + second * SECOND)
    assert dog.broken == "index silent for 20 s"


def test_a_second_connection_is_not_made_for_a_channel_that_stays_dead() -> None:
    dog = watching(index=10)
    for second in range(1, 21):
        dog.due(NOW + second * SECOND)
    dog.restart()
    dog.expect("index", 10 * SECOND)
    for second in range(21, 400):
        _, words = dog.due(NOW + second * SECOND)
    assert dog.broken == ""
    assert words == "index silent for 378 s"
    dog.heard("index")
    assert dog.due(NOW + 400 * SECOND) == ([], "")
    for second in range(401, 421):
        dog.due(NOW + second * SECOND)
    assert dog.broken, "it has spoken since, so its next silence is a new one"


def test_no_connection_is_made_for_a_channel_of_little_weight() -> None:
    dog = Watchdog()
    dog.expect("dvol", 10 * SECOND, vital=False)
    mended = [channel for second in range(100) for channel in dog.due(NOW + second * SECOND)[0]]
    assert (mended, dog.broken) == (["dvol"], "")


@given(st.integers(0, 86_399), st.integers(1, 40))
def test_a_pause_of_the_daily_settlement_is_no_alarm_below_thirty_seconds(at_s: int, silent_s: int) -> None:
    start = NOW - NOW % DAY + at_s * SECOND
    dog = Watchdog()
    dog.expect("perpetual", 15 * SECOND)
    dog.due(start)
    again, _ = dog.due(start + silent_s * SECOND)
    time = (start + silent_s * SECOND) % DAY
    rolling = 7 * HOUR + 59 * MINUTE <= time < 8 * HOUR + 2 * MINUTE
    assert bool(again) == (silent_s >= (30 if rolling else 15))


def test_while_the_venue_stands_still_no_wait_goes_on() -> None:
    dog = watching(index=10)
    for _ in range(1, 100):
        dog.hold()
    assert dog.due(NOW + 100 * SECOND) == ([], "")
    assert dog.due(NOW + 109 * SECOND) == ([], "")
    assert dog.due(NOW + 110 * SECOND)[0] == ["index"]


def test_what_nobody_expects_is_not_kept() -> None:
    dog = watching(index=10)
    for number in range(1000):
        dog.heard(f"x{number}")
    dog.due(NOW + SECOND)
    assert dog._fresh == set()
    dog.forget("index")
    assert dog.due(NOW + HOUR) == ([], "")

from dataclasses import replace

from dfmon.core.scenario.feed_incidents import MAX_INCIDENTS, FeedWatch, watch_feeds
from dfmon.model.events import FeedState
from dfmon.model.frames import FeedHealth
from dfmon.model.units import NAN, SECOND
from tests.chains import NOW

LIVE, DOWN, CONNECTING, SYNCING = FeedState.LIVE, FeedState.DOWN, FeedState.CONNECTING, FeedState.SYNCING
VENUES = ("binance", "deribit", "okx")


def feeds(*states: FeedState, reason: str = "refused") -> tuple[FeedHealth, ...]:
    return tuple(
        FeedHealth(name, state, NAN, NAN, 0, 0, 0, reason if state is DOWN else "")
        for name, state in zip(VENUES, states)
    )


def watched(*ticks: tuple[int, tuple[FeedHealth, ...]]) -> FeedWatch:
    watch = FeedWatch.initial()
    for second, health in ticks:
        watch = watch_feeds(watch, health, NOW + second * SECOND)
    return watch


def texts(watch: FeedWatch, second: int) -> list[str]:
    return [incident.alert(NOW + second * SECOND).text for incident in watch.incidents]


def test_one_outage_of_all_feeds_is_one_incident_with_its_duration() -> None:
    ticks = [(0, feeds(LIVE, LIVE, LIVE)), (5, feeds(DOWN, DOWN, LIVE)), (6, feeds(DOWN, CONNECTING, DOWN))]
    assert texts(watched(*ticks), 10) == ["binance, deribit, okx lost for 5 s: refused"]
    ticks += [(20, feeds(LIVE, DOWN, CONNECTING)), (40, feeds(LIVE, LIVE, SYNCING)), (75, feeds(LIVE, LIVE, LIVE))]
    assert texts(watched(*ticks), 500) == ["binance, deribit, okx back after 1:10 min (refused)"]


def test_an_outage_counts_from_the_last_data_and_not_from_its_declaration() -> None:
    silent = tuple(replace(feed, age_s=age) for feed, age in zip(feeds(DOWN, DOWN, LIVE), (20.0, 18.0, 0.1)))
    watch = watched((0, feeds(LIVE, LIVE, LIVE)), (25, silent))
    assert texts(watch, 26) == ["binance, deribit lost for 21 s: refused"]
    watch = watched((0, feeds(LIVE, LIVE, LIVE)), (25, silent), (32, feeds(LIVE, LIVE, LIVE)))
    assert texts(watch, 90) == ["binance, deribit back after 27 s (refused)"]


def test_a_feed_that_has_not_been_live_is_starting() -> None:
    assert watched((0, feeds(CONNECTING)), (1, feeds(DOWN)), (2, feeds(CONNECTING)), (3, feeds(LIVE))).incidents == ()


def test_a_feed_lost_again_at_once_continues_the_incident() -> None:
    flapping = [(second, feeds(DOWN if second % 4 < 2 else LIVE)) for second in range(1, 60)]
    watch = watched((0, feeds(LIVE)), *flapping)
    assert len(watch.incidents) == 1
    last_moment = watched((0, feeds(LIVE)), (1, feeds(DOWN)), (2, feeds(LIVE)), (62, feeds(DOWN)))
    assert texts(last_moment, 70) == ["binance lost for 1:09 min: refused"]
    later = watched((0, feeds(LIVE)), (1, feeds(DOWN)), (2, feeds(LIVE)), (63, feeds(DOWN)))
    assert texts(later, 70) == ["binance lost for 7 s: refused", "binance back after 1 s (refused)"]


def test_incidents_are_bounded() -> None:
    ticks = [(100 * i + k, feeds(state)) for i in range(30) for k, state in enumerate((LIVE, DOWN, LIVE))]
    assert len(watched(*ticks).incidents) == MAX_INCIDENTS

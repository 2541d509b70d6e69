"""Windows of order flow against a brute force over single seconds, and quotes and lambda by hand."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from dfmon.core.scenario.micro_structure import (
    MIN_LAMBDA_MINUTES,
    MicroState,
    MicroView,
    quote_state,
    update_micro,
)
from dfmon.model.events import Market
from dfmon.model.frames import MarketFrame, VenueFlow, VenueMarket
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND
from tests.chains import NOW


def row(flow: VenueFlow, venue: str = "binance", open_interest: float = NAN, book_age_s: float = 0.1) -> VenueMarket:
    return VenueMarket(
        venue, Market.PERP, 100.0, 1e6, 1e9, open_interest, NAN, NAN, 0.1, book_age_s=book_age_s, volume_age_s=1.0,
        flow=flow,
    )  # fmt: skip


def frame(*rows: VenueMarket) -> MarketFrame:
    return MarketFrame(rows, 0.0, 0.0)


class Session:
    """Random flow of an engine, a tick a second, with every second's amounts kept apart."""

    def __init__(self, seed: int, start_ns: int = NOW) -> None:
        self._rng = np.random.default_rng(seed)
        self._flow = VenueFlow(since_ns=start_ns)
        self.seconds: list[tuple[int, float, float, float]] = []

    def ticks(self, start_ns: int, seconds: int) -> Iterator[tuple[int, VenueFlow]]:
        for second in range(seconds):
            ts_ns = start_ns + second * SECOND
            ofi, buy, sell = self._rng.normal(0.0, 1e5), *self._rng.exponential(1e5, 2)
            self.seconds.append((ts_ns, ofi, buy, sell))
            old = self._flow
            self._flow = msgspec.structs.replace(
                old,
                imbalance_usd=old.imbalance_usd + ofi,
                buy_usd=old.buy_usd + buy,
                sell_usd=old.sell_usd + sell,
                last_print_ns=ts_ns,
            )
            yield ts_ns, self._flow


def play(state: MicroState, session: Session, start_ns: int, seconds: int) -> tuple[MicroState, MicroView]:
    for ts_ns, flow in session.ticks(start_ns, seconds):
        state, view = update_micro(state, frame(row(flow)), 100.0, ts_ns)
    return state, view


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [30, 61, 905, 4_000])
def test_windows_equal_sums_over_single_seconds(seconds: int) -> None:
    session = Session(3)
    _, view = play(MicroState.initial(), session, NOW, seconds)
    now_ns = session.seconds[-1][0]
    for window in view.windows:
        # samples are taken every ten seconds from the first tick on; the window begins at the oldest inside it
        samples = [
            NOW + at * 10 * SECOND
            for at in range(seconds)
            if NOW + at * 10 * SECOND >= now_ns - window.minutes * MINUTE
        ]
        inside = [amounts for ts_ns, *amounts in session.seconds if ts_ns > samples[0]]
        ofi, buy, sell = np.sum(inside, axis=0) if inside else (0.0, 0.0, 0.0)
        assert window.imbalance_usd == pytest.approx(ofi, abs=1e-3)
        assert (window.buy_usd, window.sell_usd) == pytest.approx((buy, sell), abs=1e-3)
        assert window.covered == pytest.approx(min((now_ns - samples[0]) / SECOND / (60 * window.minutes), 1.0))


def test_restart_keeps_the_windows_and_sees_the_gap() -> None:
    first, second = Session(5), Session(6, NOW + 20 * MINUTE)
    state, before = play(MicroState.initial(), first, NOW, 600)
    _, after = play(state, second, NOW + 20 * MINUTE, 1)
    hour_before, hour_after = before.window(60), after.window(60)
    assert hour_before.buy_usd is not None
    assert hour_after.buy_usd == pytest.approx(hour_before.buy_usd + second.seconds[0][2])
    assert hour_after.covered == pytest.approx(hour_before.covered), "nothing is covered between the sessions"
    assert after.window(1).covered == 0.0


@pytest.mark.parametrize(("gap_s", "is_covered"), [(30, True), (31, False)])
def test_nothing_is_covered_between_ticks_farther_apart_than_thirty_seconds(gap_s: int, is_covered: bool) -> None:
    session = Session(5)
    state, _ = play(MicroState.initial(), session, NOW, 1)
    _, view = play(state, session, NOW + gap_s * SECOND, 1)
    assert view.window(1).covered == pytest.approx(0.5 if is_covered else 0.0)


def test_windows_are_none_before_any_print_and_missing_is_not_zero() -> None:
    state, view = update_micro(MicroState.initial(), frame(row(VenueFlow())), 100.0, NOW)
    window = view.window(15)
    assert (window.buy_usd, window.imbalance_usd, window.open_interest_change_usd, window.covered) == (
        None,
        None,
        None,
        0,
    )
    assert (view.sources, view.missing, view.kyle) == ((), (), None)
    assert update_micro(state, frame(), NAN, NOW + SECOND)[1].quotes == ()


def test_market_whose_prints_stop_is_missing_for_an_hour() -> None:
    session = Session(9)
    state, _ = play(MicroState.initial(), session, NOW, 60)
    flow = session._flow
    for after_s, missing in ((60, ()), (61, ("binance.perp",)), (3_600, ("binance.perp",)), (3_601, ())):
        _, view = update_micro(state, frame(row(flow)), 100.0, NOW + (59 + after_s) * SECOND)
        assert view.missing == missing, after_s


def test_sum_over_two_markets_names_both_and_covers_the_time_of_both() -> None:
    one, two = Session(1), Session(2)
    state = MicroState.initial()
    for (ts_ns, a), (_, b) in zip(one.ticks(NOW, 121), two.ticks(NOW, 121)):
        b = b if ts_ns >= NOW + 60 * SECOND else VenueFlow()
        state, view = update_micro(state, frame(row(a), row(b, "okx")), 100.0, ts_ns)
    assert view.sources == ("binance.perp", "okx.perp")
    single = [play(MicroState.initial(), Session(seed), NOW, 121)[1].window(1).buy_usd for seed in (1, 2)]
    assert view.window(1).buy_usd == pytest.approx(sum(filter(None, single)))
    assert view.window(15).covered == pytest.approx((120 + 60) / (2 * 900), abs=0.002)


def test_autocorrelation_of_signs_equals_that_of_the_series() -> None:
    rng = np.random.default_rng(4)
    signs = np.where(rng.random(5_000) < 0.7, 1, -1)
    for at in range(1, signs.size):  # three signs in four repeat the last one
        if rng.random() < 0.5:
            signs[at] = signs[at - 1]
    state, _ = update_micro(MicroState.initial(), frame(row(VenueFlow(1, NOW))), 100.0, NOW)
    flow = VenueFlow(
        1, NOW + SECOND, prints=signs.size, signs=int(signs.sum()), sign_pairs=signs.size - 1,
        sign_products=int((signs[1:] * signs[:-1]).sum()),
    )  # fmt: skip
    _, view = update_micro(state, frame(row(flow)), 100.0, NOW + SECOND)
    expected = np.corrcoef(signs[1:], signs[:-1])[0, 1]
    assert view.window(1).sign_autocorrelation == pytest.approx(expected, abs=2e-3)
    assert expected > 0.3


@pytest.mark.parametrize("pairs", [0, 29])
def test_few_signs_have_no_autocorrelation(pairs: int) -> None:
    state, _ = update_micro(MicroState.initial(), frame(row(VenueFlow(1, NOW))), 100.0, NOW)
    flow = VenueFlow(1, NOW, prints=pairs + 1, signs=1, sign_pairs=pairs)
    assert update_micro(state, frame(row(flow)), 100.0, NOW + SECOND)[1].window(1).sign_autocorrelation is None


def test_open_interest_change_needs_both_ends_of_the_window() -> None:
    state = MicroState.initial()
    for second in range(0, 20 * 60 + 1, 10):
        rows = row(VenueFlow(), open_interest=1e9 + 1e3 * second), row(VenueFlow(), "okx", NAN)
        state, view = update_micro(state, frame(*rows), 100.0, NOW + second * SECOND)
    changes = [window.open_interest_change_usd for window in view.windows]
    assert changes == [pytest.approx(60e3), pytest.approx(900e3), None]


def test_quotes_by_hand() -> None:
    quotes = quote_state(row(VenueFlow(1, bid=99.0, bid_size=3.0, ask=101.0, ask_size=1.0)))
    assert quotes is not None
    assert (quotes.mid, quotes.spread_bps, quotes.queue_imbalance) == (100.0, 200.0, 0.5)
    assert quotes.micro_price == 99.0 * 0.25 + 101.0 * 0.75


@pytest.mark.parametrize(("bid", "ask", "age_s"), [(NAN, 101.0, 0.1), (101.0, 101.0, 0.1), (99.0, 101.0, 10.1)])
def test_no_quotes_without_a_fresh_two_sided_book(bid: float, ask: float, age_s: float) -> None:
    assert quote_state(row(VenueFlow(1, bid=bid, bid_size=1.0, ask=ask, ask_size=1.0), book_age_s=age_s)) is None


def minutes_of_impact(count: int, slope: float, gap_at: int | None = None) -> tuple[MicroState, MicroView]:
    """A tick every ten seconds; each minute's return is `slope` times its signed flow."""
    rng, state, flow, spot = np.random.default_rng(8), MicroState.initial(), VenueFlow(since_ns=NOW), 1e5
    ts_ns = NOW
    for minute in range(count + 1):
        signed = float(rng.normal(0.0, 5e6))
        spot *= float(np.exp(slope * signed + rng.normal(0.0, 1e-6)))
        flow = msgspec.structs.replace(
            flow, buy_usd=flow.buy_usd + max(signed, 0.0), sell_usd=flow.sell_usd - min(signed, 0.0)
        )
        if minute == gap_at:
            ts_ns += HOUR
        for _ in range(6):
            flow = msgspec.structs.replace(flow, last_print_ns=ts_ns)
            state, view = update_micro(state, frame(row(flow)), spot, ts_ns)
            ts_ns += 10 * SECOND
    return state, view


def test_lambda_recovers_the_impact_of_the_flow() -> None:
    _, view = minutes_of_impact(90, 2e-11)
    assert view.kyle is not None
    assert view.kyle.minutes == view.kyle_minutes == 90
    assert view.kyle.value == pytest.approx(2e-11, rel=0.05)
    assert view.kyle.lo < 2e-11 < view.kyle.hi


def test_lambda_waits_for_an_hour_of_minutes_and_leaves_the_gap_out() -> None:
    _, view = minutes_of_impact(MIN_LAMBDA_MINUTES - 1, 2e-11)
    assert (view.kyle, view.kyle_minutes) == (None, MIN_LAMBDA_MINUTES - 1)
    _, view = minutes_of_impact(70, 2e-11, gap_at=30)
    assert view.kyle is not None
    assert view.kyle.minutes == 69


@pytest.mark.slow
def test_state_is_bounded() -> None:
    state, _ = minutes_of_impact(600, 1e-11)
    assert state.minutes.times.size == 241
    assert state.markets[0].window.times.size == 361

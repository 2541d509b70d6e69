from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.core.freshness import FreshnessLimits
from dfmon.core.scenario.liquidity import DEPTH_MEDIAN_NS, DEPTH_SAMPLE_NS, DepthHistory, MarketView, market_view
from dfmon.model.events import Market
from dfmon.model.frames import ExpectedMarket, MarketFrame, VenueMarket
from dfmon.model.units import MINUTE, NAN, SECOND
from tests.chains import NOW, market

EMPTY = DepthHistory.empty()
ROW = VenueMarket("a", Market.PERP, 100.0, 1e6, 1e9, 2e8, 1e-4, 100.0, 0.0, 0.0, 0.0)
VENUES = "abcd"
EXPECTED = tuple(ExpectedMarket(name, Market.PERP, True, True) for name in VENUES)


def view(
    *rows: VenueMarket,
    history: DepthHistory = EMPTY,
    ts_ns: int = NOW,
    expected: tuple[ExpectedMarket, ...] = (),
    limits: FreshnessLimits | None = None,
) -> MarketView:
    return market_view(MarketFrame(rows, 0.0, 0.0, expected), history, ts_ns, limits or FreshnessLimits())


def every(names: str = VENUES) -> list[VenueMarket]:
    return [replace(ROW, venue=name) for name in names]


def filled(*rows: VenueMarket, minutes: float = 15.0) -> DepthHistory:
    """The history after so many minutes of these books, before NOW."""
    history = EMPTY
    for age_ns in range(round(minutes * MINUTE), 0, -DEPTH_SAMPLE_NS):
        history = view(*rows, history=history, ts_ns=NOW - age_ns).depth_history
    return history


# ---- sums ------------------------------------------------------------------------------------------------------------


def test_sums_run_over_all_markets_and_name_them() -> None:
    now = view(ROW, replace(ROW, venue="b", depth_usd=2e6, volume_usd=3e9))
    assert (now.depth_usd, now.adv_usd, now.markets) == (3e6, 4e9, 2)
    assert now.depth.markets == now.volume.markets == ("a perp", "b perp")


def test_nothing_said_is_none_not_zero() -> None:
    now = view()
    assert (now.depth_usd, now.adv_usd, now.funding_8h, now.markets) == (None, None, None, 0)
    assert (now.depth.quality, now.volume.quality) == ("absent", "absent")


def test_nan_leaves_a_market_out_of_that_sum_only() -> None:
    now = view(ROW, replace(ROW, venue="b", depth_usd=NAN))
    assert (now.depth_usd, now.adv_usd) == (1e6, 2e9)


def test_zero_volume_is_a_number_and_no_volume_is_none() -> None:
    assert view(replace(ROW, volume_usd=0.0)).adv_usd == 0.0
    assert view(replace(ROW, volume_usd=NAN)).adv_usd is None


@pytest.mark.parametrize(("age_s", "counts"), [(10.0, True), (10.0001, False)])
def test_a_book_counts_up_to_its_age_limit_whatever_the_age_of_the_ticker(age_s: float, counts: bool) -> None:
    now = view(ROW, replace(ROW, venue="b", book_age_s=age_s))
    assert now.depth_usd == (2e6 if counts else 1e6)
    old_ticker = view(ROW, replace(ROW, venue="b", age_s=61.0))
    assert (old_ticker.depth_usd, old_ticker.markets) == (2e6, 1)


# ---- partial sums ----------------------------------------------------------------------------------------------------


def test_a_missing_market_of_a_connected_venue_makes_the_sums_partial_and_is_named() -> None:
    rows = every("abc")
    now = view(*rows, history=filled(*every()), expected=EXPECTED)
    assert (now.volume.usd, now.volume.missing, now.volume.quality) == (3e9, ("d perp",), "partial")
    assert (now.depth.usd, now.depth.missing, now.depth.quality) == (4e6, ("d perp",), "partial")
    whole = view(*every(), history=filled(*every()), expected=EXPECTED)
    assert (whole.volume.quality, whole.depth.quality, whole.depth.missing) == ("ok", "ok", ())


@pytest.mark.parametrize(("reporting", "known"), [("a", False), ("ab", True), ("abc", True)])
def test_below_half_of_the_markets_there_is_no_sum(reporting: str, known: bool) -> None:
    now = view(*every(reporting), expected=EXPECTED)
    assert (now.adv_usd is not None, now.depth_usd is not None) == (known, known)
    assert now.volume.missing == tuple(f"{name} perp" for name in VENUES if name not in reporting)


@given(st.permutations(VENUES), st.integers(0, 4), st.floats(0.0, 1e5))
def test_losing_markets_never_makes_the_volume_look_many_times_smaller(
    order: list[str], lost: int, age_s: float
) -> None:
    """A volume over its limit stays in the sum, so that hedging never jumps to many times its share of the volume."""
    rows = [replace(ROW, venue=name, volume_age_s=age_s if name in order[:lost] else 0.0) for name in VENUES]
    total = view(*rows, expected=EXPECTED).volume
    assert total.usd is None or total.usd >= 0.5 * 4e9
    assert (total.quality == "ok") is (not lost or age_s <= 600.0)


@pytest.mark.parametrize(
    ("age_s", "usd", "quality"), [(600.0, 4e9, "ok"), (600.1, 4e9, "partial"), (86_400.0, 4e9, "partial"),
    (86_401.0, 3e9, "partial")],
)  # fmt: skip
def test_an_old_volume_stays_for_a_day_and_is_named(age_s: float, usd: float, quality: str) -> None:
    total = view(*every("bcd"), replace(ROW, volume_age_s=age_s), expected=EXPECTED).volume
    assert (total.usd, total.quality) == (usd, quality)
    assert total.missing == (() if quality == "ok" else ("a perp",))


def test_rest_alone_has_no_volume_instead_of_a_thirtieth_of_it() -> None:
    perp_of_the_options_venue = replace(ROW, venue="o", volume_usd=0.71e9)
    expected = (*EXPECTED, ExpectedMarket("o", Market.PERP, False, True))
    rest = [replace(ROW, venue=name, volume_usd=NAN, depth_usd=NAN) for name in VENUES]
    now = view(perp_of_the_options_venue, *rest, expected=expected)
    assert (now.adv_usd, now.volume.markets) == (None, ("o perp",))


# ---- depth -----------------------------------------------------------------------------------------------------------


def test_depth_is_the_median_of_fifteen_minutes_so_a_blink_does_not_move_it() -> None:
    history = EMPTY
    for i, usd in enumerate([1e6, 1e6, 5.0, 1e6]):
        history = view(replace(ROW, depth_usd=usd), history=history, ts_ns=NOW + i * DEPTH_SAMPLE_NS).depth_history
    now = NOW + 4 * DEPTH_SAMPLE_NS
    assert view(replace(ROW, depth_usd=5.0), history=history, ts_ns=now).depth_usd == 1e6


def test_markets_that_report_one_after_the_other_do_not_make_depth_climb_for_minutes() -> None:
    history, seen = EMPTY, list[float | None]()
    for i in range(12):
        now = view(*every(VENUES[: i + 1]), history=history, ts_ns=NOW + i * DEPTH_SAMPLE_NS, expected=EXPECTED)
        history = now.depth_history
        seen.append(now.depth_usd)
    assert seen == [None, 2e6, 3e6, *[4e6] * 9], "at once whole, and not the median of half sums"


@pytest.mark.parametrize(("minutes", "quality"), [(1.0, "partial"), (14.0, "partial"), (15.0, "ok")])
def test_depth_is_partial_until_its_fifteen_minutes_are_full(minutes: float, quality: str) -> None:
    depth = view(*every(), history=filled(*every(), minutes=minutes), expected=EXPECTED).depth
    assert (depth.usd, depth.quality) == (4e6, quality)
    assert depth.note == ("" if quality == "ok" else "its median is not yet of 15 minutes")


def test_a_market_whose_book_is_lost_stays_by_its_median_and_is_named() -> None:
    history = filled(*every())
    for second in range(0, 5 * 60, 10):
        now = view(*every("abc"), history=history, ts_ns=NOW + second * SECOND, expected=EXPECTED)
        history = now.depth_history
    assert (now.depth.usd, now.depth.missing) == (4e6, ("d perp",))
    for second in range(5 * 60, 16 * 60, 10):
        now = view(*every("abc"), history=history, ts_ns=NOW + second * SECOND, expected=EXPECTED)
        history = now.depth_history
    assert (now.depth.usd, now.depth.missing) == (3e6, ("d perp",))


def test_less_than_a_dollar_is_no_depth() -> None:
    assert view(replace(ROW, depth_usd=1e-303)).depth_usd == 0.0
    assert view(replace(ROW, depth_usd=1.0)).depth_usd == 1.0


def test_depth_is_forgotten_after_fifteen_minutes() -> None:
    history = view(ROW).depth_history
    gone = replace(ROW, depth_usd=NAN)
    assert view(gone, history=history, ts_ns=NOW + 15 * MINUTE).depth_usd == 1e6
    assert view(gone, history=history, ts_ns=NOW + 15 * MINUTE + SECOND).depth_usd is None


@pytest.mark.slow
@given(st.lists(st.lists(st.sampled_from([NAN, 1e5, 1e6, 3e6]), min_size=3, max_size=3), min_size=1, max_size=30))
def test_depth_is_the_sum_of_the_medians_of_the_markets(samples: list[list[float]]) -> None:
    history, ts_ns = EMPTY, NOW
    for number, depths in enumerate(samples):
        ts_ns = NOW + number * DEPTH_SAMPLE_NS
        rows = [replace(ROW, venue=name, depth_usd=usd) for name, usd in zip("abc", depths)]
        history = view(*rows, history=history, ts_ns=ts_ns).depth_history
    columns = np.array([row for row in samples if not np.isnan(row).all()]).reshape(-1, 3).T
    medians = [float(np.nanmedian(column)) for column in columns if np.isfinite(column).any()]
    assert view(history=history, ts_ns=ts_ns).depth_usd == (pytest.approx(sum(medians)) if medians else None)


# ---- funding ---------------------------------------------------------------------------------------------------------


def test_funding_is_weighted_by_open_interest_where_all_say_it_and_plain_where_not() -> None:
    other = replace(ROW, venue="b", funding_8h=4e-4, open_interest_usd=6e8)
    spot = replace(ROW, market=Market.SPOT, funding_8h=9.0)
    assert view(ROW, other, spot).funding_8h == pytest.approx((1e-4 * 2 + 4e-4 * 6) / 8)
    assert view(ROW, replace(other, open_interest_usd=NAN)).funding_8h == pytest.approx(2.5e-4)
    assert view(ROW, replace(other, market=Market.INVERSE), spot).funding_8h == view(ROW, other).funding_8h


def test_builder_market_is_complete() -> None:
    now = market_view(market(depth=5.0, volume=24.0), EMPTY, NOW, FreshnessLimits())
    assert (now.depth_usd, now.adv_usd) == (5.0, 24.0)


def test_samples_cover_the_whole_fifteen_minutes_and_no_more() -> None:
    history = filled(ROW, minutes=20.0).push(NOW, {"a perp": 2e6})
    assert history.span_s(NOW) == DEPTH_MEDIAN_NS / SECOND == 900.0
    assert history.window.times.size == DEPTH_MEDIAN_NS // DEPTH_SAMPLE_NS + 1

"""The score of made-up days, against formulas written out in loops."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from dfmon.core.scenario.live_score import _AT, _QUARTER_COLUMNS, MIN_CASES, QUARTER, ScoreState, score_of
from dfmon.core.scenario.rolling import RollingWindow
from dfmon.core.snapshot.score_values import missing_score_reasons
from dfmon.core.step import FlowParams
from dfmon.model.score import Coverage
from dfmon.model.units import DAY, HOUR, MINUTE
from tests.chains import SPOT, known, path, run
from tests.snapshot_checks import check

MIDNIGHT = 1_769_040_000_000_000_000


def window(step_ns: int, rows: np.ndarray, start_ns: int = MIDNIGHT) -> RollingWindow:
    """Rows one step apart, the first one at the start."""
    times = start_ns + step_ns * np.arange(len(rows), dtype=np.int64)
    return RollingWindow(step_ns, len(rows) + 1, times, np.asarray(rows, float))


def minutes(count: int, psi: float, seed: int = 1, modelled: float | None = None) -> RollingWindow:
    """A market that takes back `psi` of each minute."""
    noise = 5e-4 * np.random.default_rng(seed).standard_normal(count)
    returns = np.zeros(count)
    for n in range(1, count):
        returns[n] = noise[n] - psi * returns[n - 1]
    shown = np.full(count, psi if modelled is None else modelled)
    return window(MINUTE, np.column_stack([SPOT * np.exp(np.cumsum(returns)), shown]))


def quarters(count: int, **columns: object) -> RollingWindow:
    """Quarters with an outlook of `value` at -1, 0 and 1 sd, bands of +-10, and a hedge trade of a quarter of it."""
    rows = np.full((count, len(_QUARTER_COLUMNS)), np.nan)
    given = {"spot": SPOT, "sd": 0.01, "settlement": 0.0, "hedge": 25.0, "hedge lo": 15.0, "hedge hi": 35.0}
    for case in ("-1 sd", "1 h", "+1 sd"):
        given |= {f"{case} value": 100.0, f"{case} lo": 90.0, f"{case} hi": 110.0}
    for case in ("-1 %", "+1 %"):
        given |= {f"{case} spot": 0.0}
    given |= {"gamma": 0.0, "taker": np.nan}
    for name, value in (given | columns).items():
        rows[:, _AT[name]] = value
    return window(QUARTER, rows)


EMPTY = ScoreState.initial()


@pytest.mark.parametrize("psi", [-0.3, 0.3])
def test_a_market_with_feedback_shows_its_sign_and_size(psi: float) -> None:
    tape = score_of(minutes(1_440, psi), EMPTY.quarters, MIDNIGHT + DAY - 1).tape
    assert known(tape.lo) < psi < known(tape.hi)
    assert known(tape.coefficient) == pytest.approx(psi, abs=0.06)
    assert (known(tape.variance_ratio) < 1.0) == (psi > 0.0)
    assert tape.modelled == pytest.approx(psi)
    assert tape.hours == 24
    assert known(tape.agreement) > 0.9


def test_the_wrong_sign_disagrees() -> None:
    tape = score_of(minutes(1_440, 0.3, modelled=-0.3), EMPTY.quarters, MIDNIGHT + DAY - 1).tape
    assert known(tape.agreement) < 0.1


def test_variance_ratio_by_loops() -> None:
    rows = minutes(200, 0.2)
    spot = rows.values[:, 0].tolist()
    r = [math.log(b / a) for a, b in pairwise(spot)]
    fives = [sum(r[n : n + 5]) ** 2 for n in range(len(r) - 4)]
    expected = (sum(fives) / len(fives)) / (5.0 * sum(x * x for x in r) / len(r))
    assert score_of(rows, EMPTY.quarters, MIDNIGHT + HOUR).tape.variance_ratio == pytest.approx(expected)


def test_what_was_before_midnight_does_not_count() -> None:
    rows = minutes(1_440, 0.3)
    early = RollingWindow(rows.step_ns, rows.rows, rows.times - 23 * HOUR, rows.values)
    tape = score_of(early, EMPTY.quarters, MIDNIGHT + HOUR).tape
    assert tape.minutes == 60  # from 00:00 on, the first of them from the sample before
    assert tape.agreement is None


def test_a_gap_is_no_return() -> None:
    rows = minutes(300, 0.3)
    kept = np.delete(np.arange(300), slice(100, 200))
    holed = RollingWindow(rows.step_ns, rows.rows, rows.times[kept], rows.values[kept])
    assert score_of(holed, EMPTY.quarters, MIDNIGHT + 5 * HOUR).tape.minutes == 198


def test_outlook_holds_what_it_said_and_misses_what_it_did_not() -> None:
    def share(hedge: float) -> Coverage:
        return score_of(EMPTY.minutes, quarters(40, hedge=hedge), MIDNIGHT + DAY - 1).coverage[0]

    assert share(25.0) == Coverage("outlook_1h", 1.0, 36)
    assert share(27.4) == Coverage("outlook_1h", 1.0, 36)
    assert share(27.6) == Coverage("outlook_1h", 0.0, 36)


def test_outlook_is_read_at_the_move_that_came() -> None:
    """Gamma of one sign: the trade is -k times the move, which four moves of a quarter sd add up to."""
    count = 40
    spot = SPOT * (1.0 + 0.0025) ** np.arange(count)
    cases = {"-1 sd value": 100.0, "-1 sd lo": 90.0, "-1 sd hi": 110.0, "1 h value": 0.0, "1 h lo": -1.0, "1 h hi": 1.0}
    cases |= {"+1 sd value": -100.0, "+1 sd lo": -110.0, "+1 sd hi": -90.0}
    good = quarters(count, spot=spot, hedge=-25.0, **cases)
    assert score_of(EMPTY.minutes, good, MIDNIGHT + DAY - 1).coverage[0].share == 1.0
    bad = quarters(count, spot=spot, hedge=25.0, **cases)
    assert score_of(EMPTY.minutes, bad, MIDNIGHT + DAY - 1).coverage[0].share == 0.0
    far = quarters(count, spot=SPOT * 1.005 ** np.arange(count), hedge=-25.0, **cases)
    assert score_of(EMPTY.minutes, far, MIDNIGHT + DAY - 1).coverage[0].cases == 0  # two sd


def test_hedge_flow_is_scored_by_its_part_of_spot() -> None:
    spot = np.where(np.arange(40) % 2, SPOT * 1.005, SPOT)
    up = np.where(np.arange(40) % 2, -50.0, 50.0)  # the trade of each quarter: half of the case of 1 %
    cases = {"-1 % spot": 100.0, "+1 % spot": -100.0}
    for factor, share in ((1.0, 1.0), (1.2, 0.0)):
        measured = factor * up
        band = {"gamma": measured, "hedge": measured, "hedge lo": measured - 3.0, "hedge hi": measured + 3.0}
        found = score_of(EMPTY.minutes, quarters(40, spot=spot, **band, **cases), MIDNIGHT + DAY - 1)
        assert found.coverage[1] == Coverage("hedge_flow", share, 39)


def test_convention_without_bands_has_no_coverage() -> None:
    names = ("hedge lo", "hedge hi", *(f"{case} {part}" for case in ("-1 sd", "1 h", "+1 sd") for part in ("lo", "hi")))
    score = score_of(EMPTY.minutes, quarters(40, **dict.fromkeys(names, np.nan)), MIDNIGHT + DAY - 1)
    assert [row.share for row in score.coverage] == [None, None]
    assert "score.coverage.0.share: 0 of 8 hours with a band since midnight" in list(missing_score_reasons(score))


def test_taker_flow_with_and_against_the_hedge() -> None:
    hedge = 100.0 * np.random.default_rng(3).standard_normal(40)
    band = {"hedge lo": hedge - 10.0, "hedge hi": hedge + 10.0}
    score = score_of(EMPTY.minutes, quarters(40, hedge=hedge, taker=7.0 * hedge, **band), MIDNIGHT + DAY - 1)
    taker = score.taker
    assert taker.quarters == 39  # the first one ends at midnight
    assert known(taker.correlation) == pytest.approx(1.0)
    assert taker.same_sign == 1.0
    assert taker.decided == np.count_nonzero(np.abs(hedge[1:]) > 10.0)
    few = score_of(EMPTY.minutes, quarters(MIN_CASES, hedge=hedge[:8], taker=1.0), MIDNIGHT + DAY - 1).taker
    assert (few.quarters, few.correlation) == (7, None)


@pytest.mark.slow
def test_score_of_a_session_has_reasons_and_is_the_same_again() -> None:
    rng = np.random.default_rng(5)
    spots = SPOT * np.exp(np.cumsum(4e-4 * rng.standard_normal(4 * 60)))
    ticks = path(spots.tolist())
    snapshots = run(ticks, FlowParams("naive"))[1]
    last = snapshots[-1]
    check(snapshots[0])
    check(last)
    assert last.score.tape.minutes >= 60
    assert last.score == run(ticks, FlowParams("naive"))[1][-1].score

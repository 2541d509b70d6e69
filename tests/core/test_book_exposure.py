"""The book measured on call and put pairs against the same book option by option."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.book_exposure import Exposure, measure_exposure, price_board
from dfmon.core.columns import priceable_columns
from dfmon.core.exposure.unit_exposure import unit_exposures
from dfmon.core.positions.dealer_net import DealerPositions
from dfmon.core.pricing.greek_calc import Numeraire
from dfmon.core.pricing.pairing import PricingPoints
from dfmon.model.frames import ChainFrame
from dfmon.model.metrics import EXPOSURE_NAMES, EXPOSURES
from dfmon.model.units import NAN, SECOND
from tests.chains import NOW, SPOT, frame

# inside the settlement window, inside six hours, inside a day, a day before the settlement window, later
DAYS = (0.01, 0.2, 0.9, 1.01, 9.0, 37.0)


def board() -> ChainFrame:
    made = frame(days=DAYS)
    sigma = made.sigma.copy()
    sigma[-1] += 1e-4  # one pair whose volatilities differ
    return replace(made, sigma=sigma, delivery_average=SPOT * 1.001)


def measured(
    numeraire: Numeraire, chain: ChainFrame | None = None
) -> tuple[Exposure, np.ndarray, np.ndarray, np.ndarray]:
    """The exposure, the exposures of +1 coin of each option, the positions and the books of the members."""
    chain = board() if chain is None else chain
    rng = np.random.default_rng(4)
    position, books = rng.normal(0.0, 10.0, chain.size), rng.normal(0.0, 10.0, (chain.size, 16))
    cols = priceable_columns(chain, DealerPositions("flow", position, books, None, None))
    unit = unit_exposures(
        cols.forward, cols.strike, cols.sigma, cols.tau, cols.option_type,
        average=cols.average, numeraire=numeraire, inverse=chain.inverse[cols.rows],
    )  # fmt: skip
    found = measure_exposure(price_board(chain, cols, numeraire), cols)
    return found, unit.matrix, position[cols.rows], books[cols.rows]


@pytest.mark.parametrize("numeraire", ["usd", "coin"])
def test_pairs_change_no_roll_up(numeraire: Numeraire) -> None:
    found, each, position, books = measured(numeraire)
    scale = np.abs(each) @ np.abs(position)
    assert found.members is not None
    for i, name in enumerate(EXPOSURE_NAMES):
        assert getattr(found.totals, name) == pytest.approx(each[i] @ position, abs=1e-12 * scale[i]), name
        np.testing.assert_allclose(found.members[i], each[i] @ books, atol=1e-11 * scale[i], err_msg=name)
    np.testing.assert_allclose(found.board.unit_ngi(), each[0], rtol=1e-12)
    cols = priceable_columns(board(), DealerPositions("file", position, None, None, None))
    for codes, by_group in ((cols.strike_code, found.sums.by_strike), (cols.expiry_code, found.sums.by_expiry)):
        for group, sums in enumerate(by_group.T):
            rows = codes == group
            np.testing.assert_allclose(sums, each[:, rows] @ position[rows], atol=1e-12 * scale.max())


def test_a_call_and_a_put_that_agree_are_one_point_unless_they_settle_within_the_day_or_count_in_coin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    merging = [spec for spec in EXPOSURES if spec.same_for_call_and_put != "never"]
    monkeypatch.setattr("dfmon.core.book_exposure.EXPOSURES", merging)
    points = measured("usd")[0].board.points
    a_day, a_pair = 2 * len(board().names) // len(DAYS) // 2, len(board().names) // len(DAYS) // 2
    assert points.option.size == 3 * a_day + 3 * a_pair + 1  # three expiries settle within the day, one pair differs
    assert (
        measured("coin")[0].board.points.option.size == board().size == PricingPoints.unmerged(board().size).option.size
    )


def test_one_metric_that_differs_sets_every_option_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    differing = replace(EXPOSURES[0], same_for_call_and_put="never")
    monkeypatch.setattr("dfmon.core.book_exposure.EXPOSURES", (*EXPOSURES, differing))
    assert measured("usd")[0].board.points.option.size == board().size


def test_the_hedges_lifted_within_the_day_are_those_of_calls_and_puts_apart() -> None:
    chain = frame(days=(0.5,), strikes=(SPOT,))

    def unwind(*position: float) -> float:
        held = DealerPositions("file", np.array(position), None, None, None)
        cols = priceable_columns(chain, held)
        return measure_exposure(price_board(chain, cols, "usd"), cols).totals.unwind

    assert unwind(1.0, 0.0) > 0.0 > unwind(0.0, 1.0)
    assert unwind(1.0, -1.0) == pytest.approx(SPOT)  # delta of a call less that of a put is 1


def test_an_unpriceable_option_leaves_its_partner_alone() -> None:
    chain = board()
    sigma = chain.sigma.copy()
    sigma[-3] = NAN
    found, each, position, _ = measured("usd", replace(chain, sigma=sigma, ts_ns=NOW + SECOND))
    assert each.shape[1] == chain.size - 1
    assert found.totals.ngi == pytest.approx(each[0] @ position, rel=1e-9)


def test_a_band_holds_its_value_where_the_members_lie_to_one_side_of_it() -> None:
    found, *_ = measured("usd")
    totals = found.totals.to_array()
    beside = replace(found, members=totals[:, None] + np.abs(totals)[:, None] * np.linspace(0.1, 0.2, 16))
    for name, value in zip(EXPOSURE_NAMES, totals):
        low, high = beside.bands()[name]
        assert low is not None
        assert high is not None
        assert low <= value <= high
        assert beside.band(np.eye(len(EXPOSURE_NAMES))[EXPOSURE_NAMES.index(name)], name) == pytest.approx((low, high))

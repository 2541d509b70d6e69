import numpy as np
import pytest

from dfmon.core.columns import Columns, atm_sigma, first_of_group, group_sums, priceable_columns
from dfmon.core.positions.dealer_net import dealer_positions
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.step import daily_sigma
from dfmon.model.frames import ChainFrame
from dfmon.model.units import NAN
from tests.chains import NOW, frame, hours


def priceable(board: ChainFrame) -> Columns:
    return priceable_columns(board, dealer_positions("naive", PositionBook.empty(), board))


def board_with_first(column: str, value: float) -> ChainFrame:
    board = frame()
    changed = getattr(board, column).copy()
    changed[0] = value
    return frame(**{column: changed})


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("forward", NAN, "no forward"), ("forward", 0.0, "no forward"), ("forward", np.inf, "no forward"),
        ("forward", 1e-300, "no forward"), ("strike", 1e300, "bad strike"),
        ("open_interest", 1e300, "no open interest"),
        ("sigma", NAN, "no mark volatility"), ("sigma", 0.0, "no mark volatility"),
        ("sigma", 1e-300, "no mark volatility"), ("sigma", 21.0, "no mark volatility"),
        ("open_interest", NAN, "no open interest"), ("open_interest", -1.0, "no open interest"),
        ("strike", 0.0, "bad strike"), ("strike", np.inf, "bad strike"),
    ],
)  # fmt: skip
def test_row_that_cannot_be_priced_is_left_out_and_counted_under_its_reason(
    column: str, value: float, reason: str
) -> None:
    cols = priceable(board_with_first(column, value))
    assert 0 not in cols.rows
    assert cols.size == frame().size - 1
    assert cols.exclusions == (f"1 option: {reason}",)


def test_row_counts_under_its_first_reason_only() -> None:
    assert priceable(frame(forward=np.full(42, NAN), sigma=np.full(42, NAN))).exclusions == ("42 options: no forward",)


def test_expired_row_is_left_out_silently() -> None:
    cols = priceable(frame(ts_ns=NOW + hours(36.0)))
    assert cols.expiries.size == 2
    assert cols.exclusions == ()


def test_usable_is_the_share_of_open_interest_that_can_be_priced() -> None:
    board = board_with_first("sigma", NAN)
    assert priceable(board).priceable_share == pytest.approx(1.0 - board.open_interest[0] / board.open_interest.sum())
    board.open_interest[::2] = np.nan  # options without it count as the others do on average
    assert priceable(board).priceable_share == pytest.approx(0.5, abs=0.05)
    assert priceable(frame(strikes=())).priceable_share == 0.0
    assert priceable(frame(open_interest=np.zeros(42))).priceable_share == 1.0


def test_codes_name_the_strike_and_expiry_of_each_row() -> None:
    board = frame()
    cols = priceable(board)
    np.testing.assert_array_equal(cols.strikes[cols.strike_code], board.strike)
    np.testing.assert_array_equal(cols.expiries[cols.expiry_code], board.expiry_ns)
    assert (np.diff(cols.strikes) > 0).all()


def test_running_average_matters_only_to_what_settles_on_it() -> None:
    board = frame(days=(0.01, 9.0), delivery_average=90_000.0)
    cols = priceable(board)
    assert cols.average is not None
    assert set(cols.average[cols.tau < 0.01]) == {90_000.0}
    assert np.isnan(cols.average[cols.tau > 0.01]).all()
    assert priceable(frame()).average is None


def test_atm_volatility_is_read_where_strike_meets_forward() -> None:
    board = frame(strikes=(90_000.0, 110_000.0), days=(9.0,), sigma=np.array([0.6, 0.6, 0.4, 0.4]))
    x = np.log([0.9, 1.1])
    assert atm_sigma(priceable(board))[0] == pytest.approx(np.interp(0.0, x, [0.6, 0.4]))


def test_daily_volatility_is_linear_in_variance_at_a_constant_day() -> None:
    def daily(*days: float) -> float:
        cols = priceable(frame(strikes=(100_000.0,), days=days, sigma=np.repeat([0.9, 0.5, 0.4][: len(days)], 2)))
        return daily_sigma(cols, atm_sigma(cols))

    near, far = 0.4 * 0.9**2, 1.5 * 0.5**2
    assert daily(0.4, 1.5, 9.0) == pytest.approx(np.sqrt(near + (1.0 - 0.4) / (1.5 - 0.4) * (far - near)))
    assert daily(0.4) == 0.9
    assert np.isnan(daily())


def test_group_helpers() -> None:
    codes = np.array([1, 0, 1])
    assert group_sums(codes, np.array([1.0, 2.0, 4.0]), 3).tolist() == [2.0, 5.0, 0.0]
    assert first_of_group(codes, np.array([1.0, 2.0, 4.0]), 2).tolist() == [2.0, 1.0]

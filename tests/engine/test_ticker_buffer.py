"""Equal time stamps: the newest content is kept, and the time of receipt stays that of the first message."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from dfmon.engine.greek_drift import GreekDrift
from dfmon.engine.option_rows import OptionRows
from dfmon.engine.ticker_buffer import TickerBuffer
from dfmon.model.events import OptionMarks, OptionTicker, RawTicker
from dfmon.model.units import MILLISECOND, SECOND
from tests.chains import NOW, option, ticker

CALL, PUT = option(kind=1), option(kind=-1)
MS = NOW // MILLISECOND


class Raw(RawTicker, frozen=True, gc=False):
    """A ticker of a venue whose unit of open interest is a tenth of a coin."""

    name: str
    exch_ms: int
    tenths: float

    def to_option_ticker(self) -> OptionTicker:
        return ticker(self.name, self.exch_ns, open_interest=self.tenths / 10.0)


def make_buffer() -> tuple[TickerBuffer, OptionRows]:
    rows = OptionRows(4)
    for instrument in (CALL, PUT):
        rows.append(instrument, NOW)
    return TickerBuffer(rows, GreekDrift(), Counter()), rows


def push(buffer: TickerBuffer, is_raw: bool, ms: int, open_interest: float, recv_ns: int) -> None:
    if is_raw:
        buffer.on_raw_ticker(Raw(CALL.name, ms, 10.0 * open_interest), recv_ns)
    else:
        buffer.on_ticker(ticker(CALL.name, ms * MILLISECOND, open_interest=open_interest), recv_ns)


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("flush_between", [False, True])
@pytest.mark.parametrize(
    ("later_ms", "open_interest", "recv_ns"),
    [(MS - 1, 5.0, NOW), (MS, 7.0, NOW), (MS + 1, 7.0, NOW + SECOND)],
    ids=["older", "equal", "newer"],
)
def test_ticker_after_another_by_its_time_stamp(
    is_raw: bool, flush_between: bool, later_ms: int, open_interest: float, recv_ns: int
) -> None:
    buffer, rows = make_buffer()
    push(buffer, is_raw, MS, 5.0, NOW)
    if flush_between:
        buffer.flush_tickers()
    push(buffer, is_raw, later_ms, 7.0, NOW + SECOND)
    buffer.flush_tickers()
    assert rows.float["open_interest"][0] == open_interest
    assert rows.time["ticker_recv_ns"][0] == rows.time["mark_recv_ns"][0] == recv_ns
    assert rows.time["ticker_ns"][0] == max(MS, later_ms) * MILLISECOND


def marks(ns: int, iv: float, *names: str) -> OptionMarks:
    return OptionMarks("deribit", ns, list(names), np.full(len(names), iv), np.full(len(names), iv / 10.0))


@pytest.mark.parametrize(
    ("later_ns", "sigma", "recv_ns"),
    [(NOW - 1, 0.5, NOW + 3), (NOW, 0.6, NOW + 3), (NOW + 1, 0.6, NOW + SECOND)],
    ids=["older", "equal", "newer"],
)
def test_marks_after_others_by_their_time_stamp(later_ns: int, sigma: float, recv_ns: int) -> None:
    buffer, rows = make_buffer()
    buffer.on_marks(marks(NOW, 0.5, CALL.name, PUT.name), NOW + 3)
    buffer.on_marks(marks(later_ns, 0.6, CALL.name, PUT.name), NOW + SECOND)
    assert rows.float["sigma"][:2].tolist() == [sigma, sigma]
    assert rows.float["mark"][:2].tolist() == [sigma / 10.0, sigma / 10.0]
    assert rows.time["mark_recv_ns"][:2].tolist() == [recv_ns, recv_ns]
    assert buffer.marks_received("BTC", np.array([0, 1])).tolist() == [recv_ns, recv_ns]


def test_late_marks_write_only_the_rows_without_newer_ones_also_the_first_row() -> None:
    buffer, rows = make_buffer()
    buffer.on_marks(marks(NOW + 5, 0.7, PUT.name), NOW)
    buffer.on_marks(marks(NOW, 0.6, CALL.name, PUT.name, "NOT-LISTED"), NOW)
    assert rows.float["sigma"][:2].tolist() == [0.6, 0.7]
    assert np.isnan(rows.float["sigma"][2:]).all()


def test_marks_confirm_the_options_of_their_own_settlement_alone() -> None:
    rows = OptionRows(4)
    for instrument in (CALL, PUT):
        rows.append(instrument, NOW)
    rows.inverse[1] = False
    buffer = TickerBuffer(rows, GreekDrift(), Counter())
    buffer.on_marks(marks(NOW, 0.5, CALL.name), NOW + 1)
    assert buffer.marks_received("BTC", np.array([0, 1])).tolist() == [NOW + 1, 0]
    buffer.on_marks(marks(NOW, 0.5, PUT.name), NOW + 2)
    assert buffer.marks_received("BTC", np.array([0, 1])).tolist() == [NOW + 1, NOW + 2]


def test_no_receipt_is_later_than_a_clock_that_was_set_back() -> None:
    buffer, rows = make_buffer()
    push(buffer, False, MS, 5.0, NOW + 9)
    buffer.flush_tickers()
    buffer.on_marks(marks(NOW + SECOND, 0.5, CALL.name), NOW + 9)
    buffer.limit_times(NOW + 4)
    assert (rows.time["ticker_recv_ns"][0], rows.time["mark_recv_ns"][0]) == (NOW + 4, NOW + 4)
    assert buffer.marks_received("BTC", np.array([0, 1])).tolist() == [NOW + 4, NOW + 4]
    buffer.limit_times(NOW + 6)
    assert rows.time["ticker_recv_ns"][0] == NOW + 4


def test_open_interest_waits_for_the_prints_before_it_and_one_value_at_a_time() -> None:
    buffer, rows = make_buffer()
    at = np.array([0, 1])

    def show(seconds: float, open_interest: float, now: float) -> tuple[float, int]:
        push(buffer, False, MS + round(seconds * 1_000), open_interest, NOW)
        buffer.flush_tickers()
        buffer.settle_interest(at, MS * MILLISECOND + round(now * SECOND))
        taken_ns = int(rows.time["interest_ns"][0]) - MS * MILLISECOND
        return float(rows.float["interest"][0]), taken_ns // MILLISECOND

    assert show(0.0, 5.0, 0.1) == (5.0, 0), "the first one is taken at once"
    assert show(1.0, 6.0, 1.1) == (5.0, 0)
    assert show(2.0, 7.0, 2.9) == (5.0, 0)
    assert show(2.9, 7.5, 3.0) == (6.0, 1_000), "two seconds after the venue showed it"
    assert show(3.0, 8.0, 4.8) == (6.0, 1_000)
    assert show(4.8, 9.0, 4.9) == (7.5, 2_900)
    assert np.isnan(rows.float["interest"][1])
    assert rows.time["interest_ns"][1] == 0

"""Numbers of a board that contradict each other: a few such rows are left out, a board of more is refused.

Of 648,000 options recorded on two venues no mark is further from the price of its volatility than exp(.15), counted as
here, and no forward is outside the bounds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import black_price
from dfmon.model.instrument import Settlement
from dfmon.model.units import HOUR, YEAR
from dfmon.store.boards.cells import F64, BadCell
from dfmon.store.boards.decode import Decoded
from dfmon.store.boards.layouts import Matched
from dfmon.store.boards.runs import BoardRows

Rows = NDArray[np.intp]

_TOLERATED_SHARE: Final = 0.1  # of the rows that are compared
_MIN_COMPARED: Final = 20  # fewer are an example made by hand, often of prices without a meaning
_INDEX_SPAN: Final = 2.0  # a forward is between half the index and twice the index,
_STRIKE_SPAN: Final = 5.0  # and between a fifth of the lowest strike of its expiry and five times the highest
_PRICE_FLOOR: Final = 5e-4  # of the forward: an option that is worth less says nothing
_MARK_SPAN: Final = 1.65


class _Comparison(NamedTuple):
    """The ratio of a column to another, NaN in rows that lack either, and where it is too far from 1."""

    ratio: F64
    is_far: NDArray[np.bool_]
    column: str
    other: str
    advice: str


def without_contradictions(rows: Decoded, board: BoardRows, matched: Matched) -> BoardRows:
    """The board without its contradictory rows, whose reasons join the errors of `rows`.

    Raises BadCell, with what to do, where they are more than a tenth.
    """
    at = board.usable
    for compare in (_index_comparison, _strike_comparison, _mark_comparison):
        ratio, is_far, column, other, advice = compare(rows, at, board.ts_ns, matched)
        count, total = np.count_nonzero(is_far), np.count_nonzero(np.isfinite(ratio))
        if total < _MIN_COMPARED:
            continue
        if count > _TOLERATED_SHARE * total:
            times = float(np.median(ratio[is_far]))
            raise BadCell(
                f"seems to be {matched.layout.phrase} whose {column} is {times:.3g} times {other} in {count:,} of "
                f"{total:,} rows: {advice}"
            )
        for row, times in zip(at[is_far].tolist(), ratio[is_far].tolist()):
            rows.errors[row] = f"{column} is {times:.3g} times {other}"
        at = at[~is_far]
    left_out = np.setdiff1d(board.usable, at).tolist()
    return board._replace(usable=at, unusable=(*board.unusable, *left_out)) if left_out else board


def _index_comparison(rows: Decoded, at: Rows, _ts_ns: int, matched: Matched) -> _Comparison:
    ratio = rows.numbers["forward"][at] / rows.numbers["spot"][at]
    names = matched.columns
    return _Comparison(
        ratio, _is_outside(ratio, _INDEX_SPAN), names.get("forward", "forward"), names.get("spot", "the spot"),
        "one currency and unit are expected",
    )  # fmt: skip


def _strike_comparison(rows: Decoded, at: Rows, _ts_ns: int, matched: Matched) -> _Comparison:
    forward, strike = rows.numbers["forward"][at], rows.strike[at]
    expiries, number = np.unique(rows.expiry_ns[at], return_inverse=True)
    lowest, highest = np.full(expiries.size, np.inf), np.zeros(expiries.size)
    np.minimum.at(lowest, number, strike)
    np.maximum.at(highest, number, strike)
    ratio = forward / np.clip(forward, lowest[number], highest[number])
    return _Comparison(
        ratio, _is_outside(ratio, _STRIKE_SPAN), matched.columns.get("forward", "forward"), "the nearest strike",
        "one currency and unit are expected",
    )  # fmt: skip


def _mark_comparison(rows: Decoded, at: Rows, ts_ns: int, matched: Matched) -> _Comparison:
    forward, mark, iv, strike = (*(rows.numbers[name][at] for name in ("forward", "mark", "iv")), rows.strike[at])
    tau = (rows.expiry_ns[at] - ts_ns) / YEAR
    is_linear = np.array([rows.settlements[row] is Settlement.LINEAR for row in at.tolist()], dtype=np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_priced = (mark > 0.0) & (iv > 0.0) & (forward > 0.0) & (tau > HOUR / YEAR)
        quoted = np.where(is_linear, mark / forward, mark)
        model = black_price(forward, strike, iv * np.sqrt(np.maximum(tau, 0.0)), rows.sign[at]) / forward
        ratio = np.where(is_priced, (quoted + _PRICE_FLOOR) / (model + _PRICE_FLOOR), np.nan)
    names = matched.columns
    mark_name, iv_name = names.get("mark", "mark"), names.get("iv", "iv")
    return _Comparison(
        ratio, _is_outside(ratio, _MARK_SPAN), mark_name, f"the price of its {iv_name}",
        f"correct one, or leave out {mark_name}",
    )  # fmt: skip


def _is_outside(ratio: F64, span: float) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        outside: NDArray[np.bool_] = (ratio > span) | (ratio < 1.0 / span)
    return outside

"""Probable dealer positions: minus the customers' net position, per option, with an ensemble for the band.

`flow` is the ensemble estimated from prints; `naive`, `short-all` and `file` are conventions without a band.
Quantities are coins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions.opening_rates import OpeningRates
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.positions.position_state import UNEXPLAINED
from dfmon.model.frames import F64, I64, ChainFrame

POSITION_MODELS: Final = ("flow", "naive", "short-all", "file")
DECIDED_SLOPE: Final = 0.2  # of openings: below it positions on simulated boards are hardly better known than nothing
DECIDED_ERRORS: Final = 2.0  # by so many standard errors the slope has to be above
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, slots=True)
class DealerPositions:
    """Dealer positions of the n options of a frame, coins, + long.

    `members` (n, m), `low`, `high` (5 and 95 %) and `p_long` are None for conventions, and so is `seen` (n,),
    the share of each open interest whose history was observed; `coverage` is its mean weighted by open interest.
    """

    model: str
    position: F64
    members: F64 | None = None
    low: F64 | None = None
    high: F64 | None = None
    p_long: F64 | None = None
    seen: F64 | None = None
    coverage: float | None = None

    @property
    def known(self) -> bool:
        """False for `flow` until the history of some open interest has been seen: it would rest on its prior alone.

        False for a file that names no option of the frame: zero would be a claim.
        """
        if self.model == "flow":
            return bool(self.coverage)
        return self.model != "file" or not bool(np.isnan(self.position).all())


@dataclass(frozen=True, slots=True)
class OpenInterestCheck:
    """Change of open interest since the session began, against the prints, for the n options of a frame. Coins.

    `change` is signed, `printed` the volume behind it, `unexplained` the part without a print; `last_ns` is the time
    of the newest print, 0 where none was observed.
    """

    change: F64
    printed: F64
    unexplained: F64
    last_ns: I64


def dealer_positions(
    model: str, book: PositionBook, frame: ChainFrame, file_positions: Mapping[str, float] | None = None
) -> DealerPositions:
    """Dealer position of every option of the frame under `model`.

    Units: coins, + long. Shapes: (n,) and (n, m).
    Domain: an option without open interest gets NaN; `flow` needs a book advanced by this frame. An option that a file
    does not name has none, NaN if it names none of the frame.
    Source: naive and short-all are the conventions of equity-option vendors; flow is the estimator of `position_book`.
    """
    open_interest = frame.open_interest
    if model == "naive":
        return DealerPositions(model, frame.option_type * open_interest)
    if model == "short-all":
        return DealerPositions(model, -open_interest)
    if model == "file":
        named_positions = file_positions or {}
        absent = 0.0 if any(name in named_positions for name in frame.names) else np.nan
        return DealerPositions(model, np.array([named_positions.get(name, absent) for name in frame.names]))
    return _estimated(book, open_interest)


def _estimated(book: PositionBook, open_interest: F64) -> DealerPositions:
    found, rows = book.estimate, book.frame_rows
    unobserved = book.unobserved
    absent = rows < 0
    if absent.any() or not np.array_equal(rows, np.arange(found.net.size)):
        absent |= unobserved[rows] if found.net.size else True
        at = np.where(rows < 0, 0, rows)
        columns = [column[at] if column.size else np.zeros((rows.size, *column.shape[1:])) for column in (
            found.net, found.low, found.high, found.p_long, found.members, book.seen)]  # fmt: skip
    else:
        absent = unobserved
        columns = [found.net, found.low, found.high, found.p_long, found.members, book.seen]
    net, low, high, p_long, members, seen = columns
    position = np.where(absent, np.nan, net)
    return DealerPositions("flow", position, members, low, high, p_long, seen, mean_share(seen, open_interest))


def positions_by_model(
    book: PositionBook, frame: ChainFrame, chosen: str, file_positions: Mapping[str, float] | None = None
) -> dict[str, DealerPositions]:
    """Positions under every model, in the order of `POSITION_MODELS`; `file` where one was given or is chosen."""
    return {
        model: dealer_positions(model, book, frame, file_positions)
        for model in POSITION_MODELS
        if model in ("flow", "naive", "short-all", chosen) or file_positions is not None
    }


def mean_share(share: F64, open_interest: F64) -> float | None:
    """Mean of `share` weighted by open interest; None where there is none.

    Shapes: (n,), (n,) -> scalar. Domain: open interest NaN or negative counts as none.
    """
    weights = np.where(open_interest > 0.0, open_interest, 0.0)
    total = float(weights.sum())
    return float((share * weights).sum()) / total if 0.0 < total < np.inf else None


def open_interest_check(book: PositionBook) -> OpenInterestCheck:
    """Open interest against prints for the last frame.

    Units: coins. Shapes: as `OpenInterestCheck`. Domain: zero before the first open interest of an option.
    """
    state, rows = book.state, book.frame_rows
    return OpenInterestCheck(
        change=_of_frame(np.nan_to_num(state.last.value - state.first_interest), rows),
        printed=_of_frame(book.printed, rows),
        unexplained=_of_frame(state.sums[:, UNEXPLAINED], rows),
        last_ns=_of_frame(book.newest_ns, rows),
    )


def _of_frame(column: NDArray[_Number], rows: I64) -> NDArray[_Number]:
    """Values of the rows of a frame, 0 for an option without a row."""
    if not column.size:
        return np.zeros(rows.size, column.dtype)
    return np.asarray(np.where(rows >= 0, column[rows], column.dtype.type(0)))


def sign_decided(rates: OpeningRates) -> bool | None:
    """True where prints open and close by what dealers hold: the slope is two standard errors above `DECIDED_SLOPE`.

    False says that open interest tells too little of the sign on this board. None before the slope has an error.
    """
    if rates.slope_error is None:
        return None
    return rates.slope - DECIDED_ERRORS * rates.slope_error > DECIDED_SLOPE

"""One underlying's option board for notebooks: columns given by hand, or read from a file or a venue's response."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dfmon.api.validation import Positions, broadcast_columns, float_array, option_types
from dfmon.core.columns import MAX_QUANTITY
from dfmon.core.pricing.black import F64, Mask
from dfmon.model.units import YEAR

if TYPE_CHECKING:
    from dfmon.api.board_source import BoardColumns


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Board:
    """Columns of n options. USD, decimal volatility, years (ACT/365), open interest in coins; NaN where unknown.

    `reading` says how a file or response was read, "" for columns given by hand.

    >>> board = Board(spot=100.0, strike=[90, 110], sigma=0.5, tau=7 / 365, option_type=["put", "call"])
    >>> board.size, board.forward.tolist()
    (2, [100.0, 100.0])
    """

    spot: float
    forward: F64
    strike: F64
    sigma: F64
    tau: F64
    option_type: F64
    open_interest: F64
    inverse: Mask
    names: tuple[str, ...]
    reading: str

    def __init__(
        self,
        *,
        spot: float,
        strike: ArrayLike,
        sigma: ArrayLike,
        tau: ArrayLike,
        option_type: ArrayLike,
        forward: ArrayLike | None = None,
        open_interest: ArrayLike = 0.0,
        inverse: ArrayLike = True,
        names: Sequence[str] | None = None,
    ) -> None:
        """Columns are array-likes of one length, or single values for all rows; the forward defaults to the spot.

        `option_type` is "call"/"put" (or "C"/"P", +1/-1); `inverse` marks coin-settled options.
        """
        spot_price = float_array("spot", spot)
        if spot_price.ndim or not (spot_price > 0.0 and np.isfinite(spot_price)):
            raise ValueError(f"spot: {spot!r} is no price; one number above 0 is expected")
        arrays: dict[str, F64] = {
            "strike": float_array("strike", strike),
            "sigma": float_array("sigma", sigma),
            "tau": float_array("tau", tau),
            "option_type": option_types("option_type", option_type),
            "forward": spot_price if forward is None else float_array("forward", forward),
            "open_interest": float_array("open_interest", open_interest),
            "inverse": float_array("inverse", inverse),
        }
        columns, shape = broadcast_columns(arrays)
        if len(shape) > 1:
            raise ValueError(f"strike: columns of one dimension are expected, not of shape {shape}")
        size = columns[0].shape[0]
        if names is not None and len(names) != size:
            raise ValueError(f"names: {len(names)} names for {size} options")
        for column in columns:
            column.flags.writeable = False
        fields = dict(zip(arrays, columns), spot=float(spot_price), names=tuple(names or map(str, range(size))))
        fields["inverse"] = columns[-1] != 0.0
        fields["reading"] = ""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        currency: str | None = None,
        spot: float | None = None,
        at: datetime | None = None,
    ) -> Board:
        """The newest board of a file of any kind that dfmon reads (docs/data.md).

        `currency` chooses where several are there, and is that of rows without one; `spot` overrides the index price,
        and `at` is the moment the board is valued at (default: of the newest row; UTC if it has no zone): of a file of
        several polls the newest until then counts. `reading` says how the file was read.
        """
        from dfmon.api import board_source

        return cls._of(board_source.from_path(path, currency, at), spot, at)

    @classmethod
    def from_deribit(
        cls,
        source: object,
        *,
        currency: str | None = None,
        instruments: object = None,
        spot: float | None = None,
        at: datetime | None = None,
    ) -> Board:
        """A board from the path of a file, from rows with names, or from a venue's JSON, as text or decoded.

        `source`: what `from_file` takes; the JSON text of a response; a response with its "result"; rows (of
        `get_book_summary_by_currency`, `ticker` or another layout), a sequence of responses, or a data frame.
        `instruments` is the response of `get_instruments`; without it strike, type and expiry are read from the
        instrument names. The other arguments are those of `from_file`.
        """
        from dfmon.api import board_source

        return cls._of(board_source.from_source(source, instruments, currency, at), spot, at)

    @classmethod
    def _of(cls, columns: BoardColumns, spot: float | None, at: datetime | None) -> Board:
        from dfmon.api.board_source import moment_ns

        price = columns.spot if spot is None else spot
        if price is None:
            raise ValueError("spot: no row carries an index price; the spot must be given")
        given_ns = moment_ns(at)
        now_ns = columns.ts_ns if given_ns is None else given_ns
        board = cls(
            spot=price, forward=columns.forward, strike=columns.strike,
            sigma=columns.sigma, tau=(columns.expiry_ns - now_ns) / YEAR, option_type=columns.option_type,
            open_interest=columns.open_interest, inverse=columns.inverse, names=columns.names,
        )  # fmt: skip
        object.__setattr__(board, "reading", columns.reading)
        return board

    @property
    def size(self) -> int:
        """Number of options."""
        return int(self.strike.shape[0])

    def __repr__(self) -> str:
        days = np.unique(self.tau[np.isfinite(self.tau)]) * 365.0
        span = "no expiry" if not days.size else f"1 expiry in {days[0]:,.1f} days"
        if days.size > 1:
            span = f"{days.size} expiries in {days[0]:,.1f} .. {days[-1]:,.1f} days"
        unknown = int(np.count_nonzero(~(self.forward > 0.0) | ~(self.sigma > 0.0)))
        missing_note = f", {unknown} without forward or volatility" if unknown else ""
        return f"Board({self.size} options, {span}, spot {self.spot:,.2f}{missing_note})"

    def held(self, positions: Positions) -> F64:
        """Dealer position in each option, coins, long = +.

        "naive": calls' open interest long, puts' short; "short-all": all open interest short; a mapping of option
        names to positions (0 where not named); or one number an option. NaN where open interest is no amount.
        """
        if isinstance(positions, str):
            if positions not in ("naive", "short-all"):
                raise ValueError(f"positions: {positions!r} is not known; 'naive' or 'short-all' is expected")
            known = (self.open_interest >= 0.0) & (self.open_interest < MAX_QUANTITY)
            return np.where(known, (self.option_type if positions == "naive" else -1.0) * self.open_interest, np.nan)
        if isinstance(positions, Mapping):
            unknown = sorted(set(positions) - set(self.names))
            if unknown:
                raise ValueError(f"positions: {unknown[0]!r} is not on the board ({len(unknown)} unknown names)")
            return float_array("positions", [positions.get(name, 0.0) for name in self.names])
        column = float_array("positions", positions)
        if column.shape not in ((), self.strike.shape):
            raise ValueError(f"positions: shape {column.shape}, one number for each of {self.size} options is expected")
        return np.ascontiguousarray(np.broadcast_to(column, self.strike.shape))

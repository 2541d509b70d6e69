"""One underlying's option board for notebooks: columns given by hand, or read from what Deribit publishes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dfmon.api.validation import Positions, broadcast_columns, float_array, option_types
from dfmon.core.pricing.black import F64, Mask
from dfmon.model.units import HOUR, MILLISECOND, MONTHS, YEAR

_OPTION_NAME: Final = re.compile(r"([A-Z0-9]+)(_[A-Z]+)?-(\d{1,2})([A-Z]{3})(\d{2})-(\d+(?:d\d+)?)-([CP])")
_DELIVERY_TIME: Final = 8 * HOUR

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, init=False, eq=False, repr=False)
class Board:
    """Columns of n options. USD, decimal volatility, years (ACT/365), open interest in coins; NaN where unknown.

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
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_deribit(
        cls,
        source: str | os.PathLike[str] | bytes | Mapping[str, Any] | Rows,
        *,
        currency: str | None = None,
        instruments: Mapping[str, Any] | Rows | None = None,
        spot: float | None = None,
        at: datetime | None = None,
    ) -> Board:
        """A board from a recorded file, from rows, or from the venue's JSON.

        `source`: the path of a board file (csv, csv.gz, parquet) or of a .json file; the JSON text of a response; a
        response with its "result"; or a sequence of such results (`get_book_summary_by_currency` rows or `ticker`
        results). `instruments` is the response of `get_instruments`; without it strike, type and expiry are read from
        the instrument names. `currency` chooses where several are there, `spot` overrides the index price, and `at`
        the moment the board is valued at (default: of the newest row).
        """
        if isinstance(source, str | os.PathLike) and not str(source).lstrip().startswith(("{", "[")):
            path = os.fspath(source)
            if not str(path).endswith(".json"):
                return _from_file(cls, path, currency, spot, at)
            with open(path, "rb") as file:  # noqa: PTH123  an os.PathLike need not be a Path
                source = file.read()
        rows = _result_rows("source", source)
        listed = None if instruments is None else _rows_by_name(_result_rows("instruments", instruments))
        return _from_rows(cls, rows, listed, currency, spot, at)

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
        names to positions (0 where not named); or one number an option.
        """
        if isinstance(positions, str):
            if positions not in ("naive", "short-all"):
                raise ValueError(f"positions: {positions!r} is not known; 'naive' or 'short-all' is expected")
            return np.nan_to_num((self.option_type if positions == "naive" else -1.0) * self.open_interest)
        if isinstance(positions, Mapping):
            unknown = sorted(set(positions) - set(self.names))
            if unknown:
                raise ValueError(f"positions: {unknown[0]!r} is not on the board ({len(unknown)} unknown names)")
            return float_array("positions", [positions.get(name, 0.0) for name in self.names])
        column = float_array("positions", positions)
        if column.shape not in ((), self.strike.shape):
            raise ValueError(f"positions: shape {column.shape}, one number for each of {self.size} options is expected")
        return np.ascontiguousarray(np.broadcast_to(column, self.strike.shape))


def _result_rows(name: str, source: object) -> Rows:
    """The list of rows in a response, however it is wrapped."""
    if isinstance(source, str | bytes):
        try:
            source = msgspec.json.decode(source)
        except msgspec.DecodeError as exc:
            raise ValueError(f"{name}: no JSON: {exc}") from None
    if isinstance(source, Mapping):
        if "error" in source and "result" not in source:
            raise ValueError(f"{name}: the venue answered with an error: {str(source['error'])[:200]}")
        source = source.get("result", [source])
    if isinstance(source, Mapping):
        source = [source]
    rows = list(source) if isinstance(source, Iterable) else None
    if rows is None or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"{name}: a path, a response with 'result', or rows with named fields are expected")
    return [row.get("result", row) for row in rows]


def _rows_by_name(rows: Rows) -> dict[str, Mapping[str, Any]]:
    return {str(row.get("instrument_name")): row for row in rows}


def _first_number(row: Mapping[str, Any], *names: str) -> float:
    """The first of the fields that is a number, else NaN."""
    for name in names:
        value = row.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return float("nan")


def _contract_terms(name: str, listed: Mapping[str, Any] | None) -> tuple[str, float, float, int, bool]:
    """Underlying, strike, sign, expiry (ns) and whether it is coin-settled; from the listing, else from the name."""
    if listed is not None:
        sign = 1.0 if listed.get("option_type") == "call" else -1.0
        expiry = int(_first_number(listed, "expiration_timestamp")) * MILLISECOND
        linear = listed.get("instrument_type") == "linear"
        return str(listed.get("base_currency", "")), _first_number(listed, "strike"), sign, expiry, not linear
    match = _OPTION_NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"source: {name[:40]!r} is no option name such as BTC-27DEC24-60000-C; give `instruments`")
    base, linear_in, day, month, year, strike, letter = match.groups()
    if month not in MONTHS:
        raise ValueError(f"source: {name[:40]!r} names no month")
    date = datetime(2000 + int(year), MONTHS.index(month) + 1, int(day), tzinfo=UTC)
    expiry = int(date.timestamp()) * 1_000 * MILLISECOND + _DELIVERY_TIME
    return base, float(strike.replace("d", ".")), 1.0 if letter == "C" else -1.0, expiry, linear_in is None


def _from_rows(
    cls: type[Board],
    rows: Rows,
    listed: Mapping[str, Mapping[str, Any]] | None,
    currency: str | None,
    spot: float | None,
    at: datetime | None,
) -> Board:
    table, names, bases = [], [], []
    for row in rows:
        name = str(row.get("instrument_name", ""))
        if listed is not None and name not in listed:
            continue
        base, strike, sign, expiry, inverse = _contract_terms(name, None if listed is None else listed[name])
        names.append(name)
        bases.append(base)
        timestamp_ns = _first_number(row, "timestamp", "creation_timestamp") * MILLISECOND
        index = _first_number(row, "index_price", "estimated_delivery_price")
        forward, sigma = _first_number(row, "underlying_price"), _first_number(row, "mark_iv") / 100.0
        table.append(
            (forward, strike, sigma, expiry, sign, _first_number(row, "open_interest"), inverse, timestamp_ns, index)
        )
    if not table:
        raise ValueError("source: it holds no options")
    columns = np.array(table, dtype=np.float64).reshape(-1, 9)
    mask = _currency_mask(np.array(bases, dtype=np.str_), currency)
    return _build_board(cls, columns[mask], [names[row_index] for row_index in np.flatnonzero(mask)], spot, at)


def _currency_mask(bases: NDArray[np.str_], currency: str | None) -> Mask:
    currencies = sorted(set(bases.tolist()))
    if currency is None and len(currencies) > 1:
        raise ValueError(f"currency: the source holds {', '.join(currencies)}; one of them must be chosen")
    if currency is not None and currencies and currency not in currencies:
        raise ValueError(f"currency: {currency!r} is not in the source, which holds {', '.join(currencies)}")
    return np.asarray(bases == currency) if currency is not None else np.ones(bases.shape, dtype=np.bool_)


def _build_board(cls: type[Board], columns: F64, names: list[str], spot: float | None, at: datetime | None) -> Board:
    """A board from (forward, strike, sigma, expiry ns, type, open interest, inverse, time ns, index) rows."""
    forward, strike, sigma, expiry, option_type, interest, inverse, timestamp_ns, index = columns.T
    known_times = timestamp_ns[np.isfinite(timestamp_ns)]
    if at is None and not known_times.size:
        raise ValueError("at: no row carries a time; the moment of valuation must be given")
    now = at.timestamp() * 1e9 if at is not None else float(known_times.max())
    if spot is None:
        newest_prices = index[
            np.isfinite(index) & (timestamp_ns == (known_times.max() if known_times.size else np.nan))
        ]
        index_prices = newest_prices if newest_prices.size else index[np.isfinite(index)]
        if not index_prices.size:
            raise ValueError("spot: no row carries an index price; the spot must be given")
        spot = float(np.median(index_prices))
    return cls(
        spot=spot, forward=forward, strike=strike, sigma=sigma, tau=(expiry - now) / YEAR, option_type=option_type,
        open_interest=interest, inverse=inverse, names=names,
    )  # fmt: skip


def _from_file(cls: type[Board], path: str, currency: str | None, spot: float | None, at: datetime | None) -> Board:
    """The first board of a recorded file."""
    from dfmon.model.errors import DfmonError
    from dfmon.model.events import IndexPrice, Listed, OptionTicker
    from dfmon.model.instrument import OptionType, Settlement
    from dfmon.store import boards

    try:
        currencies = boards.currencies(path)
        _currency_mask(np.array(currencies, dtype=np.str_), currency)
        board = next(iter(boards.read_boards(path, None if currency is None else [currency])))
    except (DfmonError, StopIteration) as exc:
        raise ValueError(f"source: {exc or 'the file holds no board'}") from None
    listed = {event.instrument.name: event.instrument for event in board.events if isinstance(event, Listed)}
    index = next((event.price for event in board.events if isinstance(event, IndexPrice)), float("nan"))
    tickers = [event for event in board.events if isinstance(event, OptionTicker)]
    table = []
    for row in tickers:
        option = listed[row.name]
        sign = 1.0 if option.option_type is OptionType.CALL else -1.0
        inverse = option.settlement is Settlement.INVERSE
        interest = row.open_interest
        table.append(
            (row.forward, option.strike, row.mark_iv, option.expiry_ns, sign, interest, inverse, board.ts_ns, index)
        )
    return _build_board(cls, np.array(table, dtype=np.float64).reshape(-1, 9), [row.name for row in tickers], spot, at)

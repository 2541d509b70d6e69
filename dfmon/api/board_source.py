"""Boards of files and responses as columns, by the reader that the monitor uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64, Mask
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.events import IndexPrice, Listed, OptionTicker
from dfmon.model.instrument import OptionType, Settlement
from dfmon.model.units import nanoseconds
from dfmon.store.boards import BoardFile, Documents, RecordedBoard, report
from dfmon.store.boards.cells import BadCell, quoted
from dfmon.store.boards.json_text import parse_documents


class BoardColumns(NamedTuple):
    """Columns of one board, its time, its spot (None if no row has one), and how it was read."""

    ts_ns: int
    spot: float | None
    forward: F64
    strike: F64
    sigma: F64
    expiry_ns: NDArray[np.int64]
    option_type: F64
    open_interest: F64
    inverse: Mask
    names: tuple[str, ...]
    reading: str


def from_path(path: str | os.PathLike[str], currency: str | None, at: datetime | None) -> BoardColumns:
    """The newest board of a file. Raises ValueError that names the argument."""
    ts_ns = moment_ns(at)
    return _columns(lambda: BoardFile(Path(os.fspath(path)), ts_ns, currency or ""), currency, ts_ns)


def from_source(source: object, instruments: object, currency: str | None, at: datetime | None) -> BoardColumns:
    """The newest board of a path, JSON text, or decoded JSON. Raises ValueError that names the argument."""
    if isinstance(source, str | os.PathLike) and not str(source).lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        if instruments is None:
            return from_path(source, currency, at)
        source = Path(os.fspath(source)).read_bytes()
    ts_ns = moment_ns(at)
    documents = _decoded("source", source)
    references = [] if instruments is None else _decoded("instruments", instruments)
    return _columns(lambda: BoardFile(Documents(documents, references), ts_ns, currency or ""), currency, ts_ns)


def moment_ns(at: datetime | None) -> int | None:
    """The moment of the argument `at` in nanoseconds; UTC if it has no zone. Raises ValueError for anything else."""
    if at is None:
        return None
    try:
        return nanoseconds(at)
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise ValueError(
            f"at: {quoted(at)} is no moment; a datetime such as datetime(2026, 1, 30, 8) is expected"
        ) from None


def _decoded(name: str, source: object) -> list[Any]:
    """Documents of JSON text, or what was given if it is decoded already."""
    if isinstance(source, str | bytes):
        try:
            return parse_documents(source.removeprefix("\ufeff") if isinstance(source, str) else source)[0]
        except BadCell as exc:
            raise ValueError(f"{name}: {exc}") from None
    if isinstance(source, Mapping) or hasattr(source, "to_dict"):
        return [source]
    if isinstance(source, Iterable):
        return [list(source)]
    raise ValueError(f"{name}: a path, JSON, a response, or rows with named fields are expected")


def _columns(read: Callable[[], BoardFile], currency: str | None, at_ns: int | None) -> BoardColumns:
    """The newest board until `at_ns`, or the newest one if all are later."""
    try:
        file = read()
        _check_currency(file.currencies, currency)
        currencies = None if currency is None else [currency]
        boards = file.last_boards(currencies)
        if at_ns is not None and boards[0].ts_ns > at_ns:
            with suppress(UsageError):
                boards = file.last_boards(currencies, at_ns)
    except DfmonError as exc:
        raise ValueError(f"source: {exc}") from None
    return board_columns(boards[0], report.summary(file.findings))


def _check_currency(found: tuple[str, ...], currency: str | None) -> None:
    if currency is None and len(found) > 1:
        raise ValueError(f"currency: the source holds {', '.join(found)}; one of them must be chosen")
    if currency is not None and currency.upper() not in found:
        raise ValueError(f"currency: {currency!r} is not in the source, which holds {', '.join(found)}")


def board_columns(board: RecordedBoard, reading: str = "") -> BoardColumns:
    """The columns of a board; `reading` says how its source was read."""
    options = {event.instrument.name: event.instrument for event in board.events if isinstance(event, Listed)}
    spot = next((event.price for event in board.events if isinstance(event, IndexPrice)), None)
    tickers = [event for event in board.events if isinstance(event, OptionTicker)]
    listed = [options[ticker.name] for ticker in tickers]
    return BoardColumns(
        board.ts_ns,
        spot,
        np.array([ticker.forward for ticker in tickers], dtype=np.float64),
        np.array([option.strike for option in listed], dtype=np.float64),
        np.array([ticker.mark_iv for ticker in tickers], dtype=np.float64),
        np.array([option.expiry_ns for option in listed], dtype=np.int64),
        np.array([1.0 if option.option_type is OptionType.CALL else -1.0 for option in listed]),
        np.array([ticker.open_interest for ticker in tickers], dtype=np.float64),
        np.array([option.settlement is Settlement.INVERSE for option in listed], dtype=np.bool_),
        tuple(ticker.name for ticker in tickers),
        reading,
    )

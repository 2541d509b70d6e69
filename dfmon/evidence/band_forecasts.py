"""Bands that a history has scored while it ran: said to hold 90 %, and the share that they held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from dfmon.evidence.board_findings import score
from dfmon.evidence.findings import Bin, Forecasts
from dfmon.model.score import NOMINAL
from dfmon.model.units import DAY
from dfmon.store.history_interface import HistorySource
from dfmon.store.history_tables import SCORES

_COLUMNS: Final = {name: at for at, name in enumerate(SCORES.columns)}
_BANDS: Final = {
    "outlook": "outlook of an hour before, against the hedge trade since",
    "hedge_flow": "hedge trade of 15 minutes, against its forecast part of spot",
}


def band_forecasts(history: HistorySource, underlying: str) -> Iterator[Forecasts]:
    """Coverage of each band of each position model: the last row of each day has all its cases."""
    days: dict[tuple[str, int], tuple[object, ...]] = {}
    for row in history.records(SCORES.name, underlying):  # in order of time
        days[str(row[_COLUMNS["model"]]), int(row[_COLUMNS["ts_ns"]]) // DAY] = row
    for model in sorted({model for model, _ in days}):
        rows = [(day, row) for (of_model, day), row in days.items() if of_model == model]
        for band, title in _BANDS.items():
            cases = [(day, *_inside(row, band)) for day, row in rows]
            day = np.repeat([d for d, _, _ in cases], [n for _, _, n in cases])
            if not day.size:
                continue
            outcome = np.concatenate([np.arange(n) < inside for _, inside, n in cases]).astype(np.float64)
            found = score(
                underlying, f"{title}, model {model}, band of 90 %", np.full(day.size, NOMINAL), outcome, day
            )  # fmt: skip
            yield msgspec.structs.replace(found, bins=(Bin(day.size, NOMINAL, found.frequency),))


def _inside(row: tuple[object, ...], band: str) -> tuple[int, int]:
    """Cases that a band held, and all of a day whose share is known."""
    share, cases = row[_COLUMNS[f"{band}_share"]], row[_COLUMNS[f"{band}_cases"]]
    if not isinstance(share, int | float) or not isinstance(cases, int):
        return 0, 0
    return round(share * cases), cases

"""Origins of each estimated position, and what of open interest no print explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dfmon.core.positions import position_state as columns
from dfmon.core.positions.estimate import SOURCES
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.positions.position_state import FAULTS
from dfmon.model.frames import F64


@dataclass(frozen=True, slots=True)
class Provenance:
    """Parts of the positions of n options by SOURCES, (n, SOURCES) coins, + dealers long, and their sum (n,).

    `full_history` (n,) marks options all of whose prints since their listing are known. `change` (n,) is the size of
    all changes of open interest, `unexplained` what of it no print explains, `printed` the coins printed, `lost` those
    known to be lost. `faults` counts input that contradicts itself, by its kind, where there was any.
    """

    sources: F64
    full_history: NDArray[np.bool_]
    change: F64
    unexplained: F64
    printed: F64
    lost: F64
    faults: tuple[tuple[str, int], ...]


def provenance(book: PositionBook, rows: NDArray[np.intp]) -> Provenance:
    """The origins of the positions of these options of the last frame.

    Units: coins. Shapes: as `Provenance`. Domain: an option without a row has zeros.
    """
    state = book.state
    at = book.frame_rows[rows]
    known = at >= 0
    at = np.where(known, at, 0)
    if not state.size:
        zeros = np.zeros(rows.size)
        return Provenance(np.zeros((rows.size, len(SOURCES))), known, zeros, zeros, zeros, zeros, _faults(book))

    def column(values: F64) -> F64:
        return np.asarray(np.where(known, values[at], 0.0))

    return Provenance(
        sources=np.where(known[:, None], book.estimate.sources[at], 0.0) + 0.0,  # no -0
        full_history=known & book.full_history[at],
        change=column(state.sums[:, columns.CHANGE]),
        unexplained=column(state.sums[:, columns.UNEXPLAINED]),
        printed=column(state.sums[:, columns.VOLUME]),
        lost=column(book.lost),
        faults=_faults(book),
    )


def _faults(book: PositionBook) -> tuple[tuple[str, int], ...]:
    return tuple((name, count) for name, count in zip(FAULTS, book.state.faults.tolist()) if count)

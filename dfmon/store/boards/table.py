"""A file as named columns, before it is known what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Column = list[Any] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of n cells: text, numbers, or what a decoder made of them.

    `lines` numbers the rows in the file for messages, `runs` the poll that a row belongs to where the file has polls,
    `run_times` has the time (ns) of polls that are filed under one, and `ragged` the lines that are no rows, each with
    the reason. `notes` name the inferences that it took to get here.
    """

    columns: Mapping[str, Column]
    lines: Sequence[int]
    row_label: Literal["line", "row"] = "line"
    runs: NDArray[np.int64] | None = None
    run_times: Mapping[int, int] = field(default_factory=dict)
    ragged: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()
    container: str = "CSV"

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The names of the columns of a file, found by any spelling: markIv, mark_iv and "Mark IV" are one."""

    names: Sequence[str]
    by_key: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.names:
            self.by_key.setdefault(key_of(name), name)

    def find(self, aliases: Sequence[str]) -> str | None:
        """The name of the first alias that is there."""
        return next((self.by_key[key] for key in map(key_of, aliases) if key in self.by_key), None)


@lru_cache(4_096)
def key_of(name: str) -> str:
    """A name without case, blanks and punctuation."""
    return re.sub(r"[\W_]+", "", name.lower())

"""Option boards of any origin as events: files are recognised by their content, layouts by their columns.

`board_file` opens a file; `csv_table`, `json_table`, `parquet_table` and `xlsx_table` make named columns of it;
`layouts` is the table of what the columns can mean; `decode`, `units`, `forwards` and `runs` turn them into boards, and
`events` into the events of each. `report` says in one line, or in full, how a file was read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dfmon.store.boards.board_file import BoardFile, Documents
from dfmon.store.boards.events import AnyPath, RecordedBoard

__all__ = ["BoardFile", "Documents", "RecordedBoard", "currencies", "read_boards"]


def currencies(path: AnyPath) -> tuple[str, ...]:
    """The underlyings of a file, sorted."""
    return BoardFile(path).currencies


def read_boards(path: AnyPath, underlyings: Collection[str] | None = None) -> Iterator[RecordedBoard]:
    """The boards of a file in order of time, one for each time and underlying.

    Raises what `BoardFile` raises, and UsageError if the file lacks a requested underlying.
    """
    return BoardFile(path).boards(underlyings)

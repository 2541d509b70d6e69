"""Positions of record: what is in a file, and that every kind of change is found and named."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import msgspec
import pytest

from dfmon.evidence.book_record import CHAIN_NAME, record_book, verify_books
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.snapshot import Detail, FlowSnapshot, from_json
from dfmon.model.units import DAY, iso
from tests.tui import factory

pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")


def clock() -> Callable[[], int]:
    times = count(1_800_000_000_000_000_000, 1_000_000_000)
    return lambda: next(times)


def of_day(day: int, underlying: str = "BTC") -> FlowSnapshot:
    ts_ns = factory.NOW + day * DAY
    return factory.snapshot(ts_ns=ts_ns, ts=iso(ts_ns), underlying=underlying, state="live")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of record."""
    for day in range(3):
        assert record_book(tmp_path / "books", of_day(day), clock()).is_new
    return tmp_path / "books"


def books(folder: Path) -> list[Path]:
    return sorted(folder.glob("book-*.parquet"))


@pytest.mark.slow
def test_file_has_the_book_and_the_snapshot(folder: Path) -> None:
    import pyarrow.parquet as parquet

    first = books(folder)[0]
    table = parquet.read_table(first)
    shown = of_day(0)
    assert isinstance(shown.detail, Detail)
    assert table["name"].to_pylist() == [row.name for row in shown.detail.positions]
    assert table["net"].to_pylist() == pytest.approx([row.net for row in shown.detail.positions])
    stored = from_json(table.schema.metadata[b"dfmon.snapshot"])
    assert stored.metrics == shown.metrics
    assert stored.by_expiry == shown.by_expiry


def test_untouched_books_verify_and_a_day_is_recorded_once(folder: Path) -> None:
    found = verify_books(folder, None, clock())
    assert found.files == 3
    before = {path: path.read_bytes() for path in folder.iterdir()}
    recorded = record_book(folder, of_day(1), clock())
    assert not recorded.is_new
    assert recorded.head == found.head
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert record_book(folder, of_day(1, "ETH"), clock()).is_new
    assert verify_books(folder, found.head, clock()).files == 4


def altered(folder: Path) -> None:
    path = books(folder)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def missing(folder: Path) -> None:
    books(folder)[1].unlink()


def exchanged(folder: Path) -> None:
    second, third = books(folder)[1:]
    other = third.read_bytes()
    third.write_bytes(second.read_bytes())
    second.write_bytes(other)


def reordered(folder: Path) -> None:
    first, second, third = (folder / CHAIN_NAME).read_text().splitlines()
    (folder / CHAIN_NAME).write_text("\n".join([first, third, second]) + "\n")


def line_removed(folder: Path) -> None:
    lines = (folder / CHAIN_NAME).read_text().splitlines()
    (folder / CHAIN_NAME).write_text("\n".join([lines[0], lines[2]]) + "\n")


def last_line_removed(folder: Path) -> None:
    lines = (folder / CHAIN_NAME).read_text().splitlines()
    (folder / CHAIN_NAME).write_text("\n".join(lines[:2]) + "\n")


def time_changed(folder: Path) -> None:
    lines = (folder / CHAIN_NAME).read_text().splitlines()
    entry = json.loads(lines[0]) | {"ts": "2020-01-01T00:00:00.000Z"}
    (folder / CHAIN_NAME).write_text("\n".join([json.dumps(entry), *lines[1:]]) + "\n")


@pytest.mark.parametrize(
    ("change", "day", "sentence"),
    [
        (altered, 1, "was changed"),
        (missing, 1, "is missing"),
        (exchanged, 1, "was changed: it has the content of book-BTC"),
        (reordered, 2, "line 2 (book-BTC"),
        (line_removed, 2, "line 2 (book-BTC"),
        (last_line_removed, 2, "is in no line of books.jsonl"),
        (time_changed, 1, "line 2 (book-BTC"),
    ],
)
def test_first_change_is_named(folder: Path, change: Callable[[Path], None], day: int, sentence: str) -> None:
    change(folder)
    with pytest.raises(DfmonError) as caught:
        verify_books(folder, None, clock())
    assert sentence in str(caught.value)
    assert of_day(day).ts[:10] in str(caught.value)


def test_chain_and_files_cut_back_together_are_found_by_the_hash(folder: Path) -> None:
    head = verify_books(folder, None, clock()).head
    last_line_removed(folder)
    books(folder)[2].unlink()
    assert verify_books(folder, None, clock()).files == 2
    with pytest.raises(DfmonError, match="has no line of the hash"):
        verify_books(folder, head, clock())


def test_what_cannot_be_recorded_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no book was recorded there"):
        verify_books(tmp_path, None, clock())
    with pytest.raises(DfmonError, match="stale: nothing is recorded"):
        record_book(tmp_path, msgspec.structs.replace(of_day(0), state="stale"), clock())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"needs pyarrow: pip install 'dfmon\[parquet\]'"):
        record_book(tmp_path, of_day(0), clock())
    assert not list(tmp_path.iterdir())

"""What is no board is named by its first bytes, packed or not, in one short sentence however long its path is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dfmon.model.errors import DfmonError, UsageError
from dfmon.store.boards import BoardFile
from tests.store.layout_samples import parquet, xlsx
from tests.store.store_samples import csv_text, ticker_row

TEXT = csv_text([ticker_row()]).encode()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("board.csv")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT))
    return out.getvalue()


def _sqlite() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table board (name)")
        return bytes(connection.serialize())


def _feather() -> bytes:
    import pyarrow as pa
    from pyarrow import feather

    out = io.BytesIO()
    feather.write_feather(pa.table({"a": [1]}), out)
    return out.getvalue()


FOREIGN: dict[str, tuple[Callable[[], bytes], str]] = {
    "xls": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel workbook (xls)"),
    "xz": (lambda: lzma.compress(TEXT), "packed with xz"),
    "bzip2": (lambda: bz2.compress(TEXT), "packed with bzip2"),
    "tar": (_tar, "a tar archive"),
    "tar.gz": (lambda: gzip.compress(_tar()), "a tar archive"),
    "sqlite": (_sqlite, "an SQLite database"),
    "feather": (_feather, "a feather (Arrow) file"),
    "pickle": (lambda: pickle.dumps([ticker_row()]), "a Python pickle"),
    "pdf": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(40), "a PNG picture"),
    "orc": (lambda: b"ORC\x08\x03", "an ORC file"),
    "avro": (lambda: b"Obj\x01\x04", "an Avro file"),
    "R": (lambda: gzip.compress(b"X\n\0\0\0\x03"), "an R data file"),
    "duckdb": (lambda: bytes(8) + b"DUCK" + bytes(40), "a DuckDB database"),
    "html": (lambda: b"\n<!DOCTYPE html><html><table><tr><td>1", "an HTML page"),
    "git-lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a git-lfs pointer"),
    "UTF-32": (lambda: TEXT.decode().encode("utf-32"), "text in UTF-32"),
    "parquet.gz": (lambda: gzip.compress(parquet([ticker_row()])), "packed parquet"),
    "xlsx.gz": (lambda: gzip.compress(xlsx([ticker_row()])), "a packed workbook or zip"),
    "gz.gz": (lambda: gzip.compress(gzip.compress(TEXT)), "packed with gzip twice"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind_is_named(tmp_path: Path, kind: str) -> None:
    content, what = FOREIGN[kind]
    path = tmp_path / "board.csv"
    path.write_bytes(content())
    with pytest.raises(UsageError) as caught:
        BoardFile(path)
    assert str(caught.value).startswith(f"board.csv is {what} and no option board: ")
    assert len(str(caught.value)) <= 120


def test_text_of_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "board.csv"
    path.write_bytes("Währung,strike\n1,2\n".encode("cp1252"))
    with pytest.raises(UsageError, match=r"is not text: line 1, byte 1 \(0xE4\) is not UTF-8, save it as UTF-8"):
        BoardFile(path)


@pytest.mark.parametrize(
    "content", [gzip.compress(TEXT, mtime=0)[:60], b"PK\x03\x04" + bytes(40), b"a,b\n1,2\n", b"\xe4,"]
)
def test_a_long_path_does_not_make_a_long_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path.joinpath(*["deep" * 20] * 3, "y" * 180 + ".dat")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    for missing in (path, path.with_name("x" * 200)):
        with pytest.raises(DfmonError) as caught:
            BoardFile(missing)
        assert len(str(caught.value)) <= 200

"""Files that are no option boards, known by their first bytes: what they are, and how a board comes of them."""

from __future__ import annotations

from typing import Final, NamedTuple


class ForeignKind(NamedTuple):
    """A kind of file with its article, and what to do with it."""

    what: str
    advice: str


_UNPACK: Final = "unpack it first"
_EXPORT: Final = "export the board as CSV"
_MAGIC_INSIDE: Final = (
    (257, b"ustar", ForeignKind("a tar archive", _UNPACK)),
    (8, b"DUCK", ForeignKind("a DuckDB database", _EXPORT)),
)
_SIGNATURES: Final[tuple[tuple[bytes, ForeignKind], ...]] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ForeignKind("an old Excel workbook (xls)", "save it as xlsx or CSV")),
    (b"\xfd7zXZ\0", ForeignKind("packed with xz", _UNPACK)),
    (b"BZh", ForeignKind("packed with bzip2", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", ForeignKind("a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", ForeignKind("a RAR archive", _UNPACK)),
    (b"\x04\x22\x4d\x18", ForeignKind("packed with lz4", _UNPACK)),
    (b"\xff\x06\0\0sNaPpY", ForeignKind("packed with snappy", _UNPACK)),
    (b"SQLite format 3\0", ForeignKind("an SQLite database", _EXPORT)),
    (b"ARROW1", ForeignKind("a feather (Arrow) file", "save it as parquet")),
    (b"FEA1", ForeignKind("a feather file", "save it as parquet")),
    (b"\xff\xfe\0\0", ForeignKind("text in UTF-32", "save it as UTF-8")),
    (b"\0\0\xfe\xff", ForeignKind("text in UTF-32", "save it as UTF-8")),
    (b"\x89HDF\r\n", ForeignKind("an HDF5 file", "save it as parquet")),
    (b"\x93NUMPY", ForeignKind("a numpy array", _EXPORT)),
    (b"%PDF-", ForeignKind("a PDF document", _EXPORT)),
    (b"\x89PNG\r\n", ForeignKind("a PNG picture", _EXPORT)),
    (b"\xff\xd8\xff", ForeignKind("a JPEG picture", _EXPORT)),
    (b"GIF8", ForeignKind("a GIF picture", _EXPORT)),
    (b"\x7fELF", ForeignKind("a program", _EXPORT)),
    (b"version https://git-lfs", ForeignKind("a git-lfs pointer", "fetch the file with git lfs pull")),
    (b"ORC", ForeignKind("an ORC file", "save it as parquet")),
    (b"Obj\x01", ForeignKind("an Avro file", "save it as parquet")),
    (b"MATLAB 5.0 MAT-file", ForeignKind("a MATLAB file", _EXPORT)),
    (b"RDX", ForeignKind("an R data file", _EXPORT)),
    (b"X\n\0\0\0", ForeignKind("an R data file", _EXPORT)),
    (b"LZIP", ForeignKind("packed with lzip", _UNPACK)),
    (b"\x1f\x9d", ForeignKind("packed with compress (.Z)", _UNPACK)),
    (b"\xd4\xc3\xb2\xa1", ForeignKind("a packet capture", "record the venue's frames instead")),
    (b"\x0a\x0d\x0d\x0a", ForeignKind("a packet capture", "record the venue's frames instead")),
    (b"{\\rtf", ForeignKind("an RTF document", _EXPORT)),
)
_PACKED: Final[tuple[tuple[bytes, ForeignKind], ...]] = (
    (b"PAR1", ForeignKind("packed parquet", _UNPACK)),
    (b"PK\x03\x04", ForeignKind("a packed workbook or zip", _UNPACK)),
    (b"\x1f\x8b", ForeignKind("packed with gzip twice", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", ForeignKind("packed with zstd twice", _UNPACK)),
)
_MARKUP: Final = (b"<!doctype html", b"<html", b"<head", b"<table")


def foreign_kind(head: bytes, *, is_packed: bool) -> ForeignKind | None:
    """The kind of a file by its first bytes, None if it may be a board; `is_packed` where they were unpacked."""
    for at, magic, kind in _MAGIC_INSIDE:
        if head[at : at + len(magic)] == magic:
            return kind
    for signature, kind in (*_SIGNATURES, *(_PACKED if is_packed else ())):
        if head.startswith(signature) and (signature != b"BZh" or head[4:10] == b"1AY&SY"):
            return kind
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return ForeignKind("a Python pickle", "save it as parquet or CSV")
    if head.startswith(b"PK\x03\x04") and head[30:].startswith(b"mimetypeapplication/vnd.oasis"):
        return ForeignKind("an OpenDocument file", "save it as xlsx or CSV")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_MARKUP):
        return ForeignKind("an HTML page", "save the table as CSV, or the venue's response as JSON")
    if text.startswith(b"<?xml"):
        return ForeignKind("XML", _EXPORT)
    return None

"""Opening of files by content: packings, encodings, bounds, and a sentence for everything else."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import random
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfmon.model.errors import DfmonError, SourceError, UsageError
from dfmon.store.file_content import LIMITS, UnpackLimits, numbered_lines, open_unpacked, packing_of, read_text

TEXT = "".join(f"row {i},{random.Random(i).random()}\n" for i in range(5_000)).encode()


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


PACKED = {
    "": TEXT,
    "gzip": gzip.compress(TEXT),
    "zstd": zstandard.ZstdCompressor().compress(TEXT),
    "zip": _zip({"board.csv": TEXT}),
}


def _read(path: Path, limits: UnpackLimits = LIMITS) -> bytes:
    total = []
    with open_unpacked(path, "a board", limits) as stream:
        while chunk := stream.read(1000):
            total.append(chunk)
    return b"".join(total)


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "input"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packing", PACKED)
def test_unpacks_by_content(packing: str, tmp_path: Path) -> None:
    path = _file(tmp_path, PACKED[packing])
    assert packing_of(path) == packing
    assert _read(path) == TEXT


def test_reads_several_members_and_padding(tmp_path: Path) -> None:
    assert _read(_file(tmp_path, gzip.compress(b"a\n") + gzip.compress(b"b\n") + bytes(70_000))) == b"a\nb\n"
    frame = zstandard.ZstdCompressor().compress
    assert _read(_file(tmp_path, frame(b"a\n") + frame(b"b\n"))) == b"a\nb\n"
    unsized = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    assert _read(_file(tmp_path, unsized.compress(TEXT) + unsized.flush())) == TEXT
    mac = _zip({"folder/": b"", "folder/a.csv": b"a\n", "__MACOSX/folder/._a.csv": b"x", "folder/.DS_Store": b"y"})
    assert _read(_file(tmp_path, mac)) == b"a\n"


@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip"])
def test_truncated_data_are_one_sentence(packing: str, tmp_path: Path) -> None:
    whole = PACKED[packing]
    for length in (5, 12, len(whole) // 2, len(whole) - 1):
        path = _file(tmp_path, whole[:length])
        with pytest.raises(SourceError, match=rf"input is damaged: its {packing} data end after [\d,]+ unpacked bytes"):
            _read(path)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), packing=st.sampled_from(["gzip", "zstd", "zip"]))
def test_any_damage_is_a_sentence_or_the_text(data: st.DataObject, packing: str, tmp_path: Path) -> None:
    content = bytearray(PACKED[packing])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DfmonError):
        _read(_file(tmp_path, bytes(content)))


@pytest.mark.parametrize("name", ["board.csv", "börse.csv"])
def test_damage_of_any_byte_of_a_zip_is_a_sentence_or_the_text(name: str, tmp_path: Path) -> None:
    content = _zip({name: b"a"}, zipfile.ZIP_STORED)
    for at, value in itertools.product(range(len(content)), (0, 255)):
        damaged = content[:at] + bytes([value]) + content[at + 1 :]
        with suppress(DfmonError):
            _read(_file(tmp_path, damaged))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (_zip({"a": b"1", "b": b"2"}), "a zip of 2 files, one file is expected"),
        (_zip({}), "is damaged|zip of 0 files|"),
        (_zip({"a": b"1"}, zipfile.ZIP_LZMA), "packed by method 14, deflate is expected"),
    ],
)
def test_other_zips_are_one_sentence(content: bytes, error: str, tmp_path: Path) -> None:
    if content.startswith(b"PK\x05"):  # an empty zip has no file that could be recognised
        assert packing_of(_file(tmp_path, content)) == ""
        return
    with pytest.raises(UsageError, match=error):
        _read(_file(tmp_path, content))


def test_encrypted_zip_is_one_sentence(tmp_path: Path) -> None:
    content = bytearray(_zip({"a": b"1"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(UsageError, match="is an encrypted zip"):
        _read(_file(tmp_path, bytes(content)))


def test_zip_listing_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="its listing is longer than a megabyte"):
        _read(_file(tmp_path, _zip({f"{i:060}": b"" for i in range(12_000)}, zipfile.ZIP_STORED)))


# ---- bounds --------------------------------------------------------------------------------------------------------


def _bomb(packing: str, size: int) -> bytes:
    if packing == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    if packing == "zstd":  # a frame of blocks that repeat one byte 128 Ki times
        block = struct.pack("<I", (1 << 17) << 3 | 1 << 1)[:3] + b"\0"
        last = struct.pack("<I", (1 << 17) << 3 | 1 << 1 | 1)[:3] + b"\0"
        return b"\x28\xb5\x2f\xfd\x00\x38" + block * ((size >> 17) - 1) + last
    return _zip({"a": bytes(size)})


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip"])
def test_ratio_is_bounded_in_little_memory(packing: str, tmp_path: Path) -> None:
    path = _file(tmp_path, _bomb(packing, 1 << 26))
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=rf"bytes of {packing} to more than \d+ MB, allowed: 200 times"):
            _read(path)
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()


def test_small_files_may_pack_well(tmp_path: Path) -> None:
    assert len(_read(_file(tmp_path, gzip.compress(bytes(1 << 23))))) == 1 << 23


@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip"])
def test_unpacked_size_is_bounded(packing: str, tmp_path: Path) -> None:
    path = _file(tmp_path, PACKED[packing])
    assert _read(path, UnpackLimits(len(TEXT))) == TEXT
    with pytest.raises(UsageError, match="unpacks to more than 0 MB, which is the limit"):
        _read(path, UnpackLimits(len(TEXT) - 1))


# ---- what is not a file ---------------------------------------------------------------------------------------------


def test_other_paths_are_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    expected = {
        tmp_path: "is a directory: a board is expected",
        tmp_path / "absent": "does not exist: a board is expected",
        tmp_path / "pipe": "is not a regular file: a board is expected",
        Path("/dev/zero"): "is not a regular file: a board is expected",
        tmp_path / "loop": "cannot read .*: too many levels of symbolic links",
        tmp_path / ("x" * 300): "cannot read .*: file name too long",
        tmp_path / "nul\0": "cannot read .*: embedded null byte",
    }
    if os.geteuid():
        expected[tmp_path / "locked"] = "cannot read .*: permission denied"
    for path, error in expected.items():
        with pytest.raises(UsageError, match=error), open_unpacked(path, "a board"):
            pass


# ---- text ----------------------------------------------------------------------------------------------------------


LINES = ["a;b", "größe;1", "", "x" * 9, "end"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_text_in_any_usual_encoding(encoding: str, end: str, tmp_path: Path) -> None:
    path = _file(tmp_path, end.join(LINES).encode(encoding))
    assert list(numbered_lines(path)) == list(enumerate(LINES, 1))
    assert read_text(path) == "\n".join(LINES)
    marked = _file(tmp_path, b"\xfe\xff" + end.join(LINES).encode("utf-16-be"))
    assert list(numbered_lines(marked)) == list(enumerate(LINES, 1))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n\ufeff", codec="utf-8"), max_size=40), min_size=1),
    data=st.data(),
)
def test_lines_across_chunks(lines: list[str], data: st.DataObject, tmp_path: Path) -> None:
    padded = ["p" * data.draw(st.integers(65_500, 65_560)), *lines, "end"]
    path = _file(tmp_path, gzip.compress("\r\n".join(padded).encode()))
    assert [text for _, text in numbered_lines(path)] == padded


def test_what_is_not_text_is_named_by_line_and_byte(tmp_path: Path) -> None:
    content = b"ok\n" * 50_000 + b"M\xfcnchen\n"
    with pytest.raises(UsageError, match=r"is not text: line 50001, byte 150001 \(0xFC\) is not UTF-8"):
        list(numbered_lines(_file(tmp_path, content)))
    lone = "ok\n".encode("utf-16") + b"\x00\xd8" + "x\n".encode("utf-16-le")
    with pytest.raises(UsageError, match=r"line 2, byte 8 \(0x00\) is not UTF-16-LE"):
        list(numbered_lines(_file(tmp_path, lone)))
    with pytest.raises(UsageError, match=r"line 1, byte 3 \(0xE2\) is not UTF-8"):
        list(numbered_lines(_file(tmp_path, b"abc\xe2\x82")))


def test_long_lines_and_files_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, b"a\n" + b"x" * 3_000_000)
    with pytest.raises(UsageError, match="line 2 is longer than 1,048,576 characters"):
        list(numbered_lines(path))
    with pytest.raises(UsageError, match="is larger than 1 MB, which is the limit"):
        read_text(path, "a configuration")
    assert read_text(path, max_bytes=4_000_000).endswith("x")


def test_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert list(numbered_lines(_file(tmp_path, b""))) == []
    assert read_text(_file(tmp_path, b"")) == ""

"""The bytes of one connection as frames: where a line edits the text frames of a websocket, or the body of a response.

The handshake's offer of compression is taken out, since a compressed stream cannot be edited.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, Protocol

Edit = Callable[[bytes], list[bytes]]
"""One text frame of the venue to what arrives instead."""

Pieces = list[tuple[float, bytes]]
"""Seconds to wait and bytes."""

_TEXT: Final = 0x81  # a whole text message, not masked
_END_OF_HEAD: Final = b"\r\n\r\n"


class EditingLine(Protocol):
    """The part of a line that is used here."""

    edit: Edit | None
    body: Callable[[bytes], Pieces] | None
    handshake: bytes | None
    effects: int


class BytesEditor(Protocol):
    def edit(self, data: bytes, line: EditingLine) -> Pieces: ...


class RequestEditor:
    """What the client says: reads whether the connection is a websocket."""

    def __init__(self) -> None:
        self.is_websocket: bool | None = None

    def edit(self, data: bytes, line: EditingLine) -> Pieces:
        if self.is_websocket is None:
            self.is_websocket = b"upgrade: websocket" in data.lower()
            if self.is_websocket:
                lines = data.split(b"\r\n")
                data = b"\r\n".join(row for row in lines if not row.lower().startswith(b"sec-websocket-extensions"))
        return [(0.0, data)]


class FrameEditor:
    """What the server says; `requests` reads the other direction."""

    def __init__(self) -> None:
        self.requests = RequestEditor()
        self._head_done = False
        self._rest = b""

    def edit(self, data: bytes, line: EditingLine) -> Pieces:
        if not data:
            return [(0.0, data)]
        if not self.requests.is_websocket:
            if line.body is None:
                return [(0.0, data)]
            line.effects += 1
            return line.body(data)
        if not self._head_done and line.handshake is not None:
            line.effects += 1
            return [(0.0, line.handshake), (0.0, b"")] if line.handshake else [(0.0, b"")]
        data = self._rest + data
        pieces: list[bytes] = []
        if not self._head_done:
            head, end, data = data.partition(_END_OF_HEAD)
            self._head_done = bool(end)
            pieces.append(head + end)
        while frame := _whole_frame(data):
            data = data[len(frame) :]
            pieces += self._edit_frame(frame, line)
        self._rest = data
        return [(0.0, piece) for piece in pieces if piece]

    @staticmethod
    def _edit_frame(frame: bytes, line: EditingLine) -> list[bytes]:
        if line.edit is None or frame[0] != _TEXT:
            return [frame]
        payload = frame[_head_size(frame) :]
        edited = line.edit(payload)
        line.effects += edited != [payload]
        return [text_frame(text) for text in edited]


def _head_size(frame: bytes) -> int:
    return 2 + {126: 2, 127: 8}.get(frame[1] & 0x7F, 0)


def _whole_frame(data: bytes) -> bytes:
    """The first frame, header and all; empty where it is not complete."""
    if len(data) < 2 or len(data) < (head := _head_size(data)):
        return b""
    size = int.from_bytes(data[2:head]) if head > 2 else data[1] & 0x7F
    return data[: head + size] if len(data) >= head + size else b""


def text_frame(payload: bytes) -> bytes:
    """A whole text message as a server sends it."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload

"""POST on a server whose library reads only GET: the body is taken off before the request is parsed."""

from __future__ import annotations

import re
from typing import Any, Final

from websockets.asyncio.server import ServerConnection

_MAX_HEAD: Final = 65_536
MAX_BODY: Final = 1 << 20  # bytes of a body that are waited for
_END_OF_HEAD: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*(?=\r\n)", re.IGNORECASE)


class PostConnection(ServerConnection):
    """A connection that takes POST too. `body` is that of a POST, None for other requests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.body: bytes | None = None
        self._unread: bytes | None = b""  # None once the request is with the library

    def data_received(self, data: bytes) -> None:
        """Passes bytes on; a POST becomes a GET without its body, and nothing may follow it."""
        if self._unread is None:
            if self.body is None:
                super().data_received(data)
            return
        self._unread += data
        head, end, body = self._unread.partition(_END_OF_HEAD)
        if not end and len(head) < _MAX_HEAD:
            return
        if end and head.startswith(b"POST "):
            match = _CONTENT_LENGTH.search(head + b"\r\n")
            length = min(int(match[1]), MAX_BODY) if match else 0
            if len(body) < length:
                return
            self.body = body[:length]
            request = b"GET" + _CONTENT_LENGTH.sub(b"", head + b"\r\n").removeprefix(b"POST") + b"\r\n"
        else:
            request = self._unread
        self._unread = None
        super().data_received(request)

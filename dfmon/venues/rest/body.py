"""The body of a response, read within bounds of size and time, so that no venue can fill the memory or hold a call.

Compressed and unpacked bytes are bounded each. The client asks for gzip only, and unpacks it here: a library would
unpack a whole chunk at once, and a chunk can unpack to a thousand times its size.
"""

from __future__ import annotations

import zlib
from typing import Final

import httpx

from dfmon.model.units import sanitize

ACCEPT_ENCODING: Final = "gzip"
MAX_BODY_BYTES: Final = 16 << 20  # the largest in use, a listing of all options, has about 2 MB
_MAX_TEXT: Final = f"{MAX_BODY_BYTES >> 20} MB"
_GZIP: Final = zlib.MAX_WBITS | 16


class ResponseError(Exception):
    """A response was refused; the message is a sentence."""


async def read_body(response: httpx.Response) -> bytes:
    """Reads the body of a streamed response. Raises ResponseError, or an error of httpx where the network failed."""
    unpack = _choose_unpacker(response.headers.get("Content-Encoding", ""))
    body, received = bytearray(), 0
    try:
        async for chunk in response.aiter_raw():
            received += len(chunk)
            if received > MAX_BODY_BYTES:
                raise ResponseError(f"a response of more than {_MAX_TEXT} was refused")
            body += chunk if unpack is None else unpack.decompress(chunk, MAX_BODY_BYTES + 1 - len(body))
            if len(body) > MAX_BODY_BYTES:
                raise ResponseError(f"a response that unpacks to more than {_MAX_TEXT} was refused")
    except httpx.ReadTimeout:
        raise ResponseError("the response stopped half-way") from None
    except zlib.error as exc:
        raise ResponseError(f"the response cannot be unpacked: {sanitize(str(exc))}") from None
    if unpack is not None and not unpack.eof and received:
        raise ResponseError("the response broke off")
    return bytes(body)


def _choose_unpacker(encoding: str) -> zlib._Decompress | None:
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name in ("gzip", "x-gzip"):
        return zlib.decompressobj(_GZIP)
    raise ResponseError(f"the response is encoded as {sanitize(name, 20)!r}, where {ACCEPT_ENCODING} was asked for")

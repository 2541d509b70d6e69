"""Bodies of responses: each is encoded once a tick, compressed once a tick, and where that takes long, in a thread."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Final, Literal, TypeVar

from fastapi import HTTPException

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.sinks.rest.access import RETRY_AFTER

T = TypeVar("T")
Encoding = Literal["", "gzip", "zstd"]

MIN_COMPRESSED: Final = 1024  # bytes; a smaller body is sent as it is
_MAX_WAITING: Final = 16  # jobs of the thread
_MAX_BODIES: Final = 256  # of one tick and underlying; what goes beyond is encoded for each request
_GZIP_LEVEL: Final = 4  # a snapshot to a seventh, in a millisecond
_ENCODINGS: Final[tuple[Encoding, ...]] = ("zstd", "gzip") if find_spec("zstandard") else ("gzip",)


class ComputeThread:
    """One thread for what would hold up the market's loop: tables, what-if, explanations, history, compression."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "rest")
        self._waiting = 0

    def submit(self, job: Callable[[], T]) -> asyncio.Future[T]:
        """The result to come. Raises HTTPException 503 where too much waits already."""
        if self._waiting >= _MAX_WAITING:
            raise HTTPException(503, "dfmon computes for other requests; try again.", {"Retry-After": RETRY_AFTER})
        self._waiting += 1
        result = asyncio.get_running_loop().run_in_executor(self._pool, job)
        result.add_done_callback(self._on_done)
        return result

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_done(self, result: asyncio.Future[T]) -> None:
        self._waiting -= 1
        if not result.cancelled():
            result.exception()  # retrieved, also where all requests for it have left


class PublishedBodies:
    """The bodies of the newest snapshot of each underlying, for all clients."""

    def __init__(self, hub: SnapshotHub, thread: ComputeThread) -> None:
        self._hub, self._thread = hub, thread
        self._ticks: dict[str, tuple[FlowSnapshot, dict[str, asyncio.Future[bytes]]]] = {}
        self._json: dict[str, tuple[FlowSnapshot, bytes]] = {}

    def json(self, snapshot: FlowSnapshot) -> bytes:
        """`to_json` without the detail, which takes a fraction of a millisecond."""
        encoded, body = self._json.get(snapshot.underlying, (None, b""))
        if encoded is not snapshot:
            body = to_json(snapshot, self._hub.mode)
            self._json[snapshot.underlying] = snapshot, body
        return body

    async def detailed_json(self, snapshot: FlowSnapshot) -> bytes:
        """`to_json` with the detail."""
        return await self.compute(snapshot, "detail", lambda: to_json(snapshot, self._hub.mode, detail=True))

    async def compute(self, snapshot: FlowSnapshot, part: str, encode: Callable[[], bytes]) -> bytes:
        """The body of a part of the snapshot, computed in the thread for the first request."""
        bodies = self._bodies(snapshot)
        future = bodies.get(part)
        if future is None or (future.done() and (future.cancelled() or future.exception())):
            future = self._thread.submit(encode)
            if len(bodies) < _MAX_BODIES:
                bodies[part] = future
        return await asyncio.shield(future)

    async def compressed(self, snapshot: FlowSnapshot, part: str, body: bytes, encoding: Encoding) -> bytes:
        """The body of a part in that encoding."""
        if not encoding or len(body) < MIN_COMPRESSED:
            return body
        return await self.compute(snapshot, f"{part} {encoding}", lambda: compress(body, encoding))

    def _bodies(self, snapshot: FlowSnapshot) -> dict[str, asyncio.Future[bytes]]:
        tick, bodies = self._ticks.get(snapshot.underlying, (None, {}))
        if tick is snapshot:
            return bodies
        bodies = {}
        if self._hub.latest(snapshot.underlying) is snapshot:  # an older one, of a slow stream, is not kept
            self._ticks[snapshot.underlying] = snapshot, bodies
        return bodies


def compress(body: bytes, encoding: Encoding) -> bytes:
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdCompressor().compress(body)
    return gzip.compress(body, _GZIP_LEVEL, mtime=0) if encoding == "gzip" else body


def choose_encoding(accept_encoding: str) -> Encoding:
    """The first of our encodings that the header allows.

    >>> choose_encoding("gzip, deflate"), choose_encoding("gzip;q=0, zstd;q=0"), choose_encoding("br")
    ('gzip', '', '')
    """
    weights: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        name, _, parameter = part.partition(";")
        weights[name.strip()] = parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return next((name for name in _ENCODINGS if weights.get(name, weights.get("*", False))), "")

"""The data behind the routes, and the responses that they have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fastapi import HTTPException, Request, Response
from msgspec import UNSET

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import sanitize
from dfmon.sinks.base import HubListener, SinkProgress, SinkStatus
from dfmon.sinks.rest.access import RETRY_AFTER, RequestLimit
from dfmon.sinks.rest.messages import MessageLog
from dfmon.sinks.rest.past_events import PastEvents
from dfmon.sinks.rest.published import ComputeThread, PublishedBodies, choose_encoding, compress

JSON_TYPE: Final = "application/json"

HistoryColumns = Callable[[str, int, Sequence[str], int], Mapping[str, Any]]
"""Columns of the history: of an underlying, since a time, these columns and `ts_ns`, until a time."""


class RestContext:
    """One service: the hub, what is encoded and counted for all clients, and the other sources of the routes."""

    def __init__(
        self,
        hub: SnapshotHub,
        statuses: Callable[[], tuple[SinkStatus, ...]] = tuple,
        history: HistoryColumns | None = None,
        past_events: PastEvents | None = None,
        *,
        progress: SinkProgress | None = None,
        closing: asyncio.Event | None = None,
        limit: RequestLimit | None = None,
    ) -> None:
        """`closing` ends the streams."""
        self.hub, self.statuses, self.history, self.past_events = hub, statuses, history, past_events
        self.progress = progress or SinkProgress()
        self.closing = closing or asyncio.Event()
        self.limit = limit or RequestLimit()
        self.listener = HubListener(hub)
        self.messages = MessageLog(self.listener, self.progress)
        self.thread = ComputeThread()
        self.bodies = PublishedBodies(hub, self.thread)

    def find_snapshot(self, currency: str | None, model: str | None = None) -> FlowSnapshot:
        """The newest of `currency`, or of the first underlying. Raises HTTPException 503, or 404 also for a model."""
        names = self.hub.underlyings()
        if not names:
            raise HTTPException(503, "No snapshot yet: dfmon is starting.", {"Retry-After": RETRY_AFTER})
        snapshot = self.hub.latest(currency.upper() if currency else names[0])
        if snapshot is None:
            requested = sanitize(currency or "", 20)
            raise HTTPException(404, f"No underlying {requested!r} here; there is {', '.join(sorted(names))}.")
        if model is not None and model not in (models := _models_of(snapshot)):
            allowed = ", ".join(models)
            raise HTTPException(404, f"No positions {sanitize(model, 20)!r} here; there is {allowed}.")
        return snapshot

    def etag(self, snapshot: FlowSnapshot, part: str) -> str:
        """The ETag of a part; `seq` alone would repeat after a restart."""
        return f'"{snapshot.underlying}-{snapshot.ts_ns:x}-{snapshot.seq}-{self.hub.mode}{part and "-"}{part}"'

    async def respond(
        self,
        request: Request,
        snapshot: FlowSnapshot,
        part: str,
        encode: Callable[[], bytes] | None = None,
        media_type: str = JSON_TYPE,
    ) -> Response:
        """The body of a part of a snapshot, or 304 where the client has it; without `encode` the snapshot itself."""
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        headers = {
            "ETag": self.etag(snapshot, "-".join(filter(None, (part, encoding)))),
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if encode is None:
            body = self.bodies.json(snapshot)
        else:
            body = await self.bodies.compute(snapshot, part, encode)
        content = await self.bodies.compressed(snapshot, part, body, encoding)
        if content is not body:
            headers["Content-Encoding"] = encoding
        return Response(content, media_type=media_type, headers=headers)

    async def respond_once(self, request: Request, encode: Callable[[], bytes]) -> Response:
        """A body of this request alone, computed and compressed in the thread."""
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if encoding:
            headers["Content-Encoding"] = encoding
        body = await self.thread.submit(lambda: compress(encode(), encoding))
        return Response(body, media_type=JSON_TYPE, headers=headers)


def _models_of(snapshot: FlowSnapshot) -> tuple[str, ...]:
    """The position models that the snapshot can be looked at under, the published one first."""
    return snapshot.positions.model, *(() if snapshot.views is UNSET else snapshot.views.models)

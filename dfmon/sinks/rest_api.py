"""The HTTP interface: FastAPI routes over one hub. Imported by `rest_service` when a service is made.

    GET /healthz                         200 "ok" or "degraded" while anything is fresh, else 503 "stale" or "starting"
    GET /v1/snapshot?currency=&detail=   the newest snapshot, the bytes of `to_json`
    GET /v1/snapshots                    the newest snapshot of each underlying
    GET /v1/stream?currency=             server-sent events; a slow client sees fewer, but always the newest

`rest_access` decides who may ask. No other origin is allowed, and no page loads scripts from elsewhere.
"""

# Annotations are not postponed here: FastAPI reads those of the routes.

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import StreamingResponse

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot, to_json
from dfmon.model.units import sanitize
from dfmon.sinks.base import HubListener, LatestSnapshots, SinkProgress, SinkStatus
from dfmon.sinks.rest_access import HEALTH_PATH, TRUSTED, RequestGate, RequestLimit
from dfmon.version import __version__

MAX_AGE_S: Final = 15.0
JSON_TYPE: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
SNAPSHOT: Final = {"$ref": "#/components/schemas/FlowSnapshot"}

Currency = Annotated[str | None, Query(description="an underlying, such as BTC; the first one if left out")]
Responses = dict[int | str, dict[str, Any]]


class SnapshotApi:
    """The data behind the routes: newest snapshots, their JSON, their age since arrival."""

    def __init__(
        self,
        hub: SnapshotHub,
        status: Callable[[], tuple[SinkStatus, ...]],
        progress: SinkProgress,
        closing: asyncio.Event,
    ) -> None:
        self.hub = hub
        self.listener = HubListener(hub)
        self.status = status
        self.progress = progress
        self.closing = closing
        self._json_cache: dict[tuple[str, bool], tuple[FlowSnapshot, bytes]] = {}

    def json(self, snapshot: FlowSnapshot, *, detail: bool = False) -> bytes:
        """`to_json`, cached for all clients."""
        key = snapshot.underlying, detail
        cached, body = self._json_cache.get(key, (None, b""))
        if cached is not snapshot:
            body = to_json(snapshot, self.hub.mode, detail=detail)
            self._json_cache[key] = snapshot, body
        return body

    def etag(self, snapshot: FlowSnapshot, *, detail: bool = False) -> str:
        """The ETag; `seq` alone would repeat after a restart."""
        return f'"{snapshot.underlying}-{snapshot.ts_ns:x}-{snapshot.seq}-{self.hub.mode}{"-detail" * detail}"'

    def find_snapshot(self, currency: str | None) -> FlowSnapshot:
        """The newest of `currency`, or of the first underlying. Raises HTTPException 503 or 404."""
        names = self.hub.underlyings()
        if not names:
            raise HTTPException(503, "No snapshot yet: dfmon is starting.", {"Retry-After": "2"})
        snapshot = self.hub.latest(currency.upper() if currency else names[0])
        if snapshot is None:
            requested = sanitize(currency or "", 20)
            raise HTTPException(404, f"No underlying {requested!r} here; there is {', '.join(sorted(names))}.")
        return snapshot

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status code and body of /healthz."""
        now = time.monotonic()
        rows: dict[str, dict[str, Any]] = {}
        for name, published_at_s in self.listener.published_at_s.items():
            snapshot = self.hub.latest(name)
            age_s = now - published_at_s
            stale = _stale_reason(snapshot, age_s)
            decided = None if snapshot is None else snapshot.positions.decided
            row = {"age_s": round(age_s, 3), "state": "stale" if stale else self.hub.mode, "reason": stale}
            rows[name] = row | {"sign_decided": decided}
        is_fresh = any(row["state"] != "stale" for row in rows.values())
        degraded = self.hub.runtime.degraded
        status = ("degraded" if degraded else "ok") if is_fresh else "stale" if rows else "starting"
        body = {
            "status": status,
            "version": __version__,
            "underlyings": rows,
            "degraded": degraded,
            "sinks": self.status(),
        }
        return (200 if is_fresh else 503), body

    async def stream_events(self, follower: LatestSnapshots) -> AsyncGenerator[bytes, None]:
        """Server-sent events until the client leaves or the service stops."""
        async with aclosing(follower.follow(self.closing)) as snapshots:
            async for snapshot in snapshots:
                self.progress.dropped += follower.take_overtaken()
                self.progress.sent += 1
                yield b"event: snapshot\nid: %d\ndata: %b\n\n" % (snapshot.seq, self.json(snapshot))


def _stale_reason(snapshot: FlowSnapshot | None, age_s: float) -> str:
    """Reason for a stale underlying, empty for a fresh one; `age_s` is since its last snapshot."""
    if snapshot is None or age_s > MAX_AGE_S:
        return f"no snapshot for {age_s:.0f} s"
    if snapshot.state != "stale":
        return ""
    return snapshot.freshness.stale if snapshot.freshness is not None else "stale inputs"


def build_app(api: SnapshotApi, host: str, token: str, limit: RequestLimit) -> FastAPI:
    """The application: all routes and its OpenAPI document."""
    app = FastAPI(
        title="dfmon",
        version=__version__,
        summary="Dealer flow in crypto options, as it is now",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(_check_query_names)],
    )
    _add_health(app, api)
    _add_snapshots(app, api)
    _add_stream(app, api)
    _add_openapi(app)
    app.add_middleware(RequestGate, host=host, token=token, progress=api.progress, limit=limit)
    return app


async def _check_query_names(request: Request) -> None:
    """Raises HTTPException 422 for a name that the route does not know, or one that is given twice."""
    known = sorted(parameter.alias for parameter in request.scope["route"].dependant.query_params)
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise HTTPException(422, f"unknown query name {sanitize(name, 40)}, allowed: {allowed}")
        if given.count(name) > 1:
            raise HTTPException(422, f"{name} is given {given.count(name)} times, allowed: once")


def _add_health(app: FastAPI, api: SnapshotApi) -> None:
    responses: Responses = {
        200: _response_schema({"type": "object"}, "fresh"),
        503: _response_schema({"type": "object"}, "starting or stale"),
    }

    @app.get(HEALTH_PATH, response_class=Response, responses=responses, summary="Is anything fresh?")
    async def healthz(request: Request) -> Response:
        code, body = api.health()
        if not request.scope.get(TRUSTED):
            body = {"status": body["status"]}
        return Response(msgspec.json.encode(body), code, media_type=JSON_TYPE, headers={"Cache-Control": "no-store"})


def _add_snapshots(app: FastAPI, api: SnapshotApi) -> None:
    error_responses: Responses = {404: {"description": "no such underlying"}, 503: {"description": "no snapshot yet"}}
    snapshot_responses: Responses = {
        200: _response_schema(SNAPSHOT, "the newest snapshot"),
        304: {"description": "not changed"},
        **error_responses,
    }
    list_responses: Responses = {
        200: _response_schema({"type": "array", "items": SNAPSHOT}, "the newest of each underlying")
    }

    @app.get("/v1/snapshot", response_class=Response, responses=snapshot_responses, summary="The newest snapshot")
    async def snapshot(
        currency: Currency = None,
        detail: Annotated[bool, Query(description="with heat-map, profile, tape and alerts")] = False,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        found = api.find_snapshot(currency)
        headers = {"ETag": api.etag(found, detail=detail), "Cache-Control": "no-cache"}
        if if_none_match == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(api.json(found, detail=detail), media_type=JSON_TYPE, headers=headers)

    @app.get(
        "/v1/snapshots", response_class=Response, responses=list_responses, summary="The newest of each underlying"
    )
    async def snapshots() -> Response:
        newest = (api.hub.latest(name) for name in api.hub.underlyings())
        body = b"[" + b",".join(api.json(item) for item in newest if item is not None) + b"]"
        return Response(body, media_type=JSON_TYPE, headers={"Cache-Control": "no-cache"})


def _add_stream(app: FastAPI, api: SnapshotApi) -> None:
    responses: Responses = {
        200: {
            "description": "one event a snapshot, the newest wins",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
        404: {"description": "no such underlying"},
    }

    @app.get("/v1/stream", response_class=StreamingResponse, responses=responses, summary="Snapshots as they come")
    async def stream(
        currency: Annotated[str | None, Query(description="only this underlying; all if left out")] = None,
    ) -> StreamingResponse:
        underlying = api.find_snapshot(currency).underlying if currency else None
        stream_events = api.stream_events(api.listener.follower(underlying))
        return StreamingResponse(stream_events, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


def _add_openapi(app: FastAPI) -> None:
    """The OpenAPI document, with the snapshot's schema from msgspec."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            _, models = msgspec.json.schema_components(
                (FlowSnapshot,), schema_hook=_views_schema, ref_template="#/components/schemas/{name}"
            )
            del models["FlowSnapshot"]["properties"]["views"]  # they stay in the process
            document.setdefault("components", {}).setdefault("schemas", {}).update(models)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _views_schema(_: type) -> dict[str, Any]:
    """A schema in the place of that of `FlowSnapshot.views`, which has none."""
    return {"type": "null"}


def _response_schema(schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {JSON_TYPE: {"schema": schema}}}

"""The FastAPI application over one hub: all routes, the gate in front of them, and errors as one sentence."""

# Annotations are not postponed here: FastAPI reads those of the routes.

import logging
from typing import Final

import msgspec
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection

from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import sanitize
from dfmon.sinks.rest.access import RequestGate
from dfmon.sinks.rest.compute_routes import add_explain, add_history, add_what_if
from dfmon.sinks.rest.context import JSON_TYPE, RestContext
from dfmon.sinks.rest.openapi import COMMON_RESPONSES, add_openapi
from dfmon.sinks.rest.responses import Error
from dfmon.sinks.rest.service_routes import add_documentation, add_health, add_metrics
from dfmon.sinks.rest.settings import RestSettings
from dfmon.sinks.rest.snapshot_routes import add_snapshots, add_tables
from dfmon.sinks.rest.stream_routes import add_streams
from dfmon.sinks.rest.view_routes import add_views
from dfmon.version import __version__

log = logging.getLogger("dfmon.sinks")

_DESCRIPTION: Final = (
    "Snapshots of what option dealers probably hold and what their hedging does to the market. Every metric has a unit,"
    " a sentence on its sign, a 5-95 % band, a quality and an age; a number that is missing is null, with its reason in"
    " `unavailable`. `/v1/stream` is also a websocket, with messages of the schema StreamMessage."
)


def build_app(context: RestContext, host: str, settings: RestSettings) -> FastAPI:
    """The application of a service on `host`."""
    app = FastAPI(
        title="dfmon",
        version=__version__,
        summary="Dealer flow in crypto options, as it is now",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(_check_query_names)],
        responses=COMMON_RESPONSES,
    )
    add_health(app, context)
    add_metrics(app, context)
    add_snapshots(app, context)
    add_tables(app, context)
    add_explain(app, context)
    add_what_if(app, context)
    add_history(app, context)
    add_views(app, context)
    add_streams(app, context)
    add_documentation(app)
    add_openapi(app)
    app.add_exception_handler(RequestValidationError, _on_invalid_value)
    app.add_exception_handler(WebSocketRequestValidationError, _on_invalid_value)
    app.add_exception_handler(DfmonError, _on_error)

    async def on_failure(request: Request, exc: Exception) -> Response:
        """A fault of a route, which is in the log and among the counted responses."""
        log.error("rest: %s failed: %r", sanitize(request.url.path, 100), exc)
        context.limit.responses[500] += 1
        return _sentence("dfmon failed to respond; its log says why", 500)

    app.add_exception_handler(Exception, on_failure)
    app.add_middleware(RequestGate, host=host, settings=settings, progress=context.progress, limit=context.limit)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=["GET", "HEAD"],
            allow_headers=["Authorization", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag"],
        )
    return app


async def _check_query_names(request: HTTPConnection) -> None:
    """Raises HTTPException 422 for a name that the route does not know, or one that is given twice."""
    known = sorted(parameter.alias for parameter in request.scope["route"].dependant.query_params)
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise HTTPException(422, f"unknown query name {sanitize(name, 40)}, allowed: {allowed}")
        if given.count(name) > 1:
            raise HTTPException(422, f"{name} is given {given.count(name)} times, allowed: once")


async def _on_invalid_value(_: Request, exc: Exception) -> Response:
    """The first value that is not allowed, in one sentence."""
    assert isinstance(exc, RequestValidationError | WebSocketRequestValidationError)
    error = exc.errors()[0]
    found = sanitize(str(error.get("input")), 40)
    return _sentence(f"{error['loc'][-1]} is {found!r}: {str(error['msg']).lower()}")


async def _on_error(_: Request, exc: Exception) -> Response:
    """A wrong value is 422; a store or a source that cannot be used is 503."""
    return _sentence(str(exc), 422 if isinstance(exc, UsageError) else 503)


def _sentence(detail: str, code: int = 422) -> Response:
    return Response(msgspec.json.encode(Error(detail)), code, media_type=JSON_TYPE)

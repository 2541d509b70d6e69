"""The routes about the service itself: health, readiness, Prometheus metrics, and the pages that describe it.

`/docs` is Swagger UI with its files from the package fastapi-offline: nothing is loaded from another host.
"""

# Annotations are not postponed here: FastAPI reads those of the routes.

from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client.exposition import choose_encoder

from dfmon.sinks.rest.access import TRUSTED
from dfmon.sinks.rest.context import JSON_TYPE, RestContext
from dfmon.sinks.rest.health import health, readiness
from dfmon.sinks.rest.metrics import make_registry
from dfmon.sinks.rest.openapi import Responses, json_response
from dfmon.sinks.rest.published import Encoding, choose_encoding, compress

NO_STORE: Final = {"Cache-Control": "no-store"}
ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon.png": "image/png",
}
ASSET_HEADERS: Final = {"Cache-Control": "max-age=3600", "Vary": "Accept-Encoding"}
CONTENT_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


def add_health(app: FastAPI, context: RestContext) -> None:
    responses: Responses = {
        200: json_response("Health", "something is fresh"),
        503: json_response("Health", "starting, or all is stale"),
    }

    @app.get(
        "/healthz", response_class=Response, responses=responses, summary="Is anything fresh?", operation_id="healthz"
    )
    async def healthz(request: Request) -> Response:
        state = health(context)
        body: Any = state if request.scope.get(TRUSTED) else {"status": state.status}
        return _probe_response(body, is_good=state.status in ("ok", "degraded"))

    ready_responses: Responses = {
        200: json_response("Readiness", "every underlying is fresh"),
        503: json_response("Readiness", "one of them is not"),
    }

    @app.get(
        "/readyz", response_class=Response, responses=ready_responses, summary="Is all fresh?", operation_id="readyz"
    )
    async def readyz(request: Request) -> Response:
        state = readiness(context)
        body: Any = state if request.scope.get(TRUSTED) else {"status": state.status}
        return _probe_response(body, is_good=state.status == "ready")


def _probe_response(body: Any, *, is_good: bool) -> Response:
    return Response(msgspec.json.encode(body), 200 if is_good else 503, NO_STORE, JSON_TYPE)


def add_metrics(app: FastAPI, context: RestContext) -> None:
    registry = make_registry(context)
    responses: Responses = {
        200: {"description": "Prometheus text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    }

    @app.get(
        "/metrics", response_class=Response, responses=responses, summary="Prometheus metrics", operation_id="metrics"
    )
    async def metrics(accept: Annotated[str, Header()] = "") -> Response:
        encode, content_type = choose_encoder(accept)
        return Response(encode(registry), headers={**NO_STORE, "Content-Type": content_type})


def add_documentation(app: FastAPI) -> None:
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="dfmon: REST and WebSocket",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="docs/favicon.png",
    )
    page.headers["Content-Security-Policy"] = CONTENT_POLICY

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        return page

    @app.get("/docs/{name}", include_in_schema=False)
    async def asset(name: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        if name not in ASSETS:
            raise HTTPException(404, f"No such file; there is {', '.join(ASSETS)}.")
        encoding = choose_encoding(accept_encoding)
        headers = ASSET_HEADERS | ({"Content-Encoding": encoding} if encoding else {})
        return Response(_asset_bytes(name, encoding), headers=headers, media_type=ASSETS[name])


@cache
def _asset_bytes(name: str, encoding: Encoding) -> bytes:
    return compress((files("fastapi_offline") / "static" / name).read_bytes(), encoding)

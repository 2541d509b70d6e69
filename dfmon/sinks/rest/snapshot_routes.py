"""The routes of the newest snapshots and of their parts.

GET /v1/snapshot?currency=&detail=   the newest snapshot, the bytes of `to_json`
GET /v1/snapshots                    the newest snapshot of each underlying
GET /v1/profile?currency=&model=     and the other TABLES: a part of the snapshot, under one position model
"""

# Annotations are not postponed here: FastAPI reads those of the routes.

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import FastAPI, Query, Request, Response

from dfmon.model.snapshot import FlowSnapshot, State, to_json
from dfmon.sinks.rest.context import RestContext
from dfmon.sinks.rest.openapi import ERRORS, Responses, json_response
from dfmon.sinks.rest.tables import HEAT_MAP, SMOOTHED_HEAT_MAP, TABLES, Table

TableRoute = Callable[..., Awaitable[Response]]

Currency = Annotated[
    str | None, Query(description="an underlying, such as BTC; the first one if left out", examples=["BTC"])
]
Model = Annotated[
    str | None,
    Query(
        description="a position model: flow, naive, short-all or file; the published one if left out",
        examples=["naive"],
    ),
]
Smoothed = Annotated[bool, Query(description="spread over 3 strikes x 2 expiries, as by `x` on the screen")]
SNAPSHOT_RESPONSES: Final[Responses] = {
    200: json_response("FlowSnapshot", "the newest snapshot"),
    304: {"description": "not changed"},
    **ERRORS,
}


def add_snapshots(app: FastAPI, context: RestContext) -> None:
    @app.get(
        "/v1/snapshot", response_class=Response, responses=SNAPSHOT_RESPONSES, summary="The newest snapshot",
        operation_id="snapshot",
    )  # fmt: skip
    async def snapshot(
        request: Request,
        currency: Currency = None,
        detail: Annotated[bool, Query(description="with heat-map, profile, tape and alerts")] = False,
    ) -> Response:
        found = context.find_snapshot(currency)
        if not detail:
            return await context.respond(request, found, "")
        return await context.respond(request, found, "detail", partial(to_json, found, context.hub.mode, detail=True))

    list_responses: Responses = {
        200: json_response("FlowSnapshot", "the newest of each underlying, none before the first", is_list=True)
    }

    @app.get(
        "/v1/snapshots", response_class=Response, responses=list_responses, operation_id="snapshots",
        summary="The newest snapshot of each underlying",
    )  # fmt: skip
    async def snapshots(request: Request) -> Response:
        newest = [context.hub.latest(name) for name in context.hub.underlyings()]
        bodies = [context.bodies.json(item) for item in newest if item is not None]
        return await context.respond_once(request, lambda: b"[" + b",".join(bodies) + b"]")


def add_tables(app: FastAPI, context: RestContext) -> None:
    for table in TABLES:
        name = table.path.removeprefix("/v1/")
        responses: Responses = {
            200: json_response(table.body.__name__, "of the newest snapshot"),
            304: {"description": "not changed"},
            **ERRORS,
        }
        route = _heat_map_route(context) if table is HEAT_MAP else _table_route(context, table, name)
        app.get(
            table.path, response_class=Response, responses=responses, summary=table.summary, operation_id=name,
        )(route)  # fmt: skip


def _table_route(context: RestContext, table: Table, name: str) -> TableRoute:
    async def part(request: Request, currency: Currency = None, model: Model = None) -> Response:
        found = context.find_snapshot(currency, model)
        encode = table_encoder(table, found, context.hub.mode, model)
        return await context.respond(request, found, f"{name}-{model or found.positions.model}", encode)

    return part


def _heat_map_route(context: RestContext) -> TableRoute:
    async def heat_map(
        request: Request, currency: Currency = None, model: Model = None, smoothed: Smoothed = False
    ) -> Response:
        table, name = (SMOOTHED_HEAT_MAP, "heatmap-smoothed") if smoothed else (HEAT_MAP, "heatmap")
        return await _table_route(context, table, name)(request, currency, model)

    return heat_map


def table_encoder(table: Table, snapshot: FlowSnapshot, mode: State, model: str | None) -> Callable[[], bytes]:
    """The function that encodes the table of a snapshot; building it takes milliseconds."""
    return lambda: msgspec.json.encode(table.build(snapshot.view(model) if model else snapshot, mode))

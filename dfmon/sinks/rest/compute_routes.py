"""The routes that compute: one number written out, a what-if, and the history.

GET /v1/explain/{metric}?currency=&model=         as `dfmon explain`
GET /v1/whatif?currency=&spot=&vol=&hours=&...    as `:what-if` of the screen
GET /v1/history?currency=&since=&until=&every=    columns of the stored metrics
"""

# Annotations are not postponed here: FastAPI reads those of the routes.

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from dfmon.engine.explain import EXPLAINED, explain
from dfmon.engine.explain_terms import ALIASES, TERMS, explain_term
from dfmon.engine.what_if import TickInputs, inputs_of, what_if_of_tick
from dfmon.engine.what_if_arguments import ASSUMPTIONS, SHOCK_RANGES, shock_and_params
from dfmon.model.errors import UsageError
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import HOUR, MICROSECOND, sanitize
from dfmon.sinks.rest.context import RestContext
from dfmon.sinks.rest.history_table import COLUMNS, HistoryRange, history_json
from dfmon.sinks.rest.openapi import ERRORS, Responses, json_response
from dfmon.sinks.rest.snapshot_routes import Currency, Model
from dfmon.sinks.rest.tables import NO_OPTIONS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_SPAN: Final = timedelta(days=365 * 230)
EXPLAINABLE: Final = (*EXPLAINED, *TERMS, *ALIASES)


def add_explain(app: FastAPI, context: RestContext) -> None:
    responses: Responses = {
        200: json_response(("Explanation", "TermExplanation"), "a number, or a word of the first line"),
        304: {"description": "not changed"},
        **ERRORS,
    }

    @app.get(
        "/v1/explain/{metric}", response_class=Response, responses=responses, operation_id="explain",
        summary="One number or word written out",
    )  # fmt: skip
    async def explain_metric(
        request: Request,
        metric: Annotated[str, Path(json_schema_extra={"enum": list(EXPLAINABLE)}, examples=["ngi"])],
        currency: Currency = None,
        model: Model = None,
    ) -> Response:
        if metric not in EXPLAINABLE:
            raise HTTPException(404, f"No metric or word {sanitize(metric, 30)!r}; there is {', '.join(EXPLAINABLE)}.")
        found = context.find_snapshot(currency, model)
        tick = tick_of(found, model)
        function = explain if metric in EXPLAINED else explain_term
        part = f"explain-{metric}-{model or found.positions.model}"
        return await context.respond(request, found, part, lambda: msgspec.json.encode(function(tick, metric)))


def tick_of(snapshot: FlowSnapshot, model: str | None) -> TickInputs:
    """The inputs of the tick under a position model. Raises HTTPException 404 for a snapshot without them."""
    tick = inputs_of(snapshot)
    if tick is None:
        raise HTTPException(404, NO_OPTIONS)
    return tick._replace(params=tick.params.with_positions(model)) if model else tick


def _shock(name: str, unit: str) -> Any:
    lowest, highest = SHOCK_RANGES[name]
    return Query(ge=lowest, le=highest, allow_inf_nan=False, description=unit)


def _assumption(name: str) -> Any:
    return Query(description=ASSUMPTIONS[name][2])


def add_what_if(app: FastAPI, context: RestContext) -> None:
    responses: Responses = {200: json_response("WhatIf", "before and after"), **ERRORS}

    @app.get(
        "/v1/whatif", response_class=Response, responses=responses, operation_id="what_if",
        summary="Every metric before and after a move of the market, or under other assumptions",
    )  # fmt: skip
    async def what_if(
        request: Request,
        currency: Currency = None,
        spot: Annotated[float, _shock("spot", "move of spot and forwards, per cent")] = 0.0,
        vol: Annotated[float, _shock("vol", "move of all volatilities, points")] = 0.0,
        hours: Annotated[float, _shock("hours", "hours that pass")] = 0.0,
        positions: Annotated[str | None, _assumption("positions")] = None,
        numeraire: Annotated[str | None, _assumption("numeraire")] = None,
        stickiness: Annotated[str | None, _assumption("stickiness")] = None,
        share: Annotated[str | None, _assumption("share")] = None,
        law: Annotated[str | None, _assumption("law")] = None,
        desks: Annotated[str | None, _assumption("desks")] = None,
    ) -> Response:
        found = context.find_snapshot(currency)
        tick = tick_of(found, None)
        given = {
            "spot": repr(spot), "vol": repr(vol), "hours": repr(hours), "positions": positions,
            "numeraire": numeraire, "stickiness": stickiness, "share": share, "law": law, "desks": desks,
        }  # fmt: skip
        arguments = {name: value for name, value in given.items() if value is not None}
        shock, params = shock_and_params(arguments.items(), tick.params)

        def encode() -> bytes:
            try:
                return msgspec.json.encode(what_if_of_tick(tick, shock, params))
            except ValueError as exc:
                raise UsageError(str(exc)) from None

        part = "whatif-" + quote("-".join(f"{name}-{value}" for name, value in arguments.items()))
        return await context.respond(request, found, part, encode)


def add_history(app: FastAPI, context: RestContext) -> None:
    responses: Responses = {200: json_response("HistoryTable", "the columns, oldest first"), **ERRORS}

    @app.get(
        "/v1/history", response_class=Response, responses=responses, operation_id="history",
        summary="Stored metrics of the past",
    )  # fmt: skip
    async def history(
        request: Request,
        currency: Currency = None,
        since: Annotated[datetime | None, Query(description="first time, UTC; an hour before the end")] = None,
        until: Annotated[datetime | None, Query(description="end, UTC and exclusive; now")] = None,
        every: Annotated[int, Query(ge=0, le=86_400, description="seconds between rows; 0: every tick")] = 0,
        columns: Annotated[str, Query(description=f"some of {', '.join(COLUMNS)}")] = "",
    ) -> Response:
        found = context.find_snapshot(currency)
        if context.history is None:
            raise HTTPException(404, "No history here: it is kept of the live market, unless history.enabled is false.")
        end_ns = found.ts_ns + 1 if until is None else _ns(until)
        start_ns = end_ns - HOUR if since is None else _ns(since)
        names = tuple(filter(None, columns.split(","))) or COLUMNS
        span = HistoryRange(found.underlying, start_ns, end_ns, every, names)
        return await context.respond_once(request, partial(history_json, context.history, span))


def _ns(moment: datetime) -> int:
    """Nanoseconds of a time, which is UTC where it names no zone. Raises UsageError for one that is out of range."""
    since_epoch = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    if not timedelta(0) <= since_epoch < _MAX_SPAN:
        raise UsageError("since, until: times from 1970 to 2200 are allowed")
    return since_epoch // timedelta(microseconds=1) * MICROSECOND

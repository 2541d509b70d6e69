"""The route of a locator: `dfmon://COIN/SCREEN?QUERY` is `/v1/view/SCREEN?currency=COIN&QUERY`, as JSON or as CSV.

GET /v1/view/{screen}?currency=&model=&layer=&expiry=&strike=&name=&spot=&...&format=csv
"""

# Annotations are not postponed here: FastAPI reads those of the routes.

from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from dfmon.engine.view_tables import TABLE_SCREENS, view_table
from dfmon.model.locator import FORMS, make_locator
from dfmon.model.units import sanitize
from dfmon.sinks.rest.context import JSON_TYPE, RestContext
from dfmon.sinks.rest.openapi import ERRORS, Responses, json_response
from dfmon.sinks.rest.snapshot_routes import Currency, Model
from dfmon.sinks.view_text import as_csv, view_of

_CSV_TYPE: Final = "text/csv; charset=utf-8"


def _parameter(name: str) -> Any:
    return Query(description=FORMS[name].allowed)


def add_views(app: FastAPI, context: RestContext) -> None:
    table = json_response("View", "the table of the screen, as JSON or with format=csv as CSV")
    table["content"]["text/csv"] = {"schema": {"type": "string"}}
    responses: Responses = {200: table, 304: {"description": "not changed"}, **ERRORS}

    @app.get(
        "/v1/view/{screen}", response_class=Response, responses=responses, operation_id="view",
        summary="The numbers of a screen as a table, by its locator",
    )  # fmt: skip
    async def view(
        request: Request,
        screen: Annotated[str, Path(json_schema_extra={"enum": list(TABLE_SCREENS)}, examples=["heatmap"])],
        currency: Currency = None,
        model: Model = None,
        layer: Annotated[str | None, _parameter("layer")] = None,
        expiry: Annotated[str | None, _parameter("expiry")] = None,
        strike: Annotated[str | None, _parameter("strike")] = None,
        name: Annotated[str | None, _parameter("name")] = None,
        spot: Annotated[str | None, _parameter("spot")] = None,
        vol: Annotated[str | None, _parameter("vol")] = None,
        hours: Annotated[str | None, _parameter("hours")] = None,
        positions: Annotated[str | None, _parameter("positions")] = None,
        numeraire: Annotated[str | None, _parameter("numeraire")] = None,
        stickiness: Annotated[str | None, _parameter("stickiness")] = None,
        share: Annotated[str | None, _parameter("share")] = None,
        law: Annotated[str | None, _parameter("law")] = None,
        desks: Annotated[str | None, _parameter("desks")] = None,
        form: Annotated[Literal["json", "csv"], Query(alias="format", description="json or csv")] = "json",
    ) -> Response:
        if screen not in TABLE_SCREENS:
            raise HTTPException(404, f"No screen {sanitize(screen, 20)!r}; there is {', '.join(TABLE_SCREENS)}.")
        found = context.find_snapshot(currency, model)
        given = {
            "model": model, "layer": layer, "expiry": expiry, "strike": strike, "name": name, "spot": spot, "vol": vol,
            "hours": hours, "positions": positions, "numeraire": numeraire, "stickiness": stickiness, "share": share,
            "law": law, "desks": desks,
        }  # fmt: skip
        locator = make_locator(found.underlying, screen, given)
        part = f"view-{form}-{quote(str(locator), safe='')}"
        if form == "csv":
            return await context.respond(
                request, found, part, lambda: as_csv(view_table(found, locator)).encode(), _CSV_TYPE
            )
        mode = context.hub.mode
        return await context.respond(
            request, found, part, lambda: msgspec.json.encode(view_of(found, mode, locator)), JSON_TYPE
        )

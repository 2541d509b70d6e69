"""The OpenAPI document: schemas from the structs, units, signs and formulas from the table of metrics."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dfmon.model.explain import Explanation, TermExplanation
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.what_if import WhatIf
from dfmon.sinks.events import Print
from dfmon.sinks.rest import responses
from dfmon.sinks.rest.messages import Gap
from dfmon.sinks.rest.tables import TABLES
from dfmon.sinks.view_text import View

Responses = dict[int | str, dict[str, Any]]

_TEMPLATE: Final = "#/components/schemas/{name}"
_BODIES: Final = (
    FlowSnapshot,
    *(table.body for table in TABLES),
    responses.HistoryTable, responses.Health, responses.Readiness, responses.Error, responses.StreamMessage,
    Explanation, TermExplanation, WhatIf, Gap, Print, View,
)  # fmt: skip


def json_response(names: str | tuple[str, ...], description: str, *, is_list: bool = False) -> dict[str, Any]:
    """A response of JSON by the name of its struct, or of one of several."""
    references = [{"$ref": _TEMPLATE.format(name=name)} for name in ((names,) if isinstance(names, str) else names)]
    schema: dict[str, Any] = references[0] if len(references) == 1 else {"anyOf": references}
    if is_list:
        schema = {"type": "array", "items": schema}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _refusal(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


ERRORS: Final[Responses] = {
    404: json_response("Error", "not here: an underlying, a model, or what the snapshot came without"),
    503: json_response("Error", "no snapshot yet, or too much to compute"),
}
"""Of the routes that show a snapshot."""


COMMON_RESPONSES: Final[Responses] = {
    401: _refusal("a token is needed"),
    413: _refusal("the request has a body that is too large"),
    421: _refusal("this host name is not served"),
    422: json_response("Error", "a query that is not known or out of range"),
    429: _refusal("too frequent; Retry-After says how long to wait"),
}
"""Of every route."""


def add_openapi(app: FastAPI) -> None:
    """Has the application describe itself by the structs that it responds with."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
            )
            document["components"] = {
                "schemas": schemas(),
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer"},
                    "password": {"type": "http", "scheme": "basic"},
                },
            }
            document["security"] = [{}, {"token": []}, {"password": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's guide has it


def schemas() -> dict[str, Any]:
    """The schemas of all bodies by name."""
    _, models = msgspec.json.schema_components(_BODIES, schema_hook=lambda _: {"type": "null"}, ref_template=_TEMPLATE)
    del models["FlowSnapshot"]["properties"]["views"]  # they stay in the process
    for model in models.values():
        _describe_metrics(model)
    for schema in models.values():
        _without_tuples(schema)
    return models


def _describe_metrics(model: dict[str, Any]) -> None:
    """Adds title, formula, unit, sign and an example to the properties that are metrics."""
    for name, schema in model.get("properties", {}).items():
        spec = METRICS.get(name)
        if spec is None or model["title"] not in ("Metrics", "ModelRow", "ExpiryRow", "StrikeRow"):
            continue
        schema["description"] = f"{spec.title}: {spec.formula}. Unit {spec.unit}. Sign: {spec.sign}."
        if model["title"] == "Metrics":
            schema["examples"] = [
                {
                    "value": -2500000.0, "lo": -4100000.0, "hi": -900000.0, "unit": spec.unit, "sign": spec.sign,
                    "quality": "ok", "age_s": 0.4,
                }
            ]  # fmt: skip


def _without_tuples(schema: Any) -> None:
    """Writes tuples of several types as arrays of any of them: generators of clients do not know `prefixItems`."""
    if isinstance(schema, list):
        for item in schema:
            _without_tuples(item)
    if not isinstance(schema, dict):
        return
    if isinstance(items := schema.pop("prefixItems", None), list):
        distinct = list({repr(item): item for item in items}.values())
        schema["items"] = distinct[0] if len(distinct) == 1 else {"anyOf": distinct}
    for part in schema.values():
        _without_tuples(part)

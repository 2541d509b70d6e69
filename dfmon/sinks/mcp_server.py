"""Read-only tools for agents over the Model Context Protocol, on the routes of the REST service.

The routes are those of a running dfmon, or of an application in this process. Every result has the tick, its state and
age, `numbers` with unit, sentence on the sign, 5-95 % band, quality and age each, and `unavailable` with the reason of
what is missing. Imported by `dfmon mcp` alone; its package is an extra.
"""

# Annotations are not postponed here: the SDK reads those of the tools.

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import httpx
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field, ValidationError

from dfmon.model.metrics import METRICS
from dfmon.model.units import sanitize
from dfmon.version import __version__

Result = dict[str, Any]
Currency = Annotated[str | None, Field(description="an underlying, such as BTC; the first one if left out")]

SIGN_OF_LEVEL: Final = "a level of spot; + distance: spot is above it"
SIGN_OF_TRADE: Final = "+ dealers buy, - they sell"
SIGN_OF_POSITION: Final = "+ dealers are long, - they are short"
NO_BAND: Final = "not an estimate"
INSTRUCTIONS: Final = (
    "Dealer flow in crypto options: what option dealers probably hold, and what their hedging does to the market. It is"
    " a model of public data, not a measurement. Quote every number with its unit, the sentence on its sign, its 5-95 %"
    " band and its age, and what is in `unavailable`; while `state` is stale or positions are warming, say so."
)


class FlowTools:
    """The tools over one HTTP client, whose base is a REST service."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def snapshot(self, currency: Currency = None) -> Result:
        """All metrics, the gamma flip, spot and the levels of note of the newest snapshot."""
        found = await self._get("/v1/snapshot", currency=currency)
        flip = found["flip"]
        numbers = [
            number("spot", "spot", found["spot"], "USD", SIGN_OF_LEVEL, NO_BAND),
            *(metric_number(name, found["metrics"][name]) for name in METRICS if name in found["metrics"]),
            number("flip", "gamma flip", flip["level"], "USD", SIGN_OF_LEVEL, flip["quality"], flip["lo"], flip["hi"],
                   flip["age_s"]),
            *(number(name, name.replace("_", " "), value, "USD", SIGN_OF_LEVEL, NO_BAND)
              for name, value in found["levels"].items()),
        ]  # fmt: skip
        return head(found) | {
            "numbers": numbers,
            "flip": {name: flip[name] for name in ("roots", "distance_pct", "distance_sigma", "p_none")},
            "positions": {name: found["positions"][name] for name in ("model", "coverage", "warming", "decided")},
            "freshness": found["freshness"],
        }

    async def regime(self, currency: Currency = None) -> Result:
        """The gamma regime around spot with its edges, the scenario, and the hedges of the next hour."""
        found = await self._get("/v1/scenario", currency=currency)
        regime, scenario = found["regime"], found["scenario"]
        edges = [
            number(f"edge_{side}", f"edge of the regime {side} spot", edge["level"], "USD",
                   f"{SIGN_OF_LEVEL}; direction {edge['direction']}: {DIRECTIONS[edge['direction']]}",
                   "model", edge["lo"], edge["hi"])
            | {"p": edge["p"]}
            for side in ("below", "above")
            if (edge := regime[side]) is not None
        ]  # fmt: skip
        hedges = [
            number(f"hedge {row['if']}", f"hedge trade if spot moves: {row['if']}", row["value"], "USD", SIGN_OF_TRADE,
                   "model", row["lo"], row["hi"])
            for row in found["outlook"]
        ]  # fmt: skip
        return head(found) | {
            "numbers": [*edges, *hedges],
            "regime": {name: regime[name] for name in ("side", "agree")},
            "scenario": scenario,
            "features": found["features"],
        }

    async def positions(
        self,
        currency: Currency = None,
        by: Annotated[Literal["expiry", "option"], Field(description="one number an expiry, or an option")] = "expiry",
        limit: Annotated[int, Field(ge=1, le=200, description="the largest so many")] = 20,
    ) -> Result:
        """Estimated dealer positions in coins, the largest first."""
        found = await self._get("/v1/positions", currency=currency)
        rows = found["by_expiry" if by == "expiry" else "options"]
        largest = sorted(rows, key=lambda row: -abs(row["net"] or 0.0))[:limit]
        numbers = [
            number(row.get("name") or row["expiry"], "dealer position", row["net"], "coins", SIGN_OF_POSITION,
                   "model", row.get("lo"), row.get("hi"))
            | {name: row[name] for name in ("open_interest", "p_long", "seen", "coverage") if name in row}
            for row in largest
        ]  # fmt: skip
        result = head(found) | {"numbers": numbers, "positions": found["positions"], "of": len(rows)}
        if by == "expiry":
            result["unavailable"] = [*result["unavailable"], "lo, hi: positions by expiry are published without bands"]
        return result

    async def explain(
        self,
        metric: Annotated[str, Field(description="a metric such as ngi or flip, or a word such as regime or side")],
        currency: Currency = None,
    ) -> Result:
        """One number or word written out: formula, inputs with ages, largest options, other conventions."""
        tick = await self._get("/v1/snapshot", currency=currency)
        found = await self._get(f"/v1/explain/{metric}", currency=currency)
        numbers = []
        if "value" in found and "unit" in found:
            spec = tick["metrics"].get(metric, {})
            numbers = [
                number(metric, found["title"], found["value"], found["unit"], found["sign"] or SIGN_OF_LEVEL,
                       found["quality"], found["lo"], found["hi"], spec.get("age_s"))
            ]  # fmt: skip
        result = head(tick) | {"numbers": numbers, "explanation": found}
        result["unavailable"] = found["missing"]
        return result

    async def what_if(
        self,
        currency: Currency = None,
        spot: Annotated[float, Field(description="move of spot and forwards, per cent")] = 0.0,
        vol: Annotated[float, Field(description="move of all volatilities, points")] = 0.0,
        hours: Annotated[float, Field(description="hours that pass")] = 0.0,
        positions: Annotated[str | None, Field(description="flow, naive, short-all or file")] = None,
        numeraire: Annotated[str | None, Field(description="usd or coin")] = None,
        stickiness: Annotated[str | None, Field(description="strike or moneyness")] = None,
        share: Annotated[float | None, Field(description="this venue's share of all open interest")] = None,
        law: Annotated[str | None, Field(description="impact: linear or sqrt")] = None,
    ) -> Result:
        """Every metric and the flip before and after a move of the market, or under other assumptions."""
        tick = await self._get("/v1/snapshot", currency=currency)
        found = await self._get(
            "/v1/whatif", currency=currency, spot=spot, vol=vol, hours=hours, positions=positions,
            numeraire=numeraire, stickiness=stickiness, share=share, law=law,
        )  # fmt: skip
        numbers = [
            number(row["name"], row["title"], row["after"], row["unit"], sign_of(row["name"]), "model",
                   row["after_lo"], row["after_hi"], tick["metrics"].get(row["name"], {}).get("age_s"))
            | {name: row[name] for name in ("before", "before_lo", "before_hi", "change")}
            for row in found["rows"]
        ]  # fmt: skip
        rest = {name: found[name] for name in ("shock", "assumed", "left_out")}
        return head(tick) | {"numbers": numbers} | rest

    async def history(
        self,
        columns: Annotated[str, Field(description="some of the metrics, such as ngi,flip,spot")],
        currency: Currency = None,
        since: Annotated[str | None, Field(description="first time, ISO 8601 UTC; an hour before the end")] = None,
        until: Annotated[str | None, Field(description="end, ISO 8601 UTC and exclusive; now")] = None,
        every: Annotated[int, Field(ge=0, description="seconds between rows")] = 60,
    ) -> Result:
        """Stored metrics of the past, one row an interval."""
        tick = await self._get("/v1/snapshot", currency=currency)
        found = await self._get(
            "/v1/history", currency=currency, since=since, until=until, every=every, columns=columns
        )
        numbers = [
            number(name, "newest of the range", values[-1] if values else None, found["units"][name], sign_of(name),
                   "stored")
            for name, values in found["columns"].items()
        ]  # fmt: skip
        result = head(tick) | {"numbers": numbers, "ts_of_rows": found["ts"], "columns": found["columns"]}
        result["unavailable"] = [*result["unavailable"], "lo, hi: the history has no bands"]
        return result

    async def _get(self, path: str, **query: Any) -> Any:
        """The body of a route. Raises ToolError with its sentence."""
        given = {name: value for name, value in query.items() if value is not None}
        try:
            response = await self._client.get(path, params=given)
        except httpx.HTTPError as exc:
            raise ToolError(f"dfmon does not respond: {sanitize(str(exc) or type(exc).__name__)}") from None
        if response.status_code != httpx.codes.OK:
            is_json = response.headers.get("content-type", "").startswith("application/json")
            detail = response.json()["detail"] if is_json else response.text.strip()
            raise ToolError(sanitize(str(detail), 1000))
        return response.json()


DIRECTIONS: Final = {"up": "dealers are short gamma below, long above", "down": "long gamma below, short above"}


def head(found: Result) -> Result:
    """The tick of a body, and its age by the clock while it is live."""
    age_s, missing = None, list(found["unavailable"])
    if found["state"] == "replay":
        missing.append("age_s: the tick is one of a file")
    else:
        age_s = round(time.time() - datetime.fromisoformat(found["ts"]).replace(tzinfo=UTC).timestamp(), 3)
    model = found["model"] if "model" in found else found["positions"]["model"]
    tick = {name: found[name] for name in ("underlying", "seq", "ts", "state")}
    return tick | {"age_s": age_s, "model": model, "unavailable": missing}


def number(
    name: str,
    title: str,
    value: float | None,
    unit: str,
    sign: str,
    quality: str,
    lo: float | None = None,
    hi: float | None = None,
    age_s: float | None = None,
) -> Result:
    """One number with all that belongs to it; `age_s` is None where its age is that of the tick."""
    return {
        "name": name, "title": title, "value": value, "lo": lo, "hi": hi, "unit": unit, "sign": sign,
        "quality": quality, "age_s": age_s,
    }  # fmt: skip


def metric_number(name: str, metric: Result) -> Result:
    fields = (metric[field] for field in ("value", "unit", "sign", "quality", "lo", "hi", "age_s"))
    return number(name, METRICS[name].title, *fields)


def sign_of(name: str) -> str:
    return METRICS[name].sign if name in METRICS else SIGN_OF_LEVEL


class FlowServer(MCPServer):
    """A server that refuses arguments in one clear sentence."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """The result. Raises ToolError with the sentence of a refusal."""
        allowed = {tool.name: tuple(tool.input_schema["properties"]) for tool in await self.list_tools()}
        if name not in allowed:
            raise ToolError(f"There is no tool {sanitize(name, 40)!r} here; there is {', '.join(allowed)}.")
        takes = f"{name} takes {', '.join(allowed[name])}"
        if unknown := [given for given in arguments if given not in allowed[name]]:
            raise ToolError(f"{sanitize(unknown[0], 40)!r} is unknown: {takes}.")
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as exc:
            if not isinstance(exc.__cause__, ValidationError):
                raise
            raise ToolError(_refusal(exc.__cause__, takes)) from None


def _refusal(error: ValidationError, takes: str) -> str:
    """The first fault of the arguments as a sentence."""
    fault = error.errors()[0]
    argument = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"{argument!r} is missing: {takes}."
    expected = fault["msg"].removeprefix("Input should be ")
    return f"{argument!r} is {sanitize(repr(fault['input']), 60)}, expected is {expected}: {takes}."


def make_server(client: httpx.AsyncClient) -> MCPServer:
    """The server of the tools, which speaks with an agent once it is run on a transport."""
    server = FlowServer("dfmon", title="Dealer flow", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR")
    tools = FlowTools(client)
    annotations = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    functions: Iterable[Any] = (
        tools.snapshot, tools.regime, tools.positions, tools.explain, tools.what_if, tools.history,
    )  # fmt: skip
    for function in functions:
        server.add_tool(function, annotations=annotations, structured_output=True)
    return server

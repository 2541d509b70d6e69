"""The tools of `dfmon mcp`, called by the SDK's own client, against the snapshot and the functions behind them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import numpy as np
import pytest

from dfmon.engine.explain import explain
from dfmon.engine.hub import SnapshotHub
from dfmon.engine.what_if import inputs_of, what_if_of_tick
from dfmon.model.metrics import METRICS
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import SECOND
from dfmon.model.what_if import Shock
from dfmon.sinks.rest.rest_service import RestService, create_app
from dfmon.sinks.rest.settings import RestSettings
from tests.board_files import board_text
from tests.sinks.rest.conftest import Serve, computed, serve

pytestmark = pytest.mark.slow

if TYPE_CHECKING:  # the SDK takes a second to load, which collecting need not wait for
    from mcp.client.client import Client

__all__ = ["computed", "serve"]

TOOLS = {"snapshot", "regime", "positions", "explain", "what_if", "history"}
OF_A_NUMBER = {"name", "title", "value", "lo", "hi", "unit", "sign", "quality", "age_s"}


def history(_: str, since_ns: int, names: Sequence[str], until_ns: int) -> Mapping[str, Any]:
    ts_ns = np.arange(since_ns, until_ns, SECOND)
    return {name: ts_ns if name == "ts_ns" else np.arange(float(ts_ns.size)) for name in ("ts_ns", *names)}


@asynccontextmanager
async def agent_of(computed: FlowSnapshot) -> AsyncIterator[Client]:
    """A client of the tools over an application in this process; it must be left in the task that entered it."""
    from mcp.client.client import Client

    from dfmon.sinks.mcp_server import make_server

    hub = SnapshotHub(mode="sim")
    hub.publish(computed)
    transport = httpx.ASGITransport(create_app(hub, history=history))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as routes,
        Client(make_server(routes)) as client,
    ):
        yield client


async def call(agent: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await agent.call_tool(tool, arguments)
    assert not result.is_error, result.content
    found = result.structured_content
    assert found is not None
    return dict(found.get("result", found))


async def test_the_tools_are_read_only_and_described(computed: FlowSnapshot) -> None:
    async with agent_of(computed) as agent:
        tools = (await agent.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        for tool in tools:
            assert tool.description
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("snapshot", {}), ("regime", {"currency": "BTC"}), ("positions", {"by": "option", "limit": 5}),
        ("positions", {}), ("explain", {"metric": "vss"}), ("explain", {"metric": "regime"}),
        ("what_if", {"spot": 2.0}), ("history", {"columns": "ngi,flip"}),
    ],
)  # fmt: skip
async def test_every_result_has_what_belongs_to_a_number(
    computed: FlowSnapshot, tool: str, arguments: dict[str, Any]
) -> None:
    async with agent_of(computed) as agent:
        found = await call(agent, tool, **arguments)
        assert found["underlying"] == "BTC"
        assert found["state"] == "sim"
        assert found["age_s"] > 0.0
        assert isinstance(found["unavailable"], list)
        for number in found["numbers"]:
            assert number.keys() >= OF_A_NUMBER
            assert number["unit"]
            assert number["sign"]


async def test_the_numbers_are_those_of_the_snapshot(computed: FlowSnapshot) -> None:
    async with agent_of(computed) as agent:
        numbers = {row["name"]: row for row in (await call(agent, "snapshot"))["numbers"]}
        for name, spec in METRICS.items():
            metric = getattr(computed.metrics, name)
            row = numbers[name]
            assert (row["value"], row["lo"], row["hi"]) == (metric.value, metric.lo, metric.hi)
            assert (row["unit"], row["sign"]) == (spec.unit, spec.sign)
        assert numbers["flip"]["value"] == computed.flip.level


async def test_explanations_and_what_ifs_are_those_of_the_engine(computed: FlowSnapshot) -> None:
    async with agent_of(computed) as agent:
        inputs = inputs_of(computed)
        assert inputs is not None
        explained = await call(agent, "explain", metric="ngi")
        assert explained["explanation"] == msgspec.json.decode(msgspec.json.encode(explain(inputs, "ngi")))
        changed = await call(agent, "what_if", spot=2.0, vol=5.0)
        rows = what_if_of_tick(inputs, Shock(2.0, 5.0)).rows
        assert [(row["name"], row["before"], row["value"]) for row in changed["numbers"]] == [
            (row.name, row.before, row.after) for row in rows
        ]


async def test_positions_are_the_largest_first(computed: FlowSnapshot) -> None:
    async with agent_of(computed) as agent:
        found = await call(agent, "positions", by="option", limit=3)
        sizes = [abs(row["value"]) for row in found["numbers"]]
        assert len(sizes) == 3
        assert sizes == sorted(sizes, reverse=True)
        assert found["of"] > 3


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("snapshot", {"currency": "XRP"}, "No underlying 'XRP' here; there is BTC."),
        ("explain", {"metric": "gamma"}, "No metric or word 'gamma'; there is ngi,"),
        ("what_if", {"spot": -99.0}, "spot is '-99.0': input should be greater than or equal to -95"),
    ],
)
async def test_a_mistake_of_an_agent_is_a_sentence(
    computed: FlowSnapshot, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    async with agent_of(computed) as agent:
        result = await agent.call_tool(tool, arguments)
        assert result.is_error
        assert sentence in str(result.content)


TOKEN = "a-token-of-some-length"


def agent_of_command(folder: Path, source: str) -> Client:
    """A client of the tools of `dfmon mcp SOURCE`."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    environment = {"DFMON_PUBLISH_REST_TOKEN": TOKEN, "HOME": str(folder), "PYTHONPATH": ":".join(sys.path)}
    command = StdioServerParameters(command=sys.executable, args=["-m", "dfmon", "mcp", source], env=environment)
    return Client(stdio_client(command))


async def test_the_command_serves_a_running_dfmon_over_stdio(
    hub: SnapshotHub, serve: Serve, computed: FlowSnapshot, tmp_path: Path
) -> None:
    hub.publish(computed)
    service: RestService = await serve(RestSettings(TOKEN))
    async with agent_of_command(tmp_path, service.url) as agent:
        found = await call(agent, "snapshot")
    assert {row["name"]: row["value"] for row in found["numbers"]}["ngi"] == computed.metrics.ngi.value


async def test_the_command_serves_a_board_and_says_that_it_has_no_age(tmp_path: Path) -> None:
    board = tmp_path / "board.csv"
    board.write_text(board_text(), encoding="utf-8")
    async with agent_of_command(tmp_path, str(board)) as agent:
        found = await call(agent, "what_if", spot=1.0, positions="naive")
        refused = await agent.call_tool("history", {"columns": "ngi"})
    assert (found["state"], found["age_s"]) == ("replay", None)
    assert "age_s: the tick is one of a file" in found["unavailable"]
    assert next(row for row in found["numbers"] if row["name"] == "ngi")["value"] is not None
    assert "No history here" in str(refused.content)


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("history", {}, "'columns' is missing: history takes columns, currency, since, until, every."),
        ("snapshot", {"foo": 1}, "'foo' is unknown: snapshot takes currency."),
        ("history", {"columns": "ngi", "every": -1}, "'every' is -1, expected is greater than or equal to 0: history"),
        ("what_if", {"spot": "up"}, "'spot' is 'up', expected is a valid number"),
        ("positions", {"by": "name"}, "'by' is 'name', expected is 'expiry' or 'option'"),
        (
            "hedge",
            {},
            "There is no tool 'hedge' here; there is snapshot, regime, positions, explain, what_if, history.",
        ),
    ],
)
async def test_arguments_are_refused_in_one_sentence(
    computed: FlowSnapshot, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    async with agent_of(computed) as agent:
        result = await agent.call_tool(tool, arguments)
        assert result.is_error
        [content] = result.content
        assert content.type == "text"
        assert content.text.startswith(sentence)
        assert content.text.count("\n") == 0
        assert "pydantic" not in content.text

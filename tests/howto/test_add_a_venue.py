"""The venue of docs/howto/add-a-venue.md, built on a copy of the package, runs against a server of its wire format."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tests.howto.guide import dfmon_command, follow_guide

pytestmark = pytest.mark.slow

CLOSED_PORT = "127.0.0.1:9"
USE_THE_VENUE = Path(__file__).with_name("use_the_venue.py")


async def stream(socket: ServerConnection) -> None:
    """Acknowledges the subscription, then sends trades of BTC and ETH and quotes of BTC, with a heartbeat each time."""
    request = json.loads(await socket.recv())
    assert request["op"] == "subscribe"
    assert {"trades.BTC", "top.BTC", "trades.ETH", "top.ETH"} <= set(request["channels"])
    number = 0
    while True:
        number += 1
        ms = time.time_ns() // 1_000_000
        for message in (
            {"channel": "notice", "name": "heartbeat"},
            {"channel": "trades", "coin": "BTC", "id": number, "ms": ms, "price": 9e4, "size": 0.1, "taker": "buy"},
            {"channel": "trades", "coin": "ETH", "id": number, "ms": ms, "price": 3e3, "size": 1.0, "taker": "sell"},
            {"channel": "top", "coin": "BTC", "ms": ms, "bid": 90_010.0, "ask": 90_030.0},
        ):
            await socket.send(json.dumps(message))
        await asyncio.sleep(0.05)


def tell_time(connection: ServerConnection, request: Request) -> Response | None:
    if request.path != "/time":
        return None
    return connection.respond(HTTPStatus.OK, json.dumps({"ms": time.time_ns() // 1_000_000}))


@asynccontextmanager
async def toyx_server() -> AsyncIterator[str]:
    async with serve(stream, "127.0.0.1", 0, process_request=tell_time) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def output(command: list[str], environ: dict[str, str]) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(90):
        out, err = await process.communicate()
    assert not err, err.decode()
    return out.decode()


async def test_trades_of_the_venue_reach_the_markets_and_the_demo_leaves_it_out(tmp_path: Path) -> None:
    environ = follow_guide("add-a-venue.md", tmp_path)
    async with toyx_server() as host:
        lines = await output([sys.executable, str(USE_THE_VENUE), f"ws://{host}", f"http://{host}"], environ)
    assert lines.splitlines() == [
        "toyx spot BTC 90020.0",
        "toyx spot ETH 3000.0",
        "demo 127.0.0.1 disabled: toyx",
    ]


async def test_doctor_examines_the_venue_of_the_guide(tmp_path: Path) -> None:
    environ = follow_guide("add-a-venue.md", tmp_path) | {
        "DFMON_BINANCE_ENABLED": "false",
        "DFMON_OKX_ENABLED": "false",
        "DFMON_DERIBIT_WEBSOCKET": f"ws://{CLOSED_PORT}",
        "DFMON_DERIBIT_REST": f"http://{CLOSED_PORT}",
        "DFMON_DERIBIT_ARCHIVE": f"http://{CLOSED_PORT}",
        "NO_PROXY": "127.0.0.1",
    }
    async with toyx_server() as host:
        environ |= {"DFMON_TOYX_WEBSOCKET": f"ws://{host}", "DFMON_TOYX_REST": f"http://{host}"}
        findings = json.loads(await output(dfmon_command("doctor", "--json"), environ))["findings"]
    states = {finding["about"]: finding["state"] for finding in findings}
    assert {states[about] for about in ("feeds toyx", "rest toyx", "clock toyx")} == {"ok"}
    assert states["venue okx"] == "note"


async def test_snapshots_have_the_feed_of_the_venue(tmp_path: Path) -> None:
    environ = follow_guide("add-a-venue.md", tmp_path) | {"DFMON_HISTORY_ENABLED": "false"}
    for name in ("DERIBIT", "BINANCE", "OKX"):
        environ[f"DFMON_{name}_ENABLED"] = str(name == "DERIBIT").lower()
    environ |= {f"DFMON_DERIBIT_{key}": f"http://{CLOSED_PORT}" for key in ("REST", "ARCHIVE")}
    environ["DFMON_DERIBIT_WEBSOCKET"] = f"ws://{CLOSED_PORT}"
    async with toyx_server() as host:
        environ |= {"DFMON_TOYX_WEBSOCKET": f"ws://{host}", "DFMON_TOYX_REST": f"http://{host}"}
        pipe, devnull = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        command = dfmon_command("--publish", "all")
        process = await asyncio.create_subprocess_exec(
            *command, env=environ, stdout=pipe, stderr=devnull, limit=1 << 22
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                states: dict[str, str] = {}
                while states.get("toyx") != "live":
                    snapshot = json.loads(await process.stdout.readline())
                    states = {feed["name"]: feed["state"] for feed in snapshot["feeds"]}
        finally:
            process.terminate()
            await process.communicate()
    assert {name for name, state in states.items() if state != "disabled"} == {"deribit", "toyx"}

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from dfmon.cli.main import run

CERTIFICATE = Path(__file__).parent / "loopback.pem"  # of 127.0.0.1, signed by itself, with its key


async def test_with_a_certificate_every_port_speaks_tls(exchange: Any) -> None:
    sim = await exchange(certificate=CERTIFICATE)
    assert {a.ws.partition(":")[0] for a in sim.addresses.values()} == {"wss"}
    trust = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with httpx.AsyncClient(trust_env=False, verify=trust) as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "public/test", "params": {}}
        assert (await client.post(sim.addresses["deribit"].rest, json=body)).json()["result"] == {"version": "1.2.26"}
        assert (await client.get(f"{sim.addresses['binance.spot'].rest}/api/v3/ping")).json() == {}
    async with asyncio.timeout(60), connect(sim.addresses["okx"].ws, ssl=trust) as ws:
        await ws.send("ping")
        assert await ws.recv() == "pong"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no such file"), (b"nothing", "not a PEM file with a certificate and its key")],
)
def test_a_bad_certificate_is_refused(
    content: bytes | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "certificate.pem"
    if content is not None:
        path.write_bytes(content)
    assert run(["sim", "--certificate", str(path)]) == 2
    assert reason in capsys.readouterr().err

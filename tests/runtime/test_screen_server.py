"""The screen in a browser: who is let in, what the page loads, and a whole session in headless Chromium."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from dfmon.cli import main
from dfmon.cli.parser import build_parser
from dfmon.cli.serve import monitor_arguments
from tests.board_files import board_text

pytest.importorskip("textual_serve", reason="the extra `serve` is not installed")
from aiohttp.test_utils import TestServer

from dfmon.runtime.screen_server import ScreenServer

TOKEN = "0123456789abcdef-token"


@asynccontextmanager
async def served(token: str = "") -> AsyncIterator[httpx.AsyncClient]:
    server = TestServer(await ScreenServer(["--version"], "127.0.0.1", 1, token)._make_app())
    await server.start_server()
    try:
        async with httpx.AsyncClient(base_url=str(server.make_url("/"))) as client:
            yield client
    finally:
        await server.close()


async def test_the_page_loads_nothing_from_outside() -> None:
    async with served() as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "https://" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        for path in ("css/xterm.css", "js/textual.js", "fonts/RobotoMono-VariableFont_wght.ttf"):
            assert f"static/{path}" in page.text
            assert (await client.get(f"/static/{path}")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403), ({"Host": "localhost"}, 200)],
)
async def test_without_a_token_only_pages_of_this_machine_are_served(headers: dict[str, str], code: int) -> None:
    async with served() as client:
        assert (await client.get("/", headers=headers)).status_code == code


async def test_a_token_is_brought_by_a_link_and_kept_by_a_cookie() -> None:
    async with served(TOKEN) as client:
        for path in ("/", "/ws", "/static/js/textual.js", "/?token=wrong"):
            assert (await client.get(path)).status_code == 401
        linked = await client.get(f"/?token={TOKEN}")
        assert (linked.status_code, linked.headers["location"]) == (302, "./")
        assert "HttpOnly" in linked.headers["set-cookie"]
        assert (await client.get("/")).status_code == 200
        client.cookies.clear()
        assert (await client.get("/", headers={"Authorization": f"Bearer {TOKEN}"})).status_code == 200


@pytest.mark.parametrize(
    ("listen", "sentence"),
    [
        ("0.0.0.0:8780", "--listen 0.0.0.0:8780 is open to others, allowed: 127.0.0.1:PORT, or a token"),
        ("8780", "--listen is '8780', allowed: HOST:PORT such as 127.0.0.1:8780"),
    ],
)
def test_a_wrong_address_is_one_sentence(listen: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["serve", "--listen", listen]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ((), []),
        (("demo", "--currency", "ETH"), ["demo", "--currency", "ETH"]),
        (("http://host:8765",), ["attach", "http://host:8765"]),
        (("rec", "--palette", "light"), ["replay", "rec", "--palette", "light"]),
    ],
)
def test_each_page_has_the_dfmon_of_its_source(argv: tuple[str, ...], command: list[str]) -> None:
    assert monitor_arguments(build_parser().parse_args(["serve", *argv])) == command


# ---- a browser -------------------------------------------------------------------------------------------------------


class Browser:
    """A page of headless Chromium over its debugging protocol, with the addresses that it asked for."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self._connection, self._count, self.requested = connection, 0, set[str]()

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        await self._connection.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._connection.recv())
            if message.get("method") == "Network.requestWillBeSent":
                self.requested.add(message["params"]["request"]["url"])
            elif message.get("method") == "Network.webSocketCreated":
                self.requested.add(message["params"]["url"])
            elif message.get("id") == self._count:
                result: dict[str, Any] = message["result"]
                return result

    async def wait_for_class(self, name: str) -> None:
        found = ""
        async with asyncio.timeout(60):
            while name not in found:
                state = await self.call("Runtime.evaluate", expression="document.body?.className ?? ''")
                found = state.get("result", {}).get("value", "")


@asynccontextmanager
async def browser(profile: Path, url: str) -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    command = [chromium, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            async with asyncio.timeout(60):
                file = profile / "DevToolsActivePort"
                while not file.exists() or "\n" not in file.read_text():
                    await asyncio.sleep(0.05)
            async with httpx.AsyncClient() as client:
                targets = (await client.get(f"http://127.0.0.1:{file.read_text().split()[0]}/json")).json()
            page = next(target for target in targets if target["type"] == "page")
            async with websockets.connect(page["webSocketDebuggerUrl"], max_size=None) as connection:
                shown = Browser(connection)
                await shown.call("Network.enable")
                await shown.call("Page.navigate", url=url)
                yield shown
        finally:
            process.terminate()


@pytest.mark.slow
async def test_a_browser_draws_the_screen_and_asks_this_server_alone(tmp_path: Path, unused_tcp_port: int) -> None:
    board = tmp_path / "board.csv"
    board.write_text(board_text(), encoding="utf-8")
    address = f"127.0.0.1:{unused_tcp_port}"
    command = [sys.executable, "-m", "dfmon", "serve", str(board), "--listen", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            assert address in await asyncio.to_thread(server.stderr.readline)
            async with browser(tmp_path / "profile", f"http://{address}/") as page:
                await page.wait_for_class("-first-byte")
                assert {url.partition("://")[2].partition("/")[0] for url in page.requested} == {address}
                assert any(url.startswith("ws://") for url in page.requested)
                for kind in ("keyDown", "keyUp"):
                    text = {"text": "q"} if kind == "keyDown" else {}
                    await page.call("Input.dispatchKeyEvent", type=kind, key="q", code="KeyQ", **text)
                await page.wait_for_class("-closed")
        finally:
            server.terminate()

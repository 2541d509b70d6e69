"""Commands and webhooks of alert rules: what they get, their time limit, and what is said of those that fail."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dfmon.engine.alerts.expression import read_condition
from dfmon.engine.alerts.rules import Firing, Rule
from dfmon.engine.hub import SnapshotHub
from dfmon.sinks.alert_hooks import MAX_WAITING, AlertHooks
from tests.sinks.factory import START_NS, wait_until


def firing(**changes: Any) -> Firing:
    rule = Rule("edge near", read_condition("spot > 1"), **changes)
    return Firing(rule, "BTC", START_NS, {"spot": 91_234.5, "flip.level": None})


def command(*arguments: str) -> Firing:
    return firing(to=("command",), command=(sys.executable, "-c", *arguments))


def is_zombie(pid: str) -> bool:
    """True for a child of a process that was ended before it: nobody may have waited for it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@asynccontextmanager
async def running(hooks: AlertHooks) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(hooks.run(SnapshotHub(), stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def test_a_command_gets_the_alert_on_stdin_and_no_shell_reads_it(tmp_path: Path) -> None:
    hooks, place = AlertHooks(), tmp_path / "alert.json"
    hooks.offer(firing(to=("line", "toast")))
    hooks.offer(
        command("import sys; open(sys.argv[1], 'w').write(sys.stdin.read() + sys.argv[2])", str(place), "; $HOME")
    )
    async with running(hooks):
        await wait_until(lambda: hooks.progress.sent)
    text, _, rest = place.read_text().partition("}}")
    assert rest == "; $HOME"
    assert json.loads(text + "}}") == {
        "rule": "edge near", "severity": "warning", "underlying": "BTC", "ts": "2026-01-22T12:30:05.047Z",
        "when": "spot > 1", "text": "BTC edge near: spot 91,234", "fields": {"spot": 91234.5, "flip.level": None},
    }  # fmt: skip
    assert (hooks.status().state, hooks.progress.lost) == ("off", 0)


async def test_a_command_that_does_not_end_is_ended_with_its_children(tmp_path: Path) -> None:
    hooks, place = AlertHooks(timeout_s=1.0), tmp_path / "pid"
    child = "import subprocess, sys; sleep = subprocess.Popen(['sleep', '600'])"
    hooks.offer(command(f"{child}; open(sys.argv[1], 'w').write(str(sleep.pid)); sleep.wait()", str(place)))
    async with running(hooks):
        await wait_until(lambda: hooks.status().state == "failed")
        assert hooks.status().note == f"edge near: {sys.executable} was ended after 1 s"
    assert not Path(f"/proc/{place.read_text()}/cmdline").exists() or is_zombie(place.read_text())


@pytest.mark.parametrize(
    ("hook", "note"),
    [
        (command("raise SystemExit(3)"), f"edge near: {sys.executable} ended with 3"),
        (firing(to=("command",), command=("/nowhere/at-all",)), "cannot be started: no such file or directory"),
        (firing(to=("webhook",), webhook="http://127.0.0.1:1/secret"), "edge near: 127.0.0.1: ConnectError"),
    ],
)
async def test_a_hook_that_fails_is_said(hook: Firing, note: str) -> None:
    hooks = AlertHooks()
    hooks.offer(hook)
    async with running(hooks):
        await wait_until(lambda: hooks.status().state == "failed")
        assert note in hooks.status().note
        assert "secret" not in hooks.status().note


async def test_a_webhook_gets_a_post_and_its_refusal_is_said() -> None:
    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        bodies.append(head[:4] + await reader.readexactly(length))
        status = b"200 OK" if len(bodies) == 1 else b"403 Forbidden"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    hooks = AlertHooks()
    async with server, running(hooks):
        hooks.offer(firing(to=("webhook",), webhook=url))
        await wait_until(lambda: hooks.progress.sent)
        hooks.offer(firing(to=("webhook",), webhook=url))
        await wait_until(lambda: hooks.status().state == "failed")
        assert hooks.status().note == "edge near: 127.0.0.1 responded 403"
    assert [body[:4] for body in bodies] == [b"POST", b"POST"]
    assert json.loads(bodies[0][4:])["rule"] == "edge near"


async def test_of_too_many_the_oldest_give_way_and_are_counted() -> None:
    hooks = AlertHooks()
    for _ in range(MAX_WAITING + 5):
        hooks.offer(firing(to=("webhook",), webhook="http://127.0.0.1:1/"))
    assert hooks.status().dropped == 5

"""Commands and webhooks of alert rules, beside the market: each with a time limit, in order, a bounded number waiting.

A command is started without a shell and gets the alert as JSON on stdin; a webhook gets the same as the body of a POST.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from dfmon.aio import wait_until_set
from dfmon.engine.alerts.rules import Firing
from dfmon.engine.hub import SnapshotHub
from dfmon.model.units import iso, sanitize
from dfmon.sinks.base import SinkProgress, SinkStatus, log

TIMEOUT_S: Final = 10.0
MAX_WAITING: Final = 100
_POLL_S: Final = 0.2
_GRACE_S: Final = 3.0  # at the end, for what waits


class AlertHooks:
    """A sink of firings in place of snapshots; the oldest give way where too many wait, and are counted."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self.name = "alert hooks"
        self.progress = SinkProgress()
        self._timeout_s = timeout_s
        self._waiting: deque[Firing] = deque()  # bounded by MAX_WAITING

    def status(self) -> SinkStatus:
        return self.progress.status(self.name)

    def offer(self, firing: Firing) -> None:
        """Takes a firing whose rule has a hook. Called on the market's loop; returns at once."""
        if not {"command", "webhook"} & set(firing.rule.to):
            return
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.progress.dropped += 1
        self._waiting.append(firing)

    async def run(self, hub: SnapshotHub, stop: asyncio.Event) -> None:
        """Delivers until `stop`, and then what waits, for a short time."""
        self.progress.set_state("ready")
        while not await wait_until_set(stop, _POLL_S):
            await self._deliver_waiting()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await self._deliver_waiting()
        self.progress.lost = self.progress.dropped + len(self._waiting)
        self.progress.set_state("off")

    async def _deliver_waiting(self) -> None:
        while self._waiting:
            firing = self._waiting.popleft()
            body = alert_json(firing)
            hooks: list[Coroutine[Any, Any, str]] = []
            if "command" in firing.rule.to:
                hooks.append(self._run_command(firing.rule.command, body))
            if "webhook" in firing.rule.to:
                hooks.append(self._post(firing.rule.webhook, body))
            faults = [fault for fault in await asyncio.gather(*hooks) if fault]
            if not faults:
                self.progress.sent += 1
                self.progress.set_state("ready")
                continue
            fault = f"{firing.rule.name}: {'; '.join(faults)}"
            self.progress.set_state("failed", sanitize(fault))
            log.warning("alert hook of %s", sanitize(fault, 300))

    async def _run_command(self, command: tuple[str, ...], body: bytes) -> str:
        """The fault of a command, empty for none."""
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            return f"{command[0]} cannot be started: {_reason(exc)}"
        try:
            async with asyncio.timeout(self._timeout_s):
                await child.communicate(body)
        except TimeoutError:
            return f"{command[0]} was ended after {self._timeout_s:g} s"
        finally:
            if child.returncode is None:
                _kill_group(child.pid)
                await child.wait()
        return f"{command[0]} ended with {child.returncode}" if child.returncode else ""

    async def _post(self, url: str, body: bytes) -> str:
        """The fault of a webhook, empty for none. Its path may be a secret: only the host is named."""
        import httpx

        host = urlsplit(url).hostname or url
        try:
            async with asyncio.timeout(self._timeout_s), httpx.AsyncClient(timeout=self._timeout_s) as client:
                response = await client.post(url, content=body, headers={"Content-Type": "application/json"})
        except TimeoutError:
            return f"{host} did not respond within {self._timeout_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            return f"{host}: {type(exc).__name__}"
        return "" if response.is_success else f"{host} responded {response.status_code}"


def alert_json(firing: Firing) -> bytes:
    """The alert as the hooks get it."""
    rule = firing.rule
    return msgspec.json.encode(
        {
            "rule": rule.name,
            "severity": rule.severity,
            "underlying": firing.underlying,
            "ts": iso(firing.ts_ns),
            "when": rule.condition.text,
            "text": firing.alert.text,
            "fields": dict(firing.fields),
        }
    )


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "strerror", None) or exc).lower()


def _kill_group(pid: int) -> None:
    """Ends a command with all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

"""Worlds in processes of their own, some at a time: what was killed in one must never run on, so its process ends."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

from tests.worlds.coverage import Coverage
from tests.worlds.plan import Plan
from tests.worlds.world import Outcome, run_world

_FORK: Final = multiprocessing.get_context("fork")  # the modules are imported once
_IMPORTED_LATE: Final = (
    "dfmon.sinks.rest.server",
    "dfmon.sinks.rest.app",
    "uvicorn.protocols.http.h11_impl",
    "httpcore",
    "anyio._backends._asyncio",
    "numpy.random",
    "encodings.idna",
)
MAX_CPU_S: Final = 900  # of one world: more is a loop without an end
MAX_WALL_S: Final = 7200.0  # more is a wait without an end


def run_all(plans: Sequence[Plan], jobs: int, seconds: float = float("inf")) -> Iterator[Outcome]:
    """Outcomes as they come; none is begun after `seconds` of wall time."""
    for name in _IMPORTED_LATE:
        importlib.import_module(name)
    waiting, ends_at = list(reversed(plans)), time.monotonic() + seconds
    running: dict[Connection, tuple[Any, Plan, float]] = {}
    while running or (waiting and time.monotonic() < ends_at):
        while waiting and len(running) < max(jobs, 1) and time.monotonic() < ends_at:
            plan = waiting.pop()
            receiver, process = _start(plan)
            running[receiver] = process, plan, time.monotonic()
        for ended in [receiver for receiver in wait(list(running), timeout=1.0) if isinstance(receiver, Connection)]:
            process, plan, _ = running.pop(ended)
            yield _receive(ended, plan)
            process.join()
        for receiver, (process, plan, began) in list(running.items()):
            if time.monotonic() - began > MAX_WALL_S:
                del running[receiver]
                process.kill()
                yield _lost(plan, f"no end after {MAX_WALL_S:.0f} s of wall time")


def run_one(plan: Plan, keep: Path | None = None) -> Outcome:
    """One world. `keep` gets its files, recordings among them."""
    receiver, process = _start(plan, keep)
    outcome = _receive(receiver, plan)
    process.join()
    return outcome


def _start(plan: Plan, keep: Path | None = None) -> tuple[Connection, Any]:
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_run, args=(plan, sender, keep))
    process.start()
    sender.close()
    return receiver, process


def _run(plan: Plan, sender: Connection, keep: Path | None) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    with tempfile.TemporaryDirectory(prefix="world-") as folder:
        sender.send(run_world(plan, keep or Path(folder)))
    os._exit(0)  # nothing that was killed in the world may end in an orderly way now


def _receive(receiver: Connection, plan: Plan) -> Outcome:
    try:
        outcome = receiver.recv()
    except EOFError:
        return _lost(plan, f"the process of the world ended by itself, or after {MAX_CPU_S} s of a core")
    assert isinstance(outcome, Outcome)
    return outcome


def _lost(plan: Plan, reason: str) -> Outcome:
    return Outcome(plan, (reason,), "", "", 0, 0.0, 0.0, 0.0, Coverage())

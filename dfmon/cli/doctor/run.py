"""Everything the doctor looks at, side by side and within a bound of time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dfmon.cli.doctor import feeds, machine
from dfmon.cli.doctor.findings import Finding, as_json, as_text, healthy, note, ok, wrong
from dfmon.config import Config
from dfmon.model.errors import EXIT_FAILED, EXIT_OK
from dfmon.runtime import composition, stores
from dfmon.venues.backoff import Gate
from dfmon.venues.protocol import Endpoint
from dfmon.venues.rest.client import RestClient

BOUND_S: Final = 14.0
_DERIBIT_CONNECTIONS: Final = 32  # of an address, REST included


def run(config: Config, *, json: bool) -> int:
    """Look, say what was found, and return 0 where nothing is wrong, else 1."""
    findings = asyncio.run(examine(config))
    sys.stdout.write((as_json if json else as_text)(findings) + "\n")
    return EXIT_OK if healthy(findings) else EXIT_FAILED


async def examine(config: Config) -> list[Finding]:
    """All findings, in the order in which they are shown."""
    endpoints = composition.venue_endpoints(config)
    async with RestClient(pace_s=composition.VENUE_PACE_S) as rest:
        found = await _within(BOUND_S, endpoints, rest)
    return [*found, *limits(endpoints), *_folders(config), *machine.here()]


async def _within(seconds: float, endpoints: Sequence[Endpoint], rest: RestClient) -> list[Finding]:
    """The venues, all at once; what takes longer than `seconds` is named and left."""
    gate = Gate()
    tasks: dict[str, asyncio.Task[list[Finding]]] = {}

    async def one(endpoint: Endpoint) -> list[Finding]:
        return [await feeds.feed(endpoint, rest, gate)]

    bases: dict[str, str] = {}
    for endpoint in endpoints:
        tasks[f"feeds {endpoint.source}"] = asyncio.create_task(one(endpoint))
        bases.setdefault(endpoint.rest, endpoint.source)
    for base, name in bases.items():
        tasks[f"rest {name}"] = asyncio.create_task(feeds.rest_side(name, base))
    await asyncio.wait(tasks.values(), timeout=seconds)
    found: list[Finding] = []
    for about, task in tasks.items():
        if task.done() and task.exception() is None:
            found += task.result()
        elif task.done():
            found.append(wrong(about, f"the examination failed: {type(task.exception()).__name__}"))
        else:
            task.cancel()
            found.append(wrong(about, f"no verdict within {seconds:.0f} s"))
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    return found


def limits(endpoints: Sequence[Endpoint]) -> list[Finding]:
    """What dfmon asks of each venue beside what the venue allows."""
    hosts = {urlsplit(endpoint.url).netloc for endpoint in endpoints if endpoint.source.startswith("deribit")}
    mine = sum(urlsplit(endpoint.url).netloc in hosts for endpoint in endpoints) + 1
    calls = 1.0 / composition.VENUE_PACE_S
    words = (
        f"{len(endpoints)} connections, at most {calls:.0f} REST calls a second and host;"
        f" Deribit: {mine} of {_DERIBIT_CONNECTIONS} connections an address may have, so {_DERIBIT_CONNECTIONS // mine}"
        " copies of dfmon"
    )
    return [ok("limits", words)]


def _folders(config: Config) -> list[Finding]:
    findings = []
    if config.history.enabled:
        findings.append(machine.folder("disk history", stores.history_file(config).parent))
    else:
        findings.append(note("disk history", "switched off: charts begin when dfmon does"))
    if config.record.directory:
        findings.append(machine.folder("disk record", Path(config.record.directory)))
    return findings

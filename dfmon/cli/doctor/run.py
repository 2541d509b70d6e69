"""The checks of the doctor, concurrently and within a time limit."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dfmon.cli.doctor import feeds, machine
from dfmon.cli.doctor.findings import Finding, as_json, as_text, failure, healthy, note, ok
from dfmon.cli.doctor.positions import check_signs
from dfmon.config import Config
from dfmon.model.errors import EXIT_FAILED, EXIT_OK
from dfmon.model.units import sanitize
from dfmon.runtime import composition, stores
from dfmon.venues.backoff import ConnectLimiter
from dfmon.venues.protocol import Endpoint
from dfmon.venues.registry import VENUES, find_source
from dfmon.venues.rest.client import RestClient

TIMEOUT_S: Final = 14.0


def run(config: Config, *, json: bool) -> int:
    """Runs all checks and prints the findings. Returns 0 if nothing is wrong, else 1."""
    findings = asyncio.run(diagnose(config))
    sys.stdout.write((as_json if json else as_text)(findings) + "\n")
    return EXIT_OK if healthy(findings) else EXIT_FAILED


async def diagnose(config: Config) -> list[Finding]:
    """All findings, in the order in which they are shown."""
    endpoints = composition.venue_endpoints(config)
    async with RestClient(pace_s=composition.REST_INTERVAL_S) as rest:
        findings = await _check_venues(TIMEOUT_S, endpoints, rest)
    disabled = [note(f"venue {name}", "disabled") for name in composition.disabled_venues(config)]
    local = [*check_limits(endpoints), *_check_folders(config), *check_signs(config), *machine.check_environment()]
    return [*findings, *disabled, *local]


async def _check_venues(seconds: float, endpoints: Sequence[Endpoint], rest: RestClient) -> list[Finding]:
    """Checks of the venues, concurrently; those that take longer than `seconds` are named and cancelled."""
    limiter = ConnectLimiter()
    tasks: dict[str, asyncio.Task[list[Finding]]] = {}

    async def check(endpoint: Endpoint) -> list[Finding]:
        return [await feeds.check_feed(endpoint, rest, limiter)]

    bases: dict[str, str] = {}
    for endpoint in endpoints:
        tasks[f"feeds {endpoint.source}"] = asyncio.create_task(check(endpoint))
        bases.setdefault(endpoint.rest, endpoint.source)
    for base, name in bases.items():
        tasks[f"rest {name}"] = asyncio.create_task(feeds.check_rest(name, base))
    await asyncio.wait(tasks.values(), timeout=seconds)
    findings: list[Finding] = []
    for about, task in tasks.items():
        if task.done() and task.exception() is None:
            findings += task.result()
        elif task.done():
            findings.append(failure(about, f"the check failed with {sanitize(repr(task.exception()))}"))
        else:
            task.cancel()
            findings.append(failure(about, f"no result within {seconds:.0f} s"))
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    return findings


def check_limits(endpoints: Sequence[Endpoint]) -> list[Finding]:
    """The connections and calls of dfmon beside what the venues allow."""
    calls_per_s = 1.0 / composition.REST_INTERVAL_S
    parts = [f"{len(endpoints)} connections, at most {calls_per_s:.0f} REST calls a second and host"]
    for spec in VENUES:
        hosts = {urlsplit(e.url).netloc for e in endpoints if find_source(e.source)[0] is spec}
        if spec.max_connections is not None and hosts:
            own = sum(urlsplit(endpoint.url).netloc in hosts for endpoint in endpoints) + 1  # and REST
            copies = spec.max_connections // own
            parts.append(
                f"{spec.title}: {own} of {spec.max_connections} connections an address may have, so {copies}"
                " copies of dfmon"
            )
    return [ok("limits", "; ".join(parts))]


def _check_folders(config: Config) -> list[Finding]:
    findings = []
    if config.history.enabled:
        findings.append(machine.check_folder("disk history", stores.history_path(config).parent))
    else:
        findings.append(note("disk history", "switched off: charts begin when dfmon does"))
    if config.record.directory:
        findings.append(machine.check_folder("disk record", Path(config.record.directory)))
    return findings

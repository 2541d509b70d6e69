"""`dfmon demo`: the live monitor on a simulated exchange in a child process."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from dfmon.cli import live
from dfmon.config import Config
from dfmon.model.errors import DfmonError
from dfmon.model.units import sanitize
from dfmon.sim.server import SimAddresses
from dfmon.venues.registry import VENUES
from dfmon.venues.spec import OptionsSettings, VenueSettings, VenueSpec

LOOKBACK_H = 0.25  # the rest comes from its archive, in sight of the user
ARCHIVE_CALLS_PER_S = 60.0  # calls a second to its archive: the simulated exchange is ours


def run(args: argparse.Namespace, config: Config) -> int:
    """Runs the monitor and the exchange until the user or a signal ends it."""
    with child_exchange(args.seed, config.market.currencies) as addresses:
        return live.run(args, with_sim_addresses(config, addresses), "sim")


@contextmanager
def child_exchange(seed: int, currencies: tuple[str, ...]) -> Iterator[SimAddresses]:
    """A simulated exchange in a child process, for as long as the block runs. It cannot outlive this process."""
    command = [sys.executable, "-m", "dfmon", "sim", "--child", "--seed", str(seed), "--currency", ",".join(currencies)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            line = child.stdout.readline()
            if not line:
                raise DfmonError(f"the simulated exchange did not start: {_last_stderr_line(child.stderr.read())}")
            yield msgspec.json.decode(line, type=SimAddresses)
        finally:
            child.stdin.close()
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()


def _last_stderr_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return sanitize(lines[-1].removeprefix("dfmon: ")) if lines else "it said nothing"


def with_sim_addresses(config: Config, addresses: SimAddresses) -> Config:
    """The configuration of the demo: every venue at the simulator's addresses, or disabled if it is not simulated."""
    sections = {spec.name: _at_simulator(spec, config.venue(spec.name), addresses) for spec in VENUES}
    return replace(config, **sections)


def _at_simulator(spec: VenueSpec, settings: VenueSettings, addresses: SimAddresses) -> VenueSettings:
    if any(source.name not in addresses for source in spec.sources):
        return replace(settings, enabled=False)
    for source in spec.sources:
        address = addresses[source.name]
        settings = replace(settings, **{source.websocket_key: address.ws, source.rest_key: address.rest})
    if isinstance(settings, OptionsSettings):
        return replace(
            settings, archive=settings.rest, archive_pace=ARCHIVE_CALLS_PER_S, look_back_h=LOOKBACK_H, summary_s=5.0
        )
    return settings

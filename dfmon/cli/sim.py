"""`dfmon sim`: the simulated exchange on loopback ports, until a signal or, as a child, until stdin ends."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path

import msgspec

from dfmon.aio import StopSignals
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import sanitize
from dfmon.sim.child import run_child
from dfmon.sim.market.scripts import find_script
from dfmon.sim.server import VENUE_SERVERS, SimAddresses, SimConfig, serve


def _sim_config(
    seed: int, port: int, speed: float, currencies: tuple[str, ...], script: str, certificate: str, feedback: float
) -> SimConfig:
    try:
        return SimConfig(
            seed=seed,
            port=port,
            speed=speed,
            currencies=currencies,
            script=find_script(script) if script else None,
            certificate=Path(certificate).expanduser() if certificate else None,
            feedback=feedback,
        )
    except ValueError as exc:
        raise UsageError(f"sim: {exc}") from None


def serve_standalone(
    seed: int,
    port: int,
    speed: float,
    currency: str,
    script: str = "",
    certificate: str = "",
    feedback: float = 0.0,
    *,
    child: bool,
) -> int:
    """Serves until a signal; the addresses go to stdout. As a child, until stdin ends."""
    currencies = tuple(c.strip() for c in currency.split(",") if c.strip())
    config = _sim_config(seed, port, speed, currencies, script, certificate, feedback)
    if config.certificate is not None and not config.certificate.is_file():
        raise UsageError(f"sim: --certificate {sanitize(certificate)}: there is no such file")
    try:
        return run_child(config) if child else asyncio.run(_run_until_signal(config))
    except ssl.SSLError:
        raise UsageError(
            f"sim: --certificate {sanitize(certificate)}: not a PEM file with a certificate and its key"
        ) from None
    except OSError as exc:
        raise DfmonError(
            f"sim: {config.host}, ports {port} to {port + len(VENUE_SERVERS) - 1}: {sanitize(exc.strerror or str(exc))}"
        ) from None
    except ValueError as exc:
        raise UsageError(f"sim: {sanitize(str(exc))}") from None


async def _run_until_signal(config: SimConfig) -> int:
    stop = asyncio.Event()
    signals = StopSignals(stop.set)
    await serve(config, _print_addresses, stop)
    return signals.exit_code


def _print_addresses(addresses: SimAddresses) -> None:
    sys.stdout.write(json.dumps(msgspec.to_builtins(addresses)) + "\n")
    sys.stdout.flush()

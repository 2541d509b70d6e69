"""The simulated exchange as seen from the command line: served alone, or in a child process for `dfmon demo`."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from dfmon.config import Config
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.units import clean
from dfmon.sim.server import SimAddresses, SimConfig, run_child, serve

LOOK_BACK_H = 0.25  # the rest comes from its archive, in sight of the user
PACE = 60.0  # calls a second to its archive: the simulated exchange is ours


def _sim_config(seed: int, port: int, speed: float, currencies: tuple[str, ...]) -> SimConfig:
    try:
        return SimConfig(seed=seed, port=port, speed=speed, currencies=currencies)
    except ValueError as exc:
        raise UsageError(f"sim: {exc}") from None


def serve_alone(seed: int, port: int, speed: float, currency: str, *, child: bool) -> int:
    """Serve until a signal; the addresses go to stdout. As a child, until stdin ends."""
    config = _sim_config(seed, port, speed, tuple(c.strip() for c in currency.split(",") if c.strip()))
    try:
        return run_child(config) if child else asyncio.run(_until_signal(config))
    except OSError as exc:
        raise DfmonError(f"sim: {config.host}, ports {port} to {port + 3}: {clean(exc.strerror or str(exc))}") from None
    except ValueError as exc:
        raise UsageError(f"sim: {clean(str(exc))}") from None


async def _until_signal(config: SimConfig) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    caught: list[int] = []

    def leave(number: int) -> None:
        caught.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave, number)
    await serve(config, _announce, stop)
    return 128 + caught[0] if caught else 0


def _announce(at: SimAddresses) -> None:
    sys.stdout.write(json.dumps(msgspec.to_builtins(at)) + "\n")
    sys.stdout.flush()


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
                raise DfmonError(f"the simulated exchange did not start: {_last_words(child.stderr.read())}")
            yield msgspec.json.decode(line, type=SimAddresses)
        finally:
            child.stdin.close()
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()


def _last_words(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return clean(lines[-1].removeprefix("dfmon: ")) if lines else "it said nothing"


def pointed_at(config: Config, at: SimAddresses) -> Config:
    """The configuration with every venue's address replaced by the simulator's."""
    replace = msgspec.structs.replace
    deribit = replace(config.deribit, websocket=at.deribit_ws, rest=at.deribit_rest, archive=at.deribit_rest)
    return replace(
        config,
        deribit=replace(deribit, summary_s=5.0, look_back_h=LOOK_BACK_H, archive_pace=PACE),
        binance=replace(
            config.binance,
            spot_websocket=at.binance_spot_ws,
            spot_rest=at.binance_spot_rest,
            futures_websocket=at.binance_futures_ws,
            futures_rest=at.binance_futures_rest,
        ),
        okx=replace(config.okx, websocket=at.okx_ws, rest=at.okx_rest),
    )

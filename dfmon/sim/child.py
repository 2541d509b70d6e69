"""The simulated exchange as a child process, driven over its standard streams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading

import msgspec

from dfmon.sim.faults import Faults
from dfmon.sim.server import SimAddresses, SimConfig, serve


def run_child(config: SimConfig) -> int:
    """Serves as a child process: one JSON line of addresses on stdout; ends when stdin does, or on SIGTERM.

    With a script a line with the market time in ns follows at each of its steps.

    The parent holds the other end of stdin, so the child cannot outlive it; each line on it is a JSON object of
    `Faults` fields to set. An interrupt typed at the terminal reaches both; the parent handles it.
    """
    faults = msgspec.structs.replace(config.faults)

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        threading.Thread(target=_read_fault_lines, args=(loop, stop, faults), daemon=True).start()
        await serve(config, _print_addresses, stop, faults, _print_time)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(main())
    return 0


def _print_addresses(addresses: SimAddresses) -> None:
    sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
    sys.stdout.flush()


def _print_time(market_ns: int) -> None:
    sys.stdout.write(f"{market_ns}\n")
    sys.stdout.flush()


def _read_fault_lines(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, faults: Faults) -> None:
    def apply_fault_line(line: bytes) -> None:
        try:
            faults.apply_json(line)
        except msgspec.DecodeError as exc:
            sys.stderr.write(f"dfmon: sim: {exc}\n")

    partial_line = b""
    # a plain read: a buffered one would hold the interpreter's lock on stdin at exit
    with contextlib.suppress(OSError, RuntimeError):
        while chunk := os.read(0, 4096):
            *lines, partial_line = (partial_line + chunk).split(b"\n")
            for line in filter(None, lines):
                loop.call_soon_threadsafe(apply_fault_line, line)
    with contextlib.suppress(RuntimeError):  # the loop has ended by another way
        loop.call_soon_threadsafe(stop.set)

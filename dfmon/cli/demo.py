"""`dfmon demo`: the live monitor on a simulated exchange in a child process."""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from typing import IO, TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from dfmon.config import Config, flow_params
from dfmon.model.errors import DfmonError, UsageError
from dfmon.model.snapshot import MetricRow
from dfmon.model.units import sanitize
from dfmon.runtime.clock import SessionClock
from dfmon.runtime.stores import RowLoader
from dfmon.sim.market.board_specs import check_currencies
from dfmon.sim.market.dealer_feedback import check_gain
from dfmon.sim.market.script import Script
from dfmon.sim.market.scripts import find_script
from dfmon.sim.paced_clock import PacedClock
from dfmon.venues.registry import VENUES
from dfmon.venues.spec import OptionsSettings, VenueSettings, VenueSpec

if TYPE_CHECKING:
    from dfmon.sim.server import SimAddresses

LOOKBACK_H = 0.25  # the rest comes from its archive, in sight of the user
ARCHIVE_CALLS_PER_S = 60.0  # calls a second to its archive: the simulated exchange is ours
SCRIPT_ARCHIVE_CALLS_PER_S = 1_000.0  # a minute of a script is a second
SCRIPT_TICK_S = 0.1  # wall time: some samples of each minute of market time


def run(args: argparse.Namespace, config: Config) -> int:
    """Runs the monitor and the exchange until the user or a signal ends it."""
    script = _find_script(args.script)
    if script is not None:
        if args.feedback:
            raise UsageError("demo: --feedback is for the market without a script, which leads its own price")
        return _run_script(args, config, script)
    currencies = config.market.currencies
    try:
        check_currencies(currencies)
        check_gain(args.feedback)
    except ValueError as exc:
        raise UsageError(f"demo: {sanitize(str(exc))}") from None
    exchange = child_exchange(args.seed, currencies, feedback=args.feedback, meanwhile=_importer(args))
    with exchange as addresses, ExitStack() as stack:
        from dfmon.cli import live

        past = None if getattr(args, "publish", None) else stack.enter_context(_child_past(args.seed, config))
        return live.run(args, with_sim_addresses(config, addresses), "sim", load_past=past)


def _run_script(args: argparse.Namespace, config: Config, script: Script) -> int:
    """Runs the monitor on the clock of the script's market."""
    from dfmon.cli import live
    from dfmon.sim.server import SCRIPT_STEP_NS

    if hasattr(args, "currency") and config.market.currencies != (script.currency,):
        found = ",".join(config.market.currencies)
        raise UsageError(f"demo: --currency: found {found}, allowed with --script {script.name}: {script.currency}")
    tick_s = config.market.tick_s if hasattr(args, "tick") else SCRIPT_TICK_S
    market = replace(config.market, currencies=(script.currency,), tick_s=tick_s)
    paced_clock = PacedClock(script.start_ns, script.speed, SCRIPT_STEP_NS)
    with child_exchange(args.seed, market.currencies, script.name, paced_clock.announce) as addresses:
        sim_config = with_sim_addresses(replace(config, market=market), addresses, SCRIPT_ARCHIVE_CALLS_PER_S)
        return live.run(args, sim_config, "sim", SessionClock(paced_clock.now_ns, script.speed))


def _importer(args: argparse.Namespace) -> Callable[[], object]:
    """Imports the monitor, which is done while the exchange starts."""

    def import_monitor() -> None:
        import_module("dfmon.cli.live")
        if not getattr(args, "publish", None):
            import_module("dfmon.tui.app")

    return import_monitor


def _find_script(name: str) -> Script | None:
    try:
        return find_script(name) if name else None
    except ValueError as exc:
        raise UsageError(f"demo: {sanitize(str(exc))}") from None


@contextmanager
def child_exchange(
    seed: int,
    currencies: tuple[str, ...],
    script: str = "",
    on_step: Callable[[int], None] | None = None,
    feedback: float = 0.0,
    meanwhile: Callable[[], object] | None = None,
) -> Iterator[SimAddresses]:
    """A simulated exchange in a child process, for as long as the block runs. It cannot outlive this process.

    `on_step` is called with the market time of every step of a script, in a thread of its own; `meanwhile` once, while
    the exchange starts.
    """
    command = [sys.executable, "-m", "dfmon", "sim", "--child", "--seed", str(seed), "--currency", ",".join(currencies)]
    command += ["--script", script] if script else []
    command += ["--feedback", f"{feedback:g}"] if feedback else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        try:
            if meanwhile is not None:
                meanwhile()
            from dfmon.sim.server import SimAddresses

            line = child.stdout.readline()
            if not line:
                raise DfmonError(f"the simulated exchange did not start: {_last_stderr_line(child.stderr.read())}")
            if on_step is not None:
                threading.Thread(target=_read_steps, args=(child.stdout, on_step), name="clock", daemon=True).start()
            yield msgspec.json.decode(line, type=SimAddresses)
        finally:
            child.stdin.close()
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def _child_past(seed: int, config: Config) -> Iterator[RowLoader]:
    """Loads the rows of the day before the start from a child process, which ends with the block."""
    request = msgspec.json.encode((seed, config.market.currencies, flow_params(config)))
    with subprocess.Popen(
        [sys.executable, "-m", "dfmon.cli.demo_past"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as child:  # fmt: skip
        try:
            yield _PastReader(child, request)
        finally:
            child.kill()


class _PastReader:
    """Rows by currency, in the order in which a child writes them; it is asked from several threads.

    The request goes over stdin: it has the positions of the user's file, which are private and may be long.
    """

    def __init__(self, child: subprocess.Popen[bytes], request: bytes) -> None:
        self._child, self._request, self._lock = child, request, threading.Lock()
        self._rows: dict[str, list[MetricRow]] = {}

    def __call__(self, currency: str, since_ns: int) -> Sequence[MetricRow]:
        with self._lock:
            if self._request:
                self._send_request()
            while currency not in self._rows:
                name, rows = self._read_rows()
                self._rows[name] = rows
            return self._rows[currency]

    def _send_request(self) -> None:
        assert self._child.stdin is not None
        with suppress(BrokenPipeError), self._child.stdin as stdin:
            stdin.write(self._request)
        self._request = b""

    def _read_rows(self) -> tuple[str, list[MetricRow]]:
        assert self._child.stdout is not None
        size = self._child.stdout.readline()
        if not size:
            raise DfmonError("the past of the simulated market could not be computed")
        return msgspec.msgpack.decode(self._child.stdout.read(int(size)), type=tuple[str, list[MetricRow]])


def _read_steps(stdout: IO[bytes], on_step: Callable[[int], None]) -> None:
    with suppress(OSError, ValueError):  # the exchange has ended
        for line in stdout:
            on_step(int(line))


def _last_stderr_line(stderr: bytes) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return sanitize(lines[-1].removeprefix("dfmon: ")) if lines else "it printed no error"


def with_sim_addresses(config: Config, addresses: SimAddresses, archive_pace: float = ARCHIVE_CALLS_PER_S) -> Config:
    """The configuration of the demo: every venue at the simulator's addresses, or disabled if it is not simulated."""
    sections = {spec.name: _at_simulator(spec, config.venue(spec.name), addresses, archive_pace) for spec in VENUES}
    return replace(config, **sections)


def _at_simulator(
    spec: VenueSpec, settings: VenueSettings, addresses: SimAddresses, archive_pace: float
) -> VenueSettings:
    if any(source.name not in addresses for source in spec.sources):
        return replace(settings, enabled=False)
    for source in spec.sources:
        address = addresses[source.name]
        settings = replace(settings, **{source.websocket_key: address.ws, source.rest_key: address.rest})
    if isinstance(settings, OptionsSettings):
        return replace(
            settings, archive=settings.rest, archive_pace=archive_pace, look_back_h=LOOKBACK_H, summary_s=5.0
        )
    return settings

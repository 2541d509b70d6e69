"""Does anything grow? A headless session on a simulated exchange at real rates, weighed once a minute.

`python benchmarks/soak.py --minutes 60` runs the whole product without a screen: the exchange in a child process,
five connections, journal, compute thread, snapshots. Every minute it prints the resident memory of both processes and
the length of every container that any object of dfmon holds, queues first. At the end it says what was flat, and what
each thread used of a core.

A container counts as growing when, after the first ten minutes, its least length of the last quarter is above its
greatest of the first quarter by more than a tenth and a hundred entries. Memory is flat when the median of the last
quarter is at most 3 % above that of the first.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import asyncio
import contextlib
import gc
import statistics
import tempfile
import threading
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from dfmon.cli import demo
from dfmon.config import Config
from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from dfmon.runtime import composition
from dfmon.runtime.live_session import LiveSession

SETTLING_MIN: Final = 10.0
MEMORY_RISE: Final = 0.03
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_CLOCK: Final = os.sysconf("SC_CLK_TCK")
_MODULE_PREFIXES: Final = ("dfmon.", "websockets.asyncio")
_QUEUES: Final = (deque, asyncio.Queue)


def main() -> int:
    args = _arguments()
    with contextlib.ExitStack() as stack:
        directory = Path(args.record or stack.enter_context(tempfile.TemporaryDirectory()))
        config = _config(tuple(args.currency.split(",")), directory / "session")
        addresses = stack.enter_context(demo.child_exchange(args.seed, tuple(args.board.split(","))))
        config = demo.with_sim_addresses(config, addresses)
        return asyncio.run(soak(config, args.minutes, args.every))


async def soak(config: Config, minutes: float, every_s: float) -> int:
    """Run, weigh, judge; the exit code says whether everything was flat."""
    snapshots: Counter[str] = Counter()
    hub = SnapshotHub(mode="sim")

    def count(snapshot: FlowSnapshot) -> None:
        snapshots[snapshot.underlying] += 1

    hub.add_listener(count)
    session = composition.live_session(config, "sim", composition.Outputs((), None), _raise, hub)
    stop = asyncio.Event()
    running = asyncio.create_task(session.run(stop))
    weigher = Weigher(session, every_s)
    print("minute  own MB  sim MB  frames/s  dropped  overruns  threads  files  queues that hold something")
    for _ in range(max(1, round(minutes * 60.0 / every_s))):
        await asyncio.wait({running}, timeout=every_s)
        if running.done():
            running.result()  # raises what ended it
            raise SystemExit("the session ended by itself")
        print(weigher.sample(), flush=True)
    busy_cores = ", ".join(f"{name} {share:.1%}" for name, share in weigher.threads().items())
    stop.set()
    await running
    print(f"\nof a core: {busy_cores}")
    print(f"snapshots: {dict(snapshots)}; journal: {(hub.runtime.recorded_bytes or 0) / 1e6:.1f} MB")
    return weigher.verdict()


class Weigher:
    """What was weighed, minute by minute."""

    def __init__(self, session: LiveSession, every_s: float) -> None:
        self._session, self._every_s = session, every_s
        self._started = time.monotonic()
        self._child = next(iter(_children()), 0)
        self._minutes: list[float] = []
        self._own_mb: list[float] = []
        self._sim_mb: list[float] = []
        self._lengths: dict[str, array[int]] = {}  # columns, so that the scale itself weighs little
        self._queues: set[str] = set()

    def sample(self) -> str:
        """One line of the table."""
        minute = (time.monotonic() - self._started) / 60.0
        lengths = Counter[str]()
        for name, value in containers():
            lengths[name] += _length(value)
            if isinstance(value, _QUEUES):
                self._queues.add(name)
        for name in lengths.keys() | self._lengths.keys():
            self._lengths.setdefault(name, array("q", bytes(8 * len(self._minutes)))).append(lengths[name])
        self._minutes.append(minute)
        self._own_mb.append(_resident_mb(os.getpid()))
        self._sim_mb.append(_resident_mb(self._child))
        runtime = self._session.hub.runtime
        nonempty = {name: lengths[name] for name in sorted(self._queues) if lengths[name]}
        return (
            f"{minute:6.1f}  {self._own_mb[-1]:6.1f}  {self._sim_mb[-1]:6.1f}  {runtime.frames_per_s:8.1f}  "
            f"{runtime.dropped:7d}  {runtime.overruns:8d}  {threading.active_count():7d}  {_open_files():5d}  "
            + (", ".join(f"{name} {n}" for name, n in nonempty.items()) or "none")
        )

    def threads(self) -> dict[str, float]:
        """CPU of each thread since the start and of the simulator, in cores; `other`: threads Python has no name of."""
        tasks = {task.name: _ticks(task) for task in Path("/proc/self/task").iterdir()}
        busy_cores = {thread.name: tasks.pop(str(thread.native_id), 0) for thread in threading.enumerate()}
        busy_cores |= {"other": sum(tasks.values()), "simulator": _ticks(Path(f"/proc/{self._child}"))}
        return {name: ticks / _CLOCK / (time.monotonic() - self._started) for name, ticks in busy_cores.items()}

    def verdict(self) -> int:
        """What grew after the first ten minutes; 0 when nothing did."""
        settled_samples = [n for n, minute in enumerate(self._minutes) if minute > SETTLING_MIN]
        if len(settled_samples) < 8:
            print(
                f"no verdict: it takes eight weighings after minute {SETTLING_MIN:g}, there are {len(settled_samples)}"
            )
            return 2
        quarter = len(settled_samples) // 4
        first, last = settled_samples[:quarter], settled_samples[-quarter:]
        flat = [
            self._flat(name, column, first, last) for name, column in (("own", self._own_mb), ("sim", self._sim_mb))
        ]
        grown = []
        for name, column in sorted(self._lengths.items()):
            initial_max, final_min = max(column[n] for n in first), min(column[n] for n in last)
            if final_min > 1.1 * initial_max + 100:
                grown.append(name)
                kind = "queue" if name in self._queues else "memory"
                print(f"{kind} {name}: {initial_max} -> {final_min} entries: GROWS")
        queues = [name for name in grown if name in self._queues]
        print(f"queues: {len(self._queues)} watched, {len(queues)} grow: {'MISSED' if queues else 'met'}")
        print(f"other containers: {len(self._lengths) - len(self._queues)} watched, {len(grown) - len(queues)} grow")
        return 0 if flat[0] and not queues else 1

    def _flat(self, name: str, column: Sequence[float], first: Sequence[int], last: Sequence[int]) -> bool:
        before, after = (statistics.median(column[n] for n in quarter_samples) for quarter_samples in (first, last))
        rise = after / before - 1.0
        met = rise <= MEMORY_RISE
        verdict_text = "met" if met else "MISSED"
        print(
            f"{name}: {before:.1f} -> {after:.1f} MB, {100 * rise:+.1f} % (limit "
            f"+{100 * MEMORY_RISE:g} %): {verdict_text}"
        )
        return met


def containers() -> Iterator[tuple[str, Any]]:
    """Every sized attribute of every living object of ours (and of the websocket library), as `Class.attribute`."""
    for obj in gc.get_objects():
        kind = type(obj)
        if not str(getattr(kind, "__module__", "")).startswith(_MODULE_PREFIXES):
            continue
        names = [*getattr(obj, "__dict__", ()), *(s for base in kind.__mro__ for s in _slots(base))]
        for name in names:
            value = getattr(obj, name, None)
            if isinstance(value, list | dict | set | frozenset | deque | asyncio.Queue):
                yield f"{kind.__name__}.{name}", value


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _length(value: Any) -> int:
    return value.qsize() if isinstance(value, asyncio.Queue) else len(value)


def _raise(exc: Exception) -> None:
    raise exc


def _children() -> list[int]:
    own_pid = os.getpid()
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == own_pid:
                    pids.append(int(entry.name))
    return pids


def _resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    return float("nan")


def _ticks(task: Path) -> int:
    """CPU that a process or thread has used, user and system, in ticks of the kernel's clock."""
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _config(currencies: tuple[str, ...], directory: Path) -> Config:
    base = Config()
    replace = msgspec.structs.replace
    return replace(
        base,
        market=replace(base.market, currencies=currencies),
        record=replace(base.record, directory=str(directory)),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; the verdict needs eighteen (60)")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between weighings (60)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--currency", default="BTC,ETH", help="underlyings to watch (BTC,ETH)")
    parser.add_argument("--board", default="BTC,ETH,BTC_USDC,ETH_USDC", help="boards the exchange lists (all four)")
    parser.add_argument("--record", help="where the journal goes; a temporary directory otherwise")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

"""Damaged inputs through every reader of files: `python benchmarks/fuzz_readers.py [--count N] [--guided] [...]`.

Each input is a small valid file of some kind with damage (tests/reader_fuzz.py). It may be read, or be one sentence; a
finding is a traceback, a peak of memory above 300 MB, or more than ten seconds. With --guided, atheris, where it is
installed, chooses the inputs by the code that they reach; it takes the content as it is, without packing. Exit code 1
with findings.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import logging
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from tests.reader_fuzz import Sample

LIMIT_MB = 300.0
LIMIT_S = 10
SLOW_SHARE = 0.02  # of the inputs, those that are replayed through the engine


class TooSlowError(BaseException):
    """No reader catches it."""


class Results:
    """Counts of inputs and findings of all readers."""

    def __init__(self, findings: Path | None) -> None:
        self.read, self.refused, self.found = Counter[str](), Counter[str](), Counter[str]()
        self.peak_mb = 0.0
        self._findings, self._seen = findings, set[str]()

    def run(self, name: str, sample: Sample, content: bytes, folder: Path) -> None:
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
        try:
            from tests.reader_fuzz import read_damaged

            sentence = read_damaged(sample, content, folder)
            (self.refused if sentence else self.read)[name] += 1
        except (Exception, TooSlowError) as exc:
            self._add(name, content, exc)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        peak_mb = peak_memory_mb()
        self.peak_mb = max(self.peak_mb, peak_mb)
        if peak_mb > LIMIT_MB:
            self._add(name, content, MemoryError(f"{peak_mb:.0f} MB"))
            reset_peak_memory()

    def _add(self, name: str, content: bytes, exc: BaseException) -> None:
        self.found[name] += 1
        places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(exc.__traceback__)[-3:]]
        key = f"{name} {type(exc).__name__} {places}"
        if key in self._seen:
            return
        self._seen.add(key)
        print(f"FOUND {name}: {type(exc).__name__}: {str(exc)[:200]}\n  " + "\n  ".join(places), flush=True)
        if self._findings is not None:
            self._findings.mkdir(parents=True, exist_ok=True)
            (self._findings / hashlib.sha1(content).hexdigest()[:16]).write_bytes(content)

    def print_table(self, started: float) -> None:
        total = sum((self.read + self.refused + self.found).values())
        print(f"{'reader':<28}{'read':>9}{'refused':>9}{'found':>7}")
        for name in sorted(self.read.keys() | self.refused.keys() | self.found.keys()):
            print(f"{name:<28}{self.read[name]:>9,}{self.refused[name]:>9,}{self.found[name]:>7,}")
        elapsed = time.monotonic() - started
        print(f"{total:,} inputs in {elapsed:,.0f} s, {sum(self.found.values())} findings, peak {self.peak_mb:.0f} MB")


def peak_memory_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def reset_peak_memory() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def fuzz_at_random(chosen: dict[str, Sample], args: argparse.Namespace, results: Results, folder: Path) -> None:
    from tests.reader_fuzz import damaged_file

    names = list(chosen)
    weights = [SLOW_SHARE / len(names) if name.endswith("replayed") else 1 / len(names) for name in names]
    deadline = time.monotonic() + args.seconds
    for seed in range(args.seed, args.seed + args.count):
        rng = random.Random(seed)
        name = rng.choices(names, weights)[0]
        results.run(name, chosen[name], damaged_file(chosen[name], rng), folder)
        if time.monotonic() > deadline:
            break


def fuzz_guided(chosen: dict[str, Sample], args: argparse.Namespace, results: Results, folder: Path) -> None:
    """Coverage of dfmon's modules guides the bytes; the first byte chooses the reader. Ends the process."""
    atheris = importlib.import_module("atheris")

    corpus, inputs = folder / "corpus", folder / "inputs"
    corpus.mkdir()
    inputs.mkdir()
    names = [name for name in chosen if not name.endswith("replayed")]
    for at, name in enumerate(names):
        (corpus / f"{at}").write_bytes(bytes([at]) + chosen[name].content)
    started, count = time.monotonic(), 0

    def test_one_input(data: bytes) -> None:
        nonlocal count
        if data:
            name = names[data[0] % len(names)]
            results.run(name, chosen[name], chosen[name].pack(data[1:]), inputs)
        count += 1
        if count >= args.count or time.monotonic() - started > args.seconds:
            results.print_table(started)
            sys.stdout.flush()
            os._exit(1 if results.found else 0)  # libFuzzer does not return

    limits = [f"-seed={args.seed + 1}", "-max_len=60000", "-rss_limit_mb=2048", "-timeout=60", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], test_one_input)
    atheris.Fuzz()


def instrumented(guided: bool) -> contextlib.AbstractContextManager[Any]:
    """What modules are imported in for their coverage to be seen."""
    if not guided:
        return contextlib.nullcontext()
    atheris = importlib.import_module("atheris")

    manager: contextlib.AbstractContextManager[Any] = atheris.instrument_imports(include=["dfmon"])
    return manager


def main() -> int:
    parser = argparse.ArgumentParser(description="damaged inputs through every reader of files")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3_600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", action="append", help="a name, or the beginning of some")
    parser.add_argument("--guided", action="store_true", help="inputs chosen by coverage, with atheris")
    parser.add_argument("--findings", type=Path, help="a folder for the inputs of the findings")
    args = parser.parse_args()
    logging.disable()
    with instrumented(args.guided):
        from tests.reader_fuzz import samples
    chosen = {
        name: sample
        for name, sample in samples().items()
        if not args.reader or any(name.startswith(wanted) for wanted in args.reader)
    }

    def stop_reading(signum: int, frame: FrameType | None) -> Any:
        raise TooSlowError(f"more than {LIMIT_S} s")

    signal.signal(signal.SIGALRM, stop_reading)
    results, started = Results(args.findings), time.monotonic()
    memory = Path("/dev/shm")  # a disk would wait for every write of a store
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        (fuzz_guided if args.guided else fuzz_at_random)(chosen, args, results, Path(name))
    results.print_table(started)
    return 1 if results.found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Bugs that are planted to see whether worlds find them: `python -m tests.worlds.planted`.

Each is a change of one place of the source, made in a copy of the package, with the faults that its worlds are made of
and the number of seeds within which it must be found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """`old` occurs once in `file` and is replaced by `new`; found within `seeds` worlds of `faults`."""

    name: str
    file: str
    old: str
    new: str
    faults: str
    seeds: int = 4


PLANTED: Final = (
    PlantedBug(
        "early tick", "runtime/live_session.py", "max(wait_s, _TIMER_RESOLUTION_S)", "wait_s", "latency", 2
    ),
    PlantedBug(
        "wedged book", "venues/binance/book.py", "if not self._refused or self._last is None:", "if True:",
        "odd-values", 8,
    ),
    PlantedBug(
        "book with a hole", "venues/binance/book.py",
        "return _Continuity.NEXT if last + 1 >= diff.U else _Continuity.GAP",
        "return _Continuity.NEXT", "lost-books,lost-frames",
    ),
    PlantedBug(
        "staleness unsaid", "core/freshness.py", "age_s <= limit_s)", "age_s <= limit_s * 9.0)", "black-hole,refused", 8
    ),
    PlantedBug(
        "numbers with holes", "engine/driver.py", "self.ticks += 1\n", "self.ticks += 1 + (self.ticks % 20 == 19)\n",
        "reset", 2,
    ),
    PlantedBug(
        "blocked for ever", "venues/rest/client.py", "asyncio.get_running_loop().time() + seconds\n",
        "asyncio.get_running_loop().time() + seconds * 1e3\n", "rest-status", 8,
    ),
    PlantedBug(
        "password in the log", "sinks/redis_stream.py", "self.display_url = self._target.display_url",
        "self.display_url = str(target)", "redis-away", 2,
    ),
    PlantedBug(
        "unrecorded request", "engine/driver.py",
        'self.ingest(RecordKind.PARAMS, "", now_ns, msgspec.json.encode(params))', "self.params = params",
        "requests", 8,
    ),
    PlantedBug(
        "network error that escapes", "venues/rest/client.py", "except (httpx.HTTPError, httpx.InvalidURL)",
        "except httpx.InvalidURL", "refused,no-dns", 4,
    ),
    PlantedBug(
        "channel given up", "venues/deribit/protocol.py", "            self._left_out += missing\n", "",
        "refused-channels", 8,
    ),
)  # fmt: skip


def plant(bug: PlantedBug, folder: Path) -> None:
    """Copies the package and the tests with the bug. Raises ValueError where its place is not found once."""
    for name in ("dfmon", "tests", "pyproject.toml", "config.toml"):
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "__snapshots__"))
        else:
            shutil.copy(source, target)
    file = folder / "dfmon" / bug.file
    text = file.read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: {bug.old!r} occurs {text.count(bug.old)} times in {bug.file}")
    file.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


def find(bug: PlantedBug) -> str:
    """The first seed that finds it and what it says; empty if none does."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        plant(bug, Path(folder))
        environment = {**os.environ, "PYTHONPATH": folder}
        for seed in range(bug.seeds):
            command = [sys.executable, "-m", "tests.worlds", "--seeds", str(seed), "--minutes", "5", "--tick", "2"]
            command += ["--faults", bug.faults, "--no-shrink", "--jobs", "1", "--out", f"{folder}/out"]
            run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if found := re.search(r"^seed \d+: .*", run.stdout, re.MULTILINE):
                return found.group()
            if run.returncode:
                return f"seed {seed}: {run.stderr[-200:]}"
    return ""


def main(names: Sequence[str]) -> int:
    """Looks for the bugs of these names, or for all. Returns 1 if one is not found."""
    missed = 0
    for bug in PLANTED:
        if not names or bug.name in names:
            found = find(bug)
            missed += not found
            print(f"{bug.name}: {found or f'not found within {bug.seeds} seeds'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Flow of commit eb24f7d over the same tapes: its code is taken from the history into a temporary folder.

`python benchmarks/earlier_flow.py FILE` is run with that code on the path, reads pickled tapes and writes positions.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

COMMIT: Final = "eb24f7d"
TICK_MS: Final = 21_600_000
MS: Final = 1_000_000
Tape = tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]], int]


def extract(folder: Path) -> bool:
    """Whether the code of the commit could be put into `folder`."""
    root = Path(__file__).parent.parent
    archive = subprocess.run(["git", "archive", COMMIT, "dfmon"], cwd=root, capture_output=True, check=False)
    if archive.returncode:
        return False
    return subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=False).returncode == 0


def positions(tape: Tape, days: Sequence[float]) -> list[NDArray[np.float64]] | None:
    """Dealers' positions of every instrument at each day, NaN where it has expired; None without the history."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not extract(folder):
            return None
        (folder / "tape").write_bytes(pickle.dumps((tape, tuple(days))))
        environment = {**os.environ, "PYTHONPATH": str(folder), "OPENBLAS_NUM_THREADS": "1"}
        subprocess.run([sys.executable, __file__, str(folder / "tape")], env=environment, check=True, cwd=folder)
        found: list[NDArray[np.float64]] = pickle.loads((folder / "tape").read_bytes())
        return found


def _frames(tape: Tape, days: Sequence[float], frames: Any) -> Iterator[tuple[float, Any]]:
    """What that commit's engine would show every six hours."""
    trades, interest, options, start_ms = tape
    names = options["name"].tolist()
    index, n = {name: row for row, name in enumerate(names)}, len(names)
    trade_row = np.array([index[name] for name in trades["instrument"].tolist()])
    order = np.lexsort((trades["seq"], trades["ts_ms"]))
    value_row = np.array([index[name] for name in interest["instrument"].tolist()])
    value_order = np.argsort(interest["ts_ms"], kind="stable")
    listed = options["listed_ms"]
    open_interest, nothing = np.where(np.isnan(listed), np.nan, 0.0), np.full(n, np.nan)
    sign = np.where(options["type"] == "call", 1, -1).astype(np.int8)
    done = shown = 0
    for tick in range(round(max(days) * 86_400_000 / TICK_MS) + 1):
        now = start_ms + tick * TICK_MS
        end = int(np.searchsorted(trades["ts_ms"][order], now, side="right"))
        value_end = int(np.searchsorted(interest["ts_ms"][value_order], now, side="right"))
        part, values = order[done:end], value_order[shown:value_end]
        done, shown = end, value_end
        open_interest = open_interest.copy()
        open_interest[value_row[values]] = interest["value"][values]
        kind = trades["kind"][part]
        liquidated = {"liquidation_taker": "T", "liquidation_maker": "M", "liquidation_both": "MT"}
        flags = tuple(liquidated.get(one, "") for one in kind.tolist())
        prints = frames.TradeColumns(
            uid=trade_row[part], seq=trades["seq"][part], key=trades["event"][part].astype(np.uint64),
            exch_ns=trades["ts_ms"][part] * MS, side=trades["side"][part].astype(np.int8), size=trades["amount"][part],
            price=np.full(part.size, 0.01), sigma=np.full(part.size, 0.5), block=(kind == "block") | (kind == "rfq"),
            rfq=kind == "rfq", combo=kind == "combo", liquidation=flags,
        )  # fmt: skip
        alive = np.flatnonzero(options["expiry_ms"] > now)
        yield tick * TICK_MS / 86_400_000, frames.ChainFrame(
            ts_ns=now * MS, underlying="SIM", spot=1e5, spot_ns=now * MS, vol_index=0.5, settling=np.nan, uid=alive,
            names=tuple(names[row] for row in alive.tolist()), expiry_ns=options["expiry_ms"][alive] * MS,
            strike=options["strike"][alive], option_type=sign[alive], inverse=np.ones(alive.size, np.bool_),
            forward=np.full(alive.size, 1e5), sigma=np.full(alive.size, 0.5), bid_sigma=nothing[alive],
            ask_sigma=nothing[alive], mark=nothing[alive], bid=nothing[alive], ask=nothing[alive],
            open_interest=open_interest[alive], volume=nothing[alive], data_ns=np.full(alive.size, now * MS),
            seen_ns=np.full(alive.size, now * MS), whole_life=~np.isnan(listed[alive]), lost=np.zeros(alive.size),
            trades=prints,
        )  # fmt: skip


def main(path: Path) -> None:
    def module(name: str) -> Any:
        return importlib.import_module(f"dfmon.{name}")

    tape, days = pickle.loads(path.read_bytes())
    inventory, priors = module("core.inventory").Inventory.empty(), module("core.attribution").Priors()
    found, pending, count = [], list(days), len(tape[2]["name"])
    for day, frame in _frames(tape, days, module("model.frames")):
        inventory = module("core.observing").observe(inventory, frame, priors)
        if pending and day >= pending[0]:
            pending.pop(0)
            estimate = np.full(count, np.nan)
            estimate[frame.uid] = module("core.dealer_net").dealer_positions("flow", inventory, frame).position
            found.append(estimate)
    path.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

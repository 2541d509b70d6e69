"""Customers' net by type and demand pressure on 104,729 real prints: `python benchmarks/evidence_tape.py [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dfmon.evidence.demand import demand_pressure, net_by_type, read_signed_tape
from dfmon.evidence.report_text import estimate_text

TAPE = Path(__file__).resolve().parents[2] / "shared/data/tape/deribit_btc_option_trades_2019.parquet"


def main() -> int:
    tape = read_signed_tape(Path(sys.argv[1]) if len(sys.argv) > 1 else TAPE)
    for name, coins in net_by_type(tape).items():
        print(f"customers' net in {name}, whole lives: {coins:+,.0f} coins")
    found = demand_pressure(tape)
    print("residual of the smile, points, on the share of customers' net vega of the day before")
    for name, one in zip(("with the side of the last print", "without controls", "shuffled"), found):
        print(f"  {name}: {'not estimable' if one is None else estimate_text(one)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Figures of 104,729 real option prints of 2019 beside simulated families: `python benchmarks/real_tape.py [FILE]`.

The rows go through Deribit's protocol, as pages of the archive (options seen from their first print on) and as frames
of the trade channel (the others); every figure is made from the events that come out. Open interest is not on the tape:
who opens and who closes cannot be measured on it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dfmon.model.events import OptionTrade, OptionTradeHistory
from dfmon.model.units import DAY, HOUR
from dfmon.sim.populations import FAMILIES, MarketTape, simulate
from dfmon.venues.deribit.protocol import DeribitProtocol

F64 = NDArray[np.float64]
TAPE = Path(__file__).resolve().parents[2] / "shared/data/tape/deribit_btc_option_trades_2019.parquet"
HISTORY_PAGE = 1_000
FRAME_ROWS = 50


@dataclass(frozen=True)
class Prints:
    """k prints sorted by option and number. Times in ns, IVs decimal (NaN where there is none), sizes in coins."""

    option: NDArray[np.int64]
    is_call: NDArray[np.bool_]  # by option
    is_whole: NDArray[np.bool_]  # by option: seen from its first print on
    time: NDArray[np.int64]
    side: F64
    size: F64
    iv: F64

    @property
    def follows(self) -> NDArray[np.bool_]:
        """Whether the print before is of the same option."""
        return np.concatenate([[False], np.diff(self.option) == 0])


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows as the venue would send them, by option and in the order of their numbers."""
    from pyarrow import parquet  # of dfmon[parquet]

    rows = defaultdict(list)
    for row in parquet.read_table(path).to_pylist():
        rows[row["instrument"]].append(
            {
                "trade_id": str(row["tradeId"]), "trade_seq": row["tradeSeq"], "timestamp": row["timeStamp"],
                "instrument_name": row["instrument"], "direction": row["direction"], "price": row["price"],
                "amount": round(row["quantity"], 6), "iv": row["iv"], "index_price": row["indexPrice"],
            }
        )  # fmt: skip
    return {name: sorted(group, key=lambda row: int(row["trade_seq"])) for name, group in sorted(rows.items())}


def events_of(rows: Mapping[str, Sequence[dict[str, Any]]]) -> Iterator[tuple[bool, OptionTrade]]:
    """Every print once, and whether its option was seen from the first one on."""
    protocol = DeribitProtocol(("BTC",), linear=False)
    protocol.response_received("instruments:BTC:option", _answer([_listing(name) for name in rows]))
    for name, group in rows.items():
        numbers = [row["trade_seq"] for row in group]
        if numbers == list(range(1, len(numbers) + 1)):
            for first in range(0, len(group) + 1, HISTORY_PAGE):
                page = {"trades": group[first : first + HISTORY_PAGE], "has_more": False}
                tag = protocol.histories.next_call(name).tag
                for event in protocol.response_received(tag, _answer(page)):
                    if isinstance(event, OptionTradeHistory):
                        yield from ((True, trade) for trade in event.trades)
            continue
        for first in range(0, len(group), FRAME_ROWS):
            params = {"channel": "trades.option.BTC.100ms", "data": group[first : first + FRAME_ROWS]}
            frame = {"jsonrpc": "2.0", "method": "subscription", "params": params}
            for event in protocol.frame_received(json.dumps(frame).encode()):
                if isinstance(event, OptionTrade):
                    yield False, event


def prints_of(rows: Mapping[str, Sequence[dict[str, Any]]]) -> Prints:
    names = list(rows)
    row_of = {name: row for row, name in enumerate(names)}
    whole = np.zeros(len(names), np.bool_)
    columns = []
    for is_whole, trade in events_of(rows):
        row = row_of[trade.name]
        whole[row] = is_whole
        columns.append((row, trade.exch_ns, trade.side, trade.size, trade.iv))
    option, time, side, size, iv = (np.array(column) for column in zip(*columns))
    is_call = np.array([name.endswith("C") for name in names])
    return Prints(option, is_call, whole, time, side.astype(float), size, np.where(iv > 0.0, iv, np.nan))


def simulated_prints(tape: MarketTape) -> Prints:
    """The prints of a simulated tape."""
    row_of = {name: row for row, name in enumerate(tape.instruments["name"].tolist())}
    option = np.array([row_of[name] for name in tape.trades["instrument"].tolist()])
    order = np.lexsort((tape.trades["seq"], option))
    return Prints(
        option[order],
        tape.instruments["type"] == "call",
        ~np.isnan(tape.instruments["listed_ms"]),
        tape.trades["ts_ms"][order] * 1_000_000,
        tape.trades["side"][order].astype(float),
        tape.trades["amount"][order],
        np.full(option.size, np.nan),
    )


def _answer(result: object) -> bytes:
    reply = {"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2, "usDiff": 1, "testnet": False}
    return json.dumps(reply).encode()


def _listing(name: str) -> dict[str, Any]:
    _, date, strike, kind = name.split("-")
    expiry = datetime.strptime(date, "%d%b%y").replace(hour=8, tzinfo=UTC)
    return {
        "instrument_name": name, "kind": "option", "base_currency": "BTC", "settlement_currency": "BTC",
        "expiration_timestamp": int(expiry.timestamp() * 1e3), "creation_timestamp": 1_540_000_000_000,
        "strike": float(strike), "option_type": "call" if kind == "C" else "put", "is_active": True,
    }  # fmt: skip


# ---- figures --------------------------------------------------------------------------------------------------------


def iv_follows_side(prints: Prints) -> tuple[float, float, float, int]:
    """Where the side switches within an hour and the IV moves: the share in which it moves with the side; the mean
    move of a buy after a sell and of a sell after a buy (points); and the number of switches."""
    back = np.zeros(prints.time.size, np.bool_)
    back[1:] = prints.follows[1:] & (np.diff(prints.side) != 0) & (np.diff(prints.time) <= HOUR)
    rows = np.flatnonzero(back)
    move, side = prints.iv[rows] - prints.iv[rows - 1], prints.side[rows]
    known = np.isfinite(move)
    move, side = move[known], side[known]
    moved = move != 0.0
    share = float(np.mean(np.sign(move[moved]) == side[moved]))
    return share, 100.0 * float(move[side > 0].mean()), 100.0 * float(move[side < 0].mean()), int(moved.sum())


def side_autocorrelation(prints: Prints, lag: int, gap_ns: tuple[float, float] = (0.0, np.inf)) -> float:
    """Correlation of the taker's side with that `lag` prints ago in the same option, by the time between them."""
    pairs = prints.option[lag:] == prints.option[:-lag]
    gap = prints.time[lag:] - prints.time[:-lag]
    pairs &= (gap >= gap_ns[0]) & (gap <= gap_ns[1])
    return float(np.corrcoef(prints.side[lag:][pairs], prints.side[:-lag][pairs])[0, 1])


def net_bought(prints: Prints, calls: bool) -> float:
    """Takers' net purchases over whole lives, coins."""
    chosen = prints.is_whole[prints.option] & (prints.is_call[prints.option] == calls)
    return float((prints.side * prints.size)[chosen].sum())


def tail_exponent(size: F64, share: float = 0.05) -> float:
    """Hill's estimate over the largest `share`."""
    largest = np.sort(size)[-round(share * size.size) :]
    return 1.0 / float(np.mean(np.log(largest / largest[0])[1:]))


def hourly_bursts(prints: Prints) -> tuple[float, float]:
    """Standard deviation of the log intensity by the hour beyond chance, and its correlation from hour to hour."""
    hour = (prints.time - prints.time.min()) // HOUR
    counts = np.bincount(hour).astype(float)
    mean = counts.mean()
    variance = max(counts.var() - mean, 1e-9) / mean**2  # of the intensity over its mean
    lagged = float(np.mean((counts[1:] - mean) * (counts[:-1] - mean))) / mean**2
    log_variance, log_lagged = np.log1p(variance), np.log1p(lagged)
    return float(np.sqrt(log_variance)), float(log_lagged / log_variance)


def activity_exponent(prints: Prints) -> float:
    """Slope of log prints a day on log rank, over the busier half of the options of each ten days."""
    day = (prints.time - prints.time.min()) // (10 * DAY)
    slopes = []
    for number in np.unique(day).tolist():
        counts = np.sort(np.bincount(prints.option[day == number]))[::-1]
        counts = counts[: np.count_nonzero(counts) // 2]
        if counts.size >= 20:
            slopes.append(np.polyfit(np.log(np.arange(1, counts.size + 1)), np.log(counts), 1)[0])
    return -float(np.mean(slopes))


def direction_spread(prints: Prints, window: float = 5.0 * DAY) -> tuple[float, float]:
    """Spread of the options' taker direction (net over volume of prints) beyond chance, and how much of it is left
    five days on: covariance of neighbouring windows over the variance."""
    key = (prints.time - prints.time.min()) // round(window)
    windows = int(key.max()) + 1
    cell = prints.option * windows + key
    counts = np.bincount(cell, minlength=prints.is_call.size * windows).reshape(-1, windows)
    sums = np.bincount(cell, weights=prints.side, minlength=counts.size).reshape(-1, windows)
    busy = counts >= 10
    mean = np.where(busy, sums / np.maximum(counts, 1), 0.0)
    centre = mean[busy].mean()
    noise = np.mean(((1.0 - mean**2) / np.maximum(counts, 1))[busy])
    variance = mean[busy].var() - noise
    both = busy[:, 1:] & busy[:, :-1]
    lagged = np.mean(((mean[:, 1:] - centre) * (mean[:, :-1] - centre))[both])
    return float(np.sqrt(max(variance, 0.0))), float(lagged / variance)


def turnover(prints: Prints) -> float:
    """Volume over the largest net taker flow of each whole life, median: how often what is built is traded."""
    ratios = []
    for option in np.flatnonzero(prints.is_whole).tolist():
        rows = prints.option == option
        if np.count_nonzero(rows) >= 30:
            path = np.cumsum((prints.side * prints.size)[rows])
            ratios.append(prints.size[rows].sum() / np.abs(path).max())
    return float(np.median(ratios))


def figures(prints: Prints) -> dict[str, str]:
    size = prints.size
    spread, memory = hourly_bursts(prints)
    direction, remains = direction_spread(prints)
    large = size >= np.quantile(size, 0.955)
    return {
        "size, median and mean (coins)": f"{np.median(size):.2f}, {size.mean():.2f}",
        "size, 90 %, 99 %, largest": ", ".join(f"{q:.1f}" for q in np.quantile(size, (0.9, 0.99, 1.0))),
        "tail exponent (Hill, largest 5 %, 1 %)": f"{tail_exponent(size):.2f}, {tail_exponent(size, 0.01):.2f}",
        "volume share of the largest 4.5 % of prints": f"{size[large].sum() / size.sum():.2f}",
        "autocorrelation of the side, lag 1, 2, 5, 20": ", ".join(
            f"{side_autocorrelation(prints, lag):.2f}" for lag in (1, 2, 5, 20)
        ),
        "the same, lag 1, prints an hour apart or more": f"{side_autocorrelation(prints, 1, (HOUR, np.inf)):.2f}",
        "prints within 10 s of the one before": f"{np.mean(np.diff(prints.time)[prints.follows[1:]] < 10e9):.2f}",
        "log intensity by the hour, sd and memory": f"{spread:.2f}, {memory:.2f}",
        "activity over options (Zipf)": f"{activity_exponent(prints):.2f}",
        "direction of options in 5 days, sd, and left after 5 days": f"{direction:.2f}, {remains:.2f}",
        "volume over largest net flow, median": f"{turnover(prints):.1f}",
    }


def main(path: Path) -> None:
    rows = rows_of(path)
    prints = prints_of(rows)
    given = sum(map(len, rows.values()))
    print(
        f"{prints.time.size:,} of {given:,} prints, {prints.is_whole.sum()} of {len(rows)} options from their first\n"
    )
    share, up, down, count = iv_follows_side(prints)
    print("| real prints, 2019 | |\n| --- | ---: |")
    print(f"| the IV moves with the side where it switches within an hour ({count:,}) | {share:.1%} |")
    print(f"| IV of a buy after a sell, of a sell after a buy (points) | {up:+.2f}, {down:+.2f} |")
    print(f"| autocorrelation of the side within an hour | {side_autocorrelation(prints, 1, (0.0, HOUR)):.2f} |")
    print(f"| takers' net of puts over whole lives (coins) | {net_bought(prints, False):+,.0f} |")
    print(f"| takers' net of calls | {net_bought(prints, True):+,.0f} |\n")
    names = ("A", "B", "V", "O", "X", "Y")
    columns = [figures(prints)] + [figures(simulated_prints(simulate(FAMILIES[name], 1))) for name in names]
    print("| | tape | " + " | ".join(names) + " |\n| --- |" + " ---: |" * len(columns))
    for label in columns[0]:
        print(f"| {label} | " + " | ".join(column[label] for column in columns) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TAPE)

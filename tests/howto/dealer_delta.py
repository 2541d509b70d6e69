"""Run on the package with the metric of docs/howto/add-a-metric.md: `dex` is right, and wherever a metric is shown.

Arguments: a history written without the metric. It is read, extended and written to.
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

import dfmon
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.model.frames import ChainFrame
from dfmon.model.snapshot import Detail, FlowSnapshot, MetricRow, from_json, to_json
from dfmon.model.units import HOUR, YEAR
from dfmon.sinks.plain_text import format_snapshot
from dfmon.sinks.redis_schema import stream_fields
from dfmon.store.history import History, HistoryReader
from dfmon.tui.render.box import Rect
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.gauges import gauges
from dfmon.tui.render.heatmap import heatmap
from dfmon.tui.render.models import models
from dfmon.tui.view import HEATMAP_LAYERS, View
from tests.chains import frame, market, trade_columns

NAME = "dex"  # the checkers of this tree know a package without it


def dex(holder: object) -> Any:
    return getattr(holder, NAME)


def with_dex(row: MetricRow, value: float) -> MetricRow:
    return msgspec.structs.replace(row, **{NAME: value})


def board() -> ChainFrame:
    """Expiries in 12 hours, within the charm's day, and later; one put with a volatility of its own."""
    made = frame(days=(0.5, 1.01, 9.0, 37.0))
    sigma = made.sigma.copy()
    sigma[-1] += 0.01
    return replace(made, sigma=sigma)


def dealer_delta(chain: ChainFrame, position: dict[str, float]) -> float:
    """Sum D F delta, option by option, by the textbook's formula."""
    total = 0.0
    for i, name in enumerate(chain.names):
        forward, strike, sigma = float(chain.forward[i]), float(chain.strike[i]), float(chain.sigma[i])
        deviation = sigma * math.sqrt((int(chain.expiry_ns[i]) - chain.ts_ns) / YEAR)
        d1 = math.log(forward / strike) / deviation + 0.5 * deviation
        call_delta = 0.5 * math.erfc(-d1 / math.sqrt(2.0))
        total += position[name] * forward * (call_delta if chain.option_type[i] > 0 else call_delta - 1.0)
    return total


def snapshot_of(chain: ChainFrame, position: dict[str, float]) -> FlowSnapshot:
    params = FlowParams(positions="file", file_positions=position)
    return step(FlowState.initial(), chain, market(), (), params, 1)[1]


def check_value(chain: ChainFrame) -> FlowSnapshot:
    """Dealers long all, all calls, all puts, and each of a random sign."""
    rng = np.random.default_rng(1)
    calls = chain.option_type > 0
    for held in (np.ones(chain.size), 1.0 * calls, 1.0 * ~calls, rng.normal(0.0, 10.0, chain.size)):
        position = dict(zip(chain.names, held.tolist()))
        made = snapshot_of(chain, position)
        expected = dealer_delta(chain, position)
        assert math.isclose(dex(made.metrics).value, expected, rel_tol=1e-9, abs_tol=1e-3), (made, expected)
    assert dex(snapshot_of(chain, dict(zip(chain.names, (1.0 * ~calls).tolist()))).metrics).value < 0.0
    column = dfmon.Board(spot=1e5, strike=[9e4], sigma=0.5, tau=0.1, option_type="put", open_interest=[1.0])
    assert -1e5 < dex(dfmon.exposures(column, [1.0]).totals) < 0.0
    expired = dfmon.Board(spot=1e5, strike=[1.1e5], sigma=0.5, tau=0.0, option_type="put", open_interest=[1.0])
    assert dex(dfmon.exposures(expired, [1.0]).totals) == 0.0
    return made


def check_outputs(made: FlowSnapshot) -> None:
    """JSON, rows, heat-map, Redis fields, text."""
    value = dex(made.metrics).value
    published = msgspec.json.decode(to_json(made, "live", detail=True))
    assert published["metrics"]["dex"] == {
        "value": value, "lo": None, "hi": None, "unit": "USD", "sign": "+ dealers gain as spot rises, - they lose",
        "quality": "ok", "age_s": 0.0,
    }  # fmt: skip
    for rows in (published["by_expiry"], published["by_strike"]):
        assert math.isclose(sum(row["dex"] for row in rows), value, rel_tol=1e-9)
    cells = published["detail"]["heatmap"]["dex"]
    assert math.isclose(sum(cell for row in cells for cell in row if cell is not None), value, rel_tol=1e-9)
    assert [row["dex"] for row in published["models"] if row["model"] == "file"] == [value]
    assert stream_fields(made, "live", "s")["dex"] == value
    assert any(line.startswith("DEX ") for line in format_snapshot(made, "live").splitlines())
    del published["metrics"]["dex"]  # a snapshot of a program without the metric
    assert dex(from_json(msgspec.json.encode(published)).metrics).quality == "absent"


def check_band(chain: ChainFrame) -> None:
    with_print = replace(chain, trades=trade_columns([0], [1], [2.0]))  # without one positions are unknown
    made = step(FlowState.initial(), with_print, market(), (), FlowParams("flow"), 1)[1]
    band = dex(made.metrics)
    assert band.lo < band.value < band.hi


def check_screen(made: FlowSnapshot) -> None:
    assert isinstance(made.detail, Detail)
    assert HEATMAP_LAYERS == ("ngi", "vss", "chl", "volg", "dex", "oi", "iv", "volume", "flow", "change")

    def text(rows: list[tuple[tuple[str, str], ...]]) -> str:
        return "\n".join("".join(part for part, _ in row) for row in rows)

    drawn = Frame(made.ts_ns, "live", View("BTC", metric="dex"), made, made)
    shown = text(heatmap(drawn, Rect(0, 0, 120, 24, "rule")))
    assert "[DEX] OI IV VOLUME FLOW CHANGE  $M" in shown
    assert "[DEX]" in shown
    for width, height in ((36, 11), (60, 20)):
        assert "DEX" in text(gauges(drawn, Rect(0, 0, width, height, "rule")))
    assert "DEX" in text(models(drawn, made, 100))


def check_history(path: Path, made: FlowSnapshot) -> None:
    """Two hours of the file are folded, the third is in rows."""
    with HistoryReader(path) as reader:
        before = reader.rows_since("BTC", 0)
    assert before
    assert all(math.isnan(dex(row)) for row in before)
    row = msgspec.structs.replace(MetricRow.from_snapshot(made), ts_ns=before[-1].ts_ns + HOUR)
    with History(path, clock=lambda: row.ts_ns, flush_interval_s=None) as history:
        history.append_row("BTC", row)  # folds the hour before it, which lacks the column
        history.append_row("BTC", with_dex(before[3], 4.0))  # late, into a folded hour
        *older, newest = history.rows_since("BTC", 0)
        assert (newest.ts_ns, dex(newest)) == (row.ts_ns, dex(made.metrics).value)
        expected = [*before[:3], with_dex(before[3], 4.0), *before[4:]]
        assert np.array_equal([astuple(r) for r in older], [astuple(r) for r in expected], equal_nan=True)
        assert history.columns("BTC", newest.ts_ns, ["dex"])["dex"].tolist() == [dex(newest)]


if __name__ == "__main__":
    chain = board()
    made = check_value(chain)
    check_outputs(made)
    check_band(chain)
    check_screen(made)
    check_history(Path(sys.argv[1]), made)

"""The sheet of the next settlement, before its window and inside it."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.next_settlement import settlement_of
from dfmon.model.snapshot import FlowSnapshot
from dfmon.model.units import MINUTE
from dfmon.tui.computation import Computed
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.settlement import settlement, shown_strikes
from dfmon.tui.view import View
from tests.chains import SPOT, market
from tests.chains import frame as chain

from . import factory
from .conftest import ScreenCheck
from .test_render import frame, panels

STRIKES = tuple(SPOT + 1_000.0 * i for i in range(-14, 15))


def shown(hours: float, average: float = float("nan"), **overrides: object) -> Frame:
    board = chain(strikes=STRIKES, days=(hours / 24.0, 9.0), delivery_average=average)
    board = replace(board, open_interest=100.0 * board.open_interest)
    made = step(FlowState.initial(), board, market(), (), FlowParams("short-all"), 1)[1]
    made = msgspec.structs.replace(made, **overrides)
    computed = Computed(("BTC", made.positions.model), settlement_of(made))
    rows = [
        msgspec.structs.replace(row, ts_ns=made.ts_ns - i * MINUTE // 4, spot=SPOT + 30.0 * (i % 7))
        for i, row in enumerate(factory.history()[:200])
    ]
    view = View("BTC", sheet="settlement", computed={"settlement": computed})
    return frame(made, view, now_ns=made.ts_ns, rows=rows[::-1])


def text_of(shown_frame: Frame, width: int, height: int) -> str:
    return panels(shown_frame, width, height)["settlement"]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)], ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("hours", [5.0, 0.3])
def test_the_sheet(size: tuple[int, int], hours: float, check_screen: ScreenCheck) -> None:
    text = text_of(shown(hours, 100_040.0), *size)
    assert max(map(len, text.splitlines())) <= size[0]
    check_screen(text, f"settlement_{size[0]}_{'window' if hours < 0.5 else 'before'}")


def test_the_row_of_the_delivery_is_marked_and_the_sum_is_below() -> None:
    at = shown(5.0)
    found = settlement(at)
    assert found is not None
    lines = text_of(at, 120, 40).splitlines()
    (nearest,) = [line for line in lines if line.startswith("▶")]
    assert nearest.split()[0] == "▶100,000"
    assert "all " in lines[-1]
    assert "window opens in 4h30m" in lines[1]


@pytest.mark.parametrize(
    ("change", "why"),
    [({"decided": False}, "sign not measured: too few prints"), ({"warming": True, "coverage": 0.4}, "warming, the")],
)
def test_a_board_without_a_sign_takes_no_side_and_says_why(change: dict[str, object], why: str) -> None:
    at = shown(5.0)
    snapshot: FlowSnapshot | None = at.snapshot
    assert snapshot is not None
    doubtful = msgspec.structs.replace(snapshot.positions, model="flow", **change)
    text = text_of(shown(5.0, positions=doubtful), 160, 48)
    assert not [word for word in ("BUY", "SELL", "buy ", "sell ") if word in text.replace("sell │ buy", "")]
    assert text.count("no side and no bars: ") == text.count(why) == 1
    assert not [line for line in text.splitlines() if "█" in line or "??" in line]


def test_strikes_near_spot_and_the_largest_beyond_have_a_line() -> None:
    found = settlement(shown(5.0))
    assert found is not None
    rows = shown_strikes(found, SPOT, 9)
    assert [row.strike for row in rows] == sorted(row.strike for row in rows)
    assert {SPOT - 1_000.0, SPOT, SPOT + 1_000.0} <= {row.strike for row in rows}
    rest = [row for row in found.strikes if abs(row.strike - SPOT) > 3_000.0]
    assert max(rest, key=lambda row: abs(row.hedge)) in rows


def test_a_stale_market_and_a_missing_book_have_a_sentence() -> None:
    assert "no settlement while stale" in text_of(shown(5.0, state="stale"), 80, 24)
    view = View("BTC", sheet="settlement", computed={"settlement": Computed(("BTC", "flow"), None)})
    assert "no book in this process to settle" in text_of(frame(factory.snapshot(), view), 80, 24)

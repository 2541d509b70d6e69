"""The sheet of all underlyings."""

from __future__ import annotations

import re

import msgspec
import pytest

from dfmon.model.snapshot import FlowSnapshot
from dfmon.tui.view import View

from . import factory
from .test_render import frame, panels


def lines(current: FlowSnapshot, *others: FlowSnapshot, width: int = 160) -> list[str]:
    shown = frame(current, View("BTC", sheet="coins"), others=others)
    return panels(shown, width, 60)["coins"].splitlines()


def ether(**overrides: object) -> FlowSnapshot:
    return factory.snapshot(**{"underlying": "ETH", **overrides})


def test_the_sum_is_of_what_is_live_and_covered() -> None:
    warming = msgspec.structs.replace(factory.snapshot().positions, warming=True, coverage=0.4)
    text = "\n".join(lines(factory.snapshot(), ether(), ether(underlying="SOL", positions=warming)))
    assert "SUM OF BTC, ETH  live and covered only; left out: SOL" in text
    assert "all +1% buy 71.0M   all -1% sell 22.0M   NGI -76.4M" in text
    stale = "\n".join(lines(factory.snapshot(), ether(state="stale")))
    assert "SUM OF BTC  live and covered only; left out: ETH" in stale


def test_a_sum_whose_band_holds_zero_is_unsure() -> None:
    wide = tuple(msgspec.structs.replace(row, lo=-90e6, hi=90e6) for row in factory.outlook())
    assert any("all +1% unsure" in line for line in lines(factory.snapshot(), ether(outlook=wide)))


def test_the_current_underlying_is_marked_and_rows_are_in_order() -> None:
    rows = [line for line in lines(factory.snapshot(), ether()) if re.match(r"[▶ ] (BTC|ETH)", line)]
    assert [row[:5] for row in rows] == ["▶ BTC", "  ETH"]
    assert all("5 SQUEEZE" in row and "+0.9 / none" in row for row in rows)


@pytest.mark.parametrize("width", [60, 80, 120, 160, 240])
def test_no_line_is_wider_than_the_screen_and_coverage_is_on_it(width: int) -> None:
    drawn = lines(factory.snapshot(), factory.absent(), ether(), width=width)
    assert max(len(line) for line in drawn) <= width
    if width >= 80:
        assert "93%" in drawn[2] + drawn[3]


def test_the_distance_in_daily_sigmas_is_that_of_the_flip() -> None:
    s = factory.snapshot()
    sigma = 0.51 / 365**0.5
    assert f"{(factory.FLIP / factory.SPOT - 1) / sigma:+.1f} / none" in "\n".join(lines(s))


def test_changes_of_all_are_merged_newest_first() -> None:
    from dfmon.model.scenario import ScenarioChange
    from dfmon.model.snapshot import Detail

    def with_change(name: str, ts: str) -> FlowSnapshot:
        base = factory.snapshot(underlying=name)
        assert isinstance(base.detail, Detail)
        change = ScenarioChange(ts, "flow", "2 DAMP", "1 PIN", ("spot is close",), {})
        return msgspec.structs.replace(base, tables=msgspec.structs.replace(base.detail, transitions=(change,)))

    drawn = lines(with_change("BTC", "2026-11-22T11:04:41Z"), with_change("ETH", "2026-11-22T12:12:40Z"))
    at = drawn.index(next(line for line in drawn if "CHANGES" in line))
    assert drawn[at + 1].strip() == "12:12:40  ETH  2 DAMP -> 1 PIN: spot is close"
    assert drawn[at + 2].strip() == "11:04:41  BTC  2 DAMP -> 1 PIN: spot is close"


def test_nothing_is_expected_of_a_book_that_is_not_known() -> None:
    warming = msgspec.structs.replace(factory.snapshot().positions, warming=True, coverage=0.0)
    (row,) = [line for line in lines(factory.snapshot(), ether(positions=warming)) if line.startswith("  ETH")]
    assert "flat" not in row
    assert "n/a" in row


def test_another_underlying_is_as_unsure_in_the_second_line_as_on_its_own_screen() -> None:
    ngi = msgspec.structs.replace(factory.snapshot().metrics.ngi, lo=-5e6, hi=4e6)
    unsure = ether(metrics=msgspec.structs.replace(factory.snapshot().metrics, ngi=ngi))
    shown = panels(frame(factory.snapshot(), others=(unsure,)), 160, 48)["context"]
    assert "ETH UNSURE 5" in shown
    assert "ETH SHORT 5" in panels(frame(factory.snapshot(), others=(ether(),)), 160, 48)["context"]


def test_a_stale_underlying_has_no_expected_trade() -> None:
    (row,) = [line for line in lines(factory.snapshot(), ether(state="stale")) if line.startswith("  ETH")]
    assert row.count("n/a") == 3
    assert "98,412.5~" in row

"""Panels as plain text: every state a trader can meet, without a terminal."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace as replace_row

from dfmon.core.freshness import FreshnessLimits, measure_freshness
from dfmon.engine.hub import Runtime
from dfmon.model.frames import ReceiveTimes
from dfmon.model.snapshot import Detail, FlowSnapshot, MetricRow
from dfmon.model.units import SECOND
from dfmon.tui.layout import layout
from dfmon.tui.render.box import Rect
from dfmon.tui.render.chart import bin_values
from dfmon.tui.render.feed_status import feed_health, worst_feed_by_venue, worst_feed_runs
from dfmon.tui.render.formatting import (
    cell_text,
    format_duration,
    format_level,
    format_percent,
    format_price,
    format_signed,
    format_usd,
    rows_to_text,
    short_expiry,
)
from dfmon.tui.render.frame import Frame, snapshot_at
from dfmon.tui.render.gauges import gauges
from dfmon.tui.render.heatmap import cell_facts, format_cell
from dfmon.tui.render.heatmap_grid import current_grid, visible_range
from dfmon.tui.render.plot import bar_runs, nice_number, sparkline
from dfmon.tui.screens.main import RENDERERS
from dfmon.tui.sheets import PANELS, SHEETS
from dfmon.tui.view import HEATMAP_LAYERS, View
from dfmon.tui.view_actions import VIEW_ACTIONS
from tests import chains
from tests.structs import complete

from . import factory
from .factory import NOW

SIZES = ((80, 24), (100, 30), (120, 40), (140, 36), (160, 48), (200, 60), (240, 24))
CASES: dict[str, Callable[[], FlowSnapshot | None]] = {
    "usual": factory.snapshot,
    "no flip": factory.no_flip,
    "several flips": factory.several_flips,
    "absent": factory.absent,
    "mixed": factory.mixed_quality,
    "hostile": factory.hostile,
    "conventional": factory.conventional,
    "every field": lambda: complete(FlowSnapshot),
    "none": lambda: None,
}


def frame(s: FlowSnapshot | None = None, view: View | None = None, **overrides: Any) -> Frame:
    fields: dict[str, Any] = {
        "now_ns": NOW + 400_000_000,
        "mode": "live",
        "snapshot": s,
        "latest_snapshot": s,
        "rows": factory.history(),
    }
    return Frame(view=view or View("BTC"), **(fields | overrides))


def panels(f: Frame, width: int = 80, height: int = 24) -> dict[str, str]:
    rects = layout(width, height, panel=f.view.panel, zoom=f.view.zoom, sheet=f.view.sheet)
    return {name: rows_to_text(RENDERERS[name](f, rect)) for name, rect in rects.items()}


def screen(f: Frame, width: int = 80, height: int = 24) -> str:
    return "\n".join(panels(f, width, height).values())


def views() -> list[View]:
    zoomed_or_not = [View("BTC", panel=p.name, zoom=z) for p in PANELS for z in (False, True)]
    sheets = [View("BTC", sheet=s.name) for s in SHEETS]
    sheets += [
        View("BTC", sheet="positions", table="expiries", expiry_filter=factory.EXPIRIES[3]),
        View("BTC", sheet="positions", table="origins"),
        View("BTC", prompt="/", prompt_error="no"),
    ]
    metrics = [View("BTC", metric=m, merge=k, panel="heatmap") for m in HEATMAP_LAYERS for k in (1, 2, 4)]
    return [
        *zoomed_or_not,
        *sheets,
        *metrics,
        View("BTC", icons="braille"),
        View("BTC", span=0, cursor_strike=140_000.0, cursor_column=7),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_panel_fills_its_rectangle_exactly(case: str, width: int, height: int) -> None:
    s = CASES[case]()
    for view in views():
        f = frame(s, view)
        for name, rect in layout(width, height, panel=view.panel, zoom=view.zoom, sheet=view.sheet).items():
            rows = RENDERERS[name](f, rect)
            assert len(rows) == rect.height, (name, view)
            assert {sum(len(text) for text, _ in row) for row in rows} == {rect.width}, (name, view)


@pytest.mark.parametrize("width", range(1, 80, 3))
def test_too_small_never_overflows(width: int) -> None:
    shown = frame(factory.snapshot())
    for height in range(1, 24, 2):
        rows = RENDERERS["small"](shown, layout(width, height, panel="chart", zoom=False, sheet="")["small"])
        assert len(rows) == height
        assert {sum(len(text) for text, _ in row) for row in rows} == {width}


@pytest.mark.slow
@pytest.mark.parametrize("width", range(80, 242, 7))
def test_the_plan_tiles_the_screen(width: int) -> None:
    plans = {(view.panel, view.zoom, view.sheet) for view in views()}
    for height in range(24, 70, 5):
        for panel, zoom, sheet in plans:
            cells: set[tuple[int, int]] = set()
            rects = layout(width, height, panel=panel, zoom=zoom, sheet=sheet, expiries=11)
            for r in rects.values():
                border_cells = {(x, y) for x in range(r.x, r.x + r.width) for y in (r.y, r.y + r.height - 1)}
                assert not border_cells & cells
                cells |= border_cells
            assert sum(r.width * r.height for r in rects.values()) == width * height


@pytest.mark.slow
def test_foreign_text_is_only_text() -> None:
    for view in views():
        for width, height in SIZES:
            text = screen(frame(factory.hostile(), view), width, height)
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e漢]", text)


def test_what_is_not_known_is_never_zero() -> None:
    text = screen(frame(factory.absent(), rows=()), 160, 48)
    assert "n/a" in text
    assert not re.search(r"(NGI|VSS|CHL|VOLG|HPP) +[+-]?0", text)
    assert "WARMING n/a of open interest seen" in text
    assert "no outlook" in text


def test_quality_is_visible_in_each_gauge() -> None:
    shown = panels(frame(factory.mixed_quality()))
    lines = shown["gauges"].splitlines()
    assert "-38.2M!" in lines[1]
    assert "+12.4M~" in lines[2]
    assert "n/a" in lines[3]
    assert "?" in lines[3]
    assert "warming 62% sign ?" in shown["context"]


def test_no_flip_is_said_in_words() -> None:
    text = screen(frame(factory.no_flip()), 160, 48)
    assert "LONG GAMMA no edge 49,206..147,618" in text
    zoomed = screen(frame(factory.no_flip(), View("BTC", panel="profile", zoom=True)), 160, 48)
    assert "searched 49,206..147,618" in zoomed


def test_stale_says_how_long_and_marks_values() -> None:
    s = factory.snapshot()
    parts = panels(frame(s, now_ns=s.ts_ns + 12 * SECOND))
    assert "STALE 12s" in parts["headline"]
    assert "98,412.5~ 12s" in parts["headline"]
    assert "held: SHORT below 100,900" in parts["headline"]
    assert "no outlook, no alert while stale: no snapshot for 12s" in parts["context"]
    assert "-38.2M~" in parts["gauges"]


def test_a_snapshot_that_calls_itself_stale_is_shown_so() -> None:
    assert "STALE" in panels(frame(factory.snapshot(state="stale")))["headline"]


def test_replay_is_never_late_and_cannot_be_mistaken() -> None:
    runtime = Runtime(replay_position=0.4, replay_speed=8.0)
    parts = panels(frame(factory.snapshot(), now_ns=NOW + 86_400 * SECOND, mode="replay", runtime=runtime))
    assert "◆ REPLAY x8" in parts["headline"]
    assert "2026-11-22 14:03" in parts["headline"]
    assert "STALE" not in parts["headline"]
    assert "REPLAY PLAYING 40%" in parts["state"]
    finished = panels(frame(factory.snapshot(), mode="replay", runtime=dataclasses.replace(runtime, finished=True)))
    assert "REPLAY END" in finished["headline"]


def test_paused_counts_what_it_hides() -> None:
    assert "PAUSED +37" in panels(frame(factory.snapshot(), paused=True, hidden_snapshots=37))["headline"]


def test_sim_is_called_sim() -> None:
    assert "● SIM" in panels(frame(factory.snapshot(), mode="sim"))["headline"]


def test_the_model_and_its_limits_are_on_the_first_screen() -> None:
    assert "a model: OTC, ETF, CME unseen" in screen(frame(factory.snapshot()))
    wide_screen = screen(frame(factory.snapshot()), 160, 48)
    assert "a model: Deribit only, one desk; OTC, ETF, CME unseen" in wide_screen


def test_buying_and_selling_follow_the_signs() -> None:
    lines = panels(frame(factory.snapshot()), 160, 48)["gauges"].splitlines()
    rows = {line.split("  ")[0].strip(): line for line in lines if line.startswith(" ")}
    assert "▲ BUY     35.5M  +18.0M..+49.0M" in rows["spot +1%"]  # short gamma: they buy into a rise
    assert "▼ SELL    11.0M   -19.0M..-3.0M" in rows["spot -1%"]
    assert "■ unsure   3.9M" in rows["-1 sd hour"]  # its band holds 0
    assert "■ flat   < 182K" in rows["stays, hour"]
    assert rows["spot +1%"].index("█") > rows["spot -1%"].index("█")  # to the right they buy


def test_a_feed_that_is_slow_or_down_has_a_word() -> None:
    feed_down = msgspec.structs.replace(factory.feeds()[0], state="down")
    parts = panels(frame(factory.snapshot(feeds=(feed_down, *factory.feeds()[1:]))))
    assert "deribit ○ down" in parts["state"]
    assert "okx ◐ 6.2s slow" in parts["state"]


def test_a_small_market_is_drawn_in_thousands() -> None:
    s = factory.snapshot()
    assert isinstance(s.detail, Detail)
    heat = s.detail.heatmap
    cents = tuple(tuple(None if v is None else v / 100 for v in row) for row in heat.ngi)
    detail = msgspec.structs.replace(s.detail, heatmap=msgspec.structs.replace(heat, ngi=cents))
    text = panels(frame(msgspec.structs.replace(s, tables=detail)))["heatmap"]
    assert "$K per +1%" in text
    assert re.search(r"\[ ?-34", text)


def test_the_reason_for_an_unknown_scenario_is_cut_between_words() -> None:
    scenario = msgspec.structs.replace(factory.snapshot().scenario, overlay="UNKNOWN: positions warming")
    s = factory.snapshot(scenario=scenario)
    for size in ((120, 40), (160, 48)):
        assert " 5 SQUEEZE  held: UNKNOWN " in panels(frame(s), *size)["headline"]
    missing = msgspec.structs.replace(scenario, bucket=None, name="UNKNOWN", overlay="UNKNOWN: no volume of the hour")
    assert " UNKNOWN  no volume of the hour " in panels(frame(factory.snapshot(scenario=missing)), 160, 48)["headline"]
    narrow = panels(frame(factory.snapshot(scenario=missing)), 80, 24)
    assert " UNKNOWN " in narrow["headline"]
    without_outlook = panels(frame(factory.snapshot(scenario=missing, outlook=())), 80, 24)
    assert "no outlook: no volume of the hour" in without_outlook["context"]


def test_merged_rows_keep_the_sum() -> None:
    sums = []
    for merge in (1, 2, 4):
        grid = current_grid(frame(factory.snapshot(), View("BTC", merge=merge)))
        assert grid is not None
        assert grid.strikes[grid.spot_row] <= factory.SPOT
        sums.append(sum(v for row in grid.cells for v in row if v is not None))
    assert sums == pytest.approx([sums[0]] * 3)


@pytest.mark.parametrize("count", [1, 5, 30])
def test_the_window_always_holds_the_cursor(count: int) -> None:
    for available in (1, 4, 9, 40):
        for cursor in range(count):
            assert cursor in visible_range(count, available, count // 2, cursor)
            assert len(visible_range(count, available, count // 2, cursor)) == min(available, count)


def test_gaps_stay_gaps() -> None:
    rows = [r for r in factory.history() if not NOW - 7_200 * SECOND < r.ts_ns < NOW - 3_600 * SECOND]
    lines = panels(frame(factory.snapshot(), rows=rows), 160, 48)["chart"].splitlines()[1:-2]
    columns = {"".join(line[x] for line in lines) for x in range(90)}
    assert "╱" * len(lines) in columns


def test_the_field_of_the_chart_is_that_of_the_edges_of_each_time() -> None:
    """Short gamma between two edges, long outside; then the upper edge falls below spot, which is long from then on."""
    rows = [
        replace_row(
            row, ngi=-1e6 if i < 120 else 1e6, edge_below=97_500.0, edge_above=99_000.0 if i < 120 else math.nan
        )
        for i, row in enumerate(factory.history())
    ]
    drawn = RENDERERS["chart"](frame(factory.snapshot(), rows=rows), Rect(0, 0, 80, 24, "none"))[:-2]
    fields = ["".join(style.partition("@")[2][:1].ljust(1) * len(text) for text, style in row) for row in drawn]
    first, last = ([line[x] for line in fields] for x in (5, 60))
    assert "".join(first).rstrip() in {
        "l" * a + "s" * b + "l" * c for a in range(24) for b in range(24) for c in range(24)
    }
    assert set(first) == {"l", "s"}
    assert "".join(last).rstrip("s").count("s") == 0  # long above 97,500, short below it


def test_young_data_fill_the_chart_from_the_left() -> None:
    s = factory.snapshot()
    rows = factory.history(step_s=1)[-30:]
    text = panels(frame(s, rows=rows))["chart"]
    assert "so far" in text
    assert "↑100,900" in text  # out of sight, but named


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-38.2e6, "-38.2M"),
        (182e6, "+182M"),
        (31.2e9, "+31.2B"),
        (-400e3, "-400K"),
        (0.0, "0"),
        (999.9e6, "+1.0B"),
        (None, "n/a"),
    ],
)
def test_money(value: float | None, text: str) -> None:
    assert format_usd(value) == text


def test_numbers() -> None:
    assert [format_signed(v, 1) for v in (-0.04, 0.06)] == ["0.0", "+0.1"]
    assert [format_percent(0.0042, 2), format_percent(0.93, 0, plus=False), format_percent(None)] == [
        "+0.42%",
        "93%",
        "n/a",
    ]
    assert [format_price(98_412.5), format_price(12.345), format_price(0.5)] == ["98,412.5", "12.35", "0.5000"]
    assert [format_level(None), format_level(100_900.0), format_level(2.5)] == ["n/a", "100,900", "2.5000"]
    assert [format_duration(v) for v in (0.4, 42, 1_260, 64_560, 270_000)] == ["0.4s", "42s", "21m", "17h56m", "3d3h"]
    assert [short_expiry(label) for label in ("27NOV26", "2026-01-02T08:00:00Z")] == ["27NOV", "02JAN"]
    assert [format_cell(v, "ngi", 4) for v in (None, 0.01, -3.94, 12.3, 1_234.0)] == ["·", "·", "-3.9", "+12", "+1k"]
    assert [nice_number(v) for v in (0.03, 1.0, 11.0)] == [0.05, 1.0, 20.0]


def test_bars() -> None:
    styles = ("neg", "pos")
    assert rows_to_text([tuple(bar_runs(-1.0, 2.0, 4, styles))]) == "··██│····"
    assert rows_to_text([tuple(bar_runs(5.0, 2.0, 4, styles))]) == "····│████"
    assert rows_to_text([tuple(bar_runs(1.06, 2.0, 4, styles, (0.5, 1.6)))]) == "····│██▏·"
    assert rows_to_text([tuple(bar_runs(-0.5, 2.0, 4, styles, (-1.5, 0.5)))]) == "·╌╌█│╌···"
    assert rows_to_text([tuple(bar_runs(None, 2.0, 3, styles))]) == "???│???"
    assert bar_runs(-1.0, 2.0, 4, styles)[1] == ("██", "neg")
    assert sparkline([None, 1.0, 2.0], 4) == ["  ▁█"]
    assert sparkline([None, 1.0, 2.0], 3, rows=2) == ["  █", " ▁█"]


def test_a_slow_terminal_is_named_for_a_while_and_then_forgotten() -> None:
    just_now = frame(factory.snapshot(), skipped_frames=2, last_skip_ns=NOW)
    assert "screen slow, 2 skipped" in screen(just_now, 160, 48)
    long_ago = frame(factory.snapshot(), skipped_frames=2, last_skip_ns=NOW - 60_000_000_000)
    assert "screen slow" not in screen(long_ago, 160, 48)


def test_the_cell_keeps_a_unit_in_which_its_numbers_can_be_told_from_nothing() -> None:
    """Volga of one cell is some hundred dollars; what was 0.00M for all of them."""
    s = factory.snapshot()
    assert isinstance(s.detail, Detail)
    heat = s.detail.heatmap
    small = msgspec.structs.replace(
        heat, volg=tuple((1.2e3,) * len(row) for row in heat.volg), vss=tuple((0.0,) * len(row) for row in heat.vss)
    )
    detail = msgspec.structs.replace(s.detail, heatmap=small)
    shown = frame(msgspec.structs.replace(s, tables=detail))
    grid = current_grid(shown)
    assert grid is not None
    facts = dict(cell_facts(shown, grid, 0, 0))
    assert (facts["VOLG"], facts["VSS"]) == ("+1.2K", "0")


def test_what_does_not_fit_ends_at_a_word_and_says_that_it_goes_on() -> None:
    """The last alert in one line, and an output on the state line."""
    s = factory.snapshot()
    assert isinstance(s.detail, Detail)
    long = "DAMP -> FLIP-ZONE: |x| 0.07 <= 1.58 daily sigma of the flip"
    alert = msgspec.structs.replace(s.detail.alerts[0], text=long)
    detail = msgspec.structs.replace(s.detail, alerts=(alert,))
    positions = msgspec.structs.replace(s.positions, model="short-all")
    s = msgspec.structs.replace(s, tables=detail, positions=positions)
    assert "1.58 daily .. ─" in panels(frame(s))["alerts"]
    runtime = Runtime(
        sinks=("rest serving (http://127.0.0.1:8765)",), note="the disk is full: recording pauses until then"
    )
    state_line = panels(frame(s, runtime=runtime), 240, 48)["state"]
    assert "rest serving .." in state_line
    assert "the disk is full: recording pauses .." in state_line


def test_the_help_of_every_sheet_fits_one_line() -> None:
    assert not [spec.name for spec in (*PANELS, *SHEETS) if len(spec.explanation) > 78]


def test_the_help_is_wrapped_and_in_one_column_on_a_narrow_screen() -> None:
    text = screen(frame(factory.snapshot(), View("BTC", sheet="help")), 50, 60)
    assert "changes sign.\n" in text
    assert "\n HEAT-MAP\n" in text
    assert "q quit" in text


def aged(snapshot: FlowSnapshot, spot_s: float | None, marks_s: float | None = 0.4) -> FlowSnapshot:
    """The snapshot with these ages, as the engine would make it."""
    received = {name: 0 if age is None else NOW - round(age * SECOND) for name, age in (("s", spot_s), ("m", marks_s))}
    chain = chains.frame(received=ReceiveTimes(received["s"], received["m"], NOW, NOW), ts_ns=NOW)
    freshness = measure_freshness(chain, chains.market(), FreshnessLimits())
    return msgspec.structs.replace(snapshot, state="stale" if freshness.stale else "live", freshness=freshness)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (160, 48)])
@pytest.mark.parametrize(("spot_s", "words"), [(6.0, "STALE 6.0s"), (7_300.0, "STALE 2h01m")])
def test_the_input_that_is_too_old_stands_in_the_corner_with_its_age(
    width: int, height: int, spot_s: float, words: str
) -> None:
    parts = panels(frame(aged(factory.snapshot(), spot_s)), width, height)
    assert words in parts["headline"]
    assert "98,412.5~" in parts["headline"]
    assert "no outlook, no alert while stale" in parts["context"]
    assert "spot 6 s old" in parts["headline" if width >= 120 else "context"] or spot_s > 100.0


def test_the_screen_is_stale_once_the_limit_has_passed_and_not_at_the_next_tick() -> None:
    """So a drawing screen says it a frame after the limit at the latest, however the ticks fall between its frames."""
    s = aged(factory.snapshot(), 4.6)
    assert snapshot_at(s, 0.3) is s
    assert snapshot_at(s, -2.0) is s  # of a host whose clock is ahead
    later = frame(snapshot_at(s, 0.6))
    assert "STALE 5.2s" in panels(later)["headline"]
    assert "no outlook, no alert while stale" in panels(later)["context"]


def test_the_screen_waits_for_ticks_that_are_seldom() -> None:
    s = aged(factory.snapshot(), 4.6)
    assert snapshot_at(s, 12.0, interval_s=5.0) is s
    assert snapshot_at(s, 14.0, interval_s=5.0).state == "stale"
    seldom = replace(frame(factory.snapshot()), now_ns=factory.snapshot().ts_ns + 12 * SECOND)
    assert seldom.stale
    assert not replace(seldom, runtime=Runtime(interval_s=5.0)).stale


def test_a_pause_does_not_hide_that_the_market_became_stale() -> None:
    before = factory.snapshot()
    paused = replace(frame(before, paused=True), latest_snapshot=aged(before, 6.0))
    assert "PAUSED" in panels(paused)["headline"]
    assert "STALE 6.0s" in panels(paused)["headline"]
    still = replace(frame(before, paused=True), latest_snapshot=aged(before, 1.0))
    assert "STALE" not in panels(still)["headline"]


def test_before_the_first_data_the_screen_waits() -> None:
    assert "WAITING" in panels(frame(aged(factory.snapshot(), None)))["headline"]


def test_stale_rows_are_a_gap_in_the_chart_and_not_a_line() -> None:
    rows = factory.history(minutes=10, step_s=1)
    stale = [MetricRow.gap(row.ts_ns) if 200 <= i < 400 else row for i, row in enumerate(rows)]
    start, bin_ns = rows[0].ts_ns, 10 * SECOND
    values = bin_values(stale, "spot", start, bin_ns, 60)
    assert [value is None for value in values] == [20 <= x < 40 for x in range(60)]
    assert not re.search(r"\bnan\b", screen(replace(frame(factory.snapshot()), rows=stale)))
    assert not re.search(r"\bnan\b", screen(replace(frame(factory.snapshot()), rows=stale[200:400])))


@pytest.mark.parametrize("width", [38, 80])
def test_a_metric_of_a_long_name_keeps_the_columns_of_its_row(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = factory.snapshot()
    metrics = msgspec.structs.replace(snapshot.metrics, unwind_at_window=snapshot.metrics.ngi)
    monkeypatch.setattr("dfmon.tui.render.gauges.GAUGE_METRICS", ("ngi", "unwind_at_window"))
    drawn = gauges(frame(msgspec.structs.replace(snapshot, metrics=metrics), rows=()), Rect(0, 0, width, 12, "rule"))
    lines = ["".join(text for text, _ in line) for line in drawn]
    (short,) = (line for line in lines if " NGI " in line)
    (long,) = (line for line in lines if " UNWIN" in line)
    assert long.replace(" UNWIN", " NGI  ") == short


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (160, 48), (200, 56)])
@pytest.mark.parametrize("read_ns", [0, 10**19])
def test_the_reason_and_the_unread_alerts_both_have_a_place(width: int, height: int, read_ns: int) -> None:
    s = factory.snapshot()
    missing = msgspec.structs.replace(
        s.scenario, bucket=None, name="UNKNOWN", overlay="UNKNOWN: positions warming", reasons=("positions warming",)
    )
    for scenario, reason in ((s.scenario, "why 5 SQUEEZE  NGI < 0"), (missing, "why UNKNOWN  positions warming")):
        shown = frame(msgspec.structs.replace(s, scenario=scenario))
        shown.view.alerts_read_ns = read_ns
        rows = panels(shown, width, height)
        is_single_row = width < 120
        assert (reason in rows["alerts"]) == (read_ns > 0 or not is_single_row)
        assert ("[n] 3 !" in rows["context"] + rows["alerts"]) == (read_ns == 0)
    shown.view.zoom = True
    assert ("[n] 3 !" in panels(shown, width, height)["context"]) == (read_ns == 0)


def test_long_text_is_cut_at_a_word_and_short_labels_anywhere() -> None:
    assert cell_text("no open interest yet", 20) == "no open interest yet"
    assert cell_text("no open interest yet", 19) == "no open interest .."
    assert cell_text("deribit_options_of_some_venue", 12) == "deribit_o .."
    assert cell_text("SCENARIO", 5) == "SCENA"
    long = "word " * 40
    assert all(len(cell_text(long, limit)) <= limit for limit in range(1, 120))


def test_a_disabled_venue_is_no_fault() -> None:
    s = factory.snapshot()
    off = msgspec.structs.replace(s.feeds[0], name="toyx", state="disabled", age_s=None, lag_ms=None)
    assert feed_health(off) == ("○", "dim", "disabled")
    worst = worst_feed_runs(worst_feed_by_venue((*s.feeds, off)))
    assert "toyx" not in worst[0][0]


def test_the_venue_of_the_book_is_that_of_the_snapshot() -> None:
    other = screen(frame(msgspec.structs.replace(factory.snapshot(), options_venue="Toy")), 160, 48)
    assert "flow Toy only" in other
    assert "a model: Toy only" in other
    assert "a model: one venue only" in screen(
        frame(msgspec.structs.replace(factory.snapshot(), options_venue="")), 160, 48
    )


def coins_of(text: str, label: str) -> float:
    """The coins of the selected option in a row of its origins."""
    (line,) = [line for line in text.splitlines() if line.startswith(f" {label}")]
    return float(line.removeprefix(f" {label}").split()[0].replace(",", ""))


def test_origins_of_the_selected_option_add_up_and_stand_beside_its_certainty() -> None:
    chosen = factory.positions()[17]
    view = View("BTC", sheet="positions", table="origins", selected_option=chosen.name)
    text = screen(frame(factory.snapshot(), view), 100, 30)
    labels = (
        "screen prints",
        "blocks",
        "RFQs",
        "combos",
        "liquidations",
        "openings",
        "no print/bound",
        "before, prior",
    )
    parts = sum(coins_of(text, label) for label in (*labels, "calibration"))
    assert parts == pytest.approx(chosen.net, abs=0.5)
    assert coins_of(text, "= NET") == pytest.approx(chosen.net, abs=0.5)
    assert re.search(r"whole life +(all known|not all)", text)
    assert "B 0.31 +-0.02, sig 0.12 +-0.02: sign decided" in text
    assert "assumed: class shares, venue share 40%" in text
    assert "3 open interest jumps" in text


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_a_board_whose_sign_is_undecided_says_so_on_the_screen(size: tuple[int, int]) -> None:
    base = factory.snapshot()
    undecided = msgspec.structs.replace(base.positions, decided=False, opening_slope=0.01)
    s = msgspec.structs.replace(base, positions=undecided)
    words = "sign ?" if size == (80, 24) else "sign undecided"
    assert words in panels(frame(s), *size)["context"]
    assert words not in panels(frame(base), *size)["context"]
    sheet = screen(frame(s, View("BTC", sheet="positions", table="origins")), *size)
    assert "B 0.01 +-0.02, sig 0.12 +-0.02: SIGN UNDECIDED" in sheet


def test_origins_of_a_convention_and_of_an_earlier_snapshot_are_absent() -> None:
    view = View("BTC", sheet="positions", table="origins")
    text = screen(frame(factory.conventional(), view), 100, 30)
    assert "a convention has no error" in text
    assert all(label in text for label in ("screen prints", "unexplained", "lost coins"))
    (line,) = [line for line in text.splitlines() if line.startswith(" openings")]
    assert line.split() == ["openings", "n/a", "n/a"]


def test_enter_on_the_positions_sheet_asks_why_dealers_hold_the_selected_option() -> None:
    chosen = factory.positions()[17]
    view = View("BTC", sheet="positions", selected_option=chosen.name)
    on_screen = frame(factory.snapshot(), view)
    assert "WHY" not in screen(on_screen, 100, 30)
    VIEW_ACTIONS["cell.detail"](view, on_screen)
    assert (view.sheet, view.table) == ("positions", "origins")
    assert coins_of(screen(on_screen, 100, 30), "= NET") == pytest.approx(chosen.net, abs=0.5)
    assert "WHY" in screen(on_screen, 160, 24)  # where expiries and reasons have no room side by side
    VIEW_ACTIONS["cell.detail"](view, on_screen)
    assert view.table == "options"


def test_while_paused_the_age_of_spot_goes_on() -> None:
    shown = frame(factory.snapshot(), paused=True, now_ns=NOW + 47 * SECOND)
    newest = replace(shown, latest_snapshot=factory.snapshot(ts_ns=NOW + 47 * SECOND))
    assert "BTC 98,412.5 47s" in panels(newest, 120, 40)["headline"]

"""The one table of what the screen can show: the panels of the main screen, and the sheets that open over it.

Layout, key bindings, footer, help, command palette, scrolling and filters read it. A new sheet is a file in `render/`
and a row of `SHEETS`; docs/howto/add-a-panel.md walks through one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from dfmon.tui.actions import CONTEXT_ACTIONS, SCREEN_ACTIONS, Action, focus_action
from dfmon.tui.computation import Work
from dfmon.tui.filters import ListName
from dfmon.tui.keymap import KeyChanges, KeyMap, bind, label_of
from dfmon.tui.render.alerts import alert_rows, alerts
from dfmon.tui.render.box import Rect, inner_size, scrolled_panel
from dfmon.tui.render.chart import chart
from dfmon.tui.render.coins import coin_rows
from dfmon.tui.render.detail import detail
from dfmon.tui.render.explanation import explanation_rows
from dfmon.tui.render.feeds import feed_rows
from dfmon.tui.render.formatting import Row, highlight
from dfmon.tui.render.forward_map import forward_map_sheet
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.gauges import gauges
from dfmon.tui.render.heatmap import heatmap
from dfmon.tui.render.help import help_rows
from dfmon.tui.render.own_book import own_book_sheet
from dfmon.tui.render.positions import positions
from dfmon.tui.render.profile import profile
from dfmon.tui.render.score import score_rows
from dfmon.tui.render.settlement import settlement_sheet
from dfmon.tui.render.tape import tape, tape_rows
from dfmon.tui.render.transitions import transition_rows
from dfmon.tui.render.vol import vol_sheet
from dfmon.tui.render.what_if import what_if_sheet
from dfmon.tui.sheet_work import (
    explain_work,
    forward_map_work,
    own_book_work,
    profile_work,
    settlement_work,
    vol_work,
    what_if_work,
)
from dfmon.tui.view import View

Renderer = Callable[[Frame, Rect], list[Row]]
LineSource = Callable[[Frame, int], list[Row]]
WorkSource = Callable[[Frame], Sequence[Work]]


def _no_work(frame: Frame) -> Sequence[Work]:
    return ()


@dataclass(frozen=True, slots=True)
class SheetSpec:
    """A panel or a sheet.

    `title` heads the sheet and names its action; `explanation` is the first line of help while it is in front.
    `lines` returns every line at a width: they scroll, and without a `render` they are the sheet.
    `list_name` is the list that `/` filters. `replaces` is the one panel that a sheet covers; "" for all of them.
    `min_size` is the smallest terminal, columns and rows, that shows the sheet. `work` is what it computes.
    """

    name: str
    title: str
    explanation: str
    render: Renderer | None = None
    lines: LineSource | None = None
    key: str = ""
    footer_rank: int = 15
    list_name: ListName | None = None
    replaces: str = ""
    min_size: tuple[int, int] = (40, 10)
    work: WorkSource = _no_work

    @property
    def action(self) -> Action:
        """The action that opens and closes the sheet, for a sheet with a key."""
        return Action(
            f"app.{self.name}", (self.key,), self.key, self.title, self.title.lower(), "SHEETS",
            footer_rank=self.footer_rank, footer_label=self.name,
        )  # fmt: skip

    def draw(self, frame: Frame, rect: Rect) -> list[Row]:
        """The rows that fill `rect`."""
        if self.render is not None:
            return self.render(frame, rect)
        rows = self.lines(frame, inner_size(rect)[0]) if self.lines is not None else []
        view = frame.view
        rows = [highlight(row, view.search) for row in rows] if view.search else rows
        return scrolled_panel(rect, self.title.upper(), rows, view.scroll, _scroll_hint(view))


def _help_lines(frame: Frame, width: int) -> list[Row]:
    """The help lists the actions of this table, so it reads the table when drawn."""
    view = frame.view
    return help_rows(SPECS_BY_NAME[view.sheet_under_help or view.panel].explanation, keymap_of(view).actions, width)


def _scroll_hint(view: View) -> tuple[str, str]:
    """The keys that close a sheet and that scroll it."""
    return label_of(view.keys, "app.back"), f"{label_of(view.keys, 'cursor.down')} {label_of(view.keys, 'cursor.up')}"


# Numbered from 1 on screen. Their places on the main screen are in `layout`.
PANELS: Final = (
    SheetSpec(
        "chart",
        "Spot against flip",
        "Spot and the flips on either side: where dealers' net gamma changes sign.",
        chart,
    ),
    SheetSpec(
        "heatmap",
        "Heat-map",
        "NGI: USD of delta per +1%. Positive: dealers sell rallies; negative: they buy.",
        heatmap,
    ),
    SheetSpec(
        "gauges",
        "Gauges",
        "HPP: hedge pressure. Positive: dealers must sell. psi: NGI over market depth.",
        gauges,
    ),
    SheetSpec(
        "tape",
        "Flow tape",
        "SIDE: the taker's. GAMMA: change of dealers' NGI if the taker is a customer.",
        tape,
        lines=tape_rows,
        list_name="tape",
    ),
    SheetSpec(
        "profile",
        "Gamma profile",
        "Net gamma at other spots. Left of 0 dealers amplify moves, right they damp.",
        profile,
        work=profile_work,
    ),
    SheetSpec(
        "alerts",
        "Alerts",
        "SCENE: new scenario. FLIP: spot crossed the flip. FEED: data lost or back.",
        alerts,
        lines=alert_rows,
    ),
)

SHEETS: Final = (
    SheetSpec("help", "Help", "", lines=_help_lines, key="?", footer_rank=2, min_size=(1, 1)),
    SheetSpec(
        "positions",
        "Dealer positions",
        "NET: dealers' position in coins. P(LONG): share of members that are long.",
        positions,
        key="d",
        footer_rank=6,
        list_name="positions",
    ),
    SheetSpec(
        "coins",
        "All coins",
        "A line each: regime, scenario, dealers' trade at +1% and -1%; and their sum.",
        lines=coin_rows,
        key="C",
        footer_rank=6,
    ),
    SheetSpec(
        "forward",
        "Forward map",
        "USD that dealers must trade from now until an hour ahead at another spot.",
        forward_map_sheet,
        key="F",
        footer_rank=7,
        min_size=(60, 14),
        work=forward_map_work,
    ),
    SheetSpec(
        "settlement",
        "Settlement",
        "LEFT: hedge the settlement lifts. PIN: odds of a delivery near the strike.",
        settlement_sheet,
        key="S",
        footer_rank=16,
        min_size=(70, 16),
        work=settlement_work,
    ),
    SheetSpec(
        "vol",
        "Volatility",
        "RR25: 25-delta call less put. FWD: vol between expiries. RESID: off the smile.",
        vol_sheet,
        key="V",
        footer_rank=16,
        min_size=(70, 18),
        work=vol_work,
    ),
    SheetSpec(
        "transitions",
        "Transitions",
        "When the scenario changed and why; shares of volume against their thresholds.",
        lines=transition_rows,
        key="H",
        footer_rank=16,
    ),
    SheetSpec(
        "score",
        "Score",
        "What dfmon said against what followed, since midnight UTC: sign, bands, flow.",
        lines=score_rows,
        key="K",
        footer_rank=17,
    ),
    SheetSpec(
        "feeds",
        "Feeds and health",
        "The health of each connection, and the reason for each missing number.",
        lines=feed_rows,
        key="f",
        footer_rank=10,
    ),
    SheetSpec(
        "what-if",
        "What if",
        "Market and assumptions changed; what is published stays as it is.",
        what_if_sheet,
        key="u",
        footer_rank=7,
        min_size=(70, 18),
        work=what_if_work,
    ),
    SheetSpec(
        "book",
        "Own book",
        "Your positions beside the dealers', and what a move does; never leaves here.",
        own_book_sheet,
        key="B",
        footer_rank=16,
        min_size=(70, 20),
        work=own_book_work,
    ),
    SheetSpec(
        "explain",
        "Explanation",
        "One number or word: formula, inputs with ages, contributors, conventions.",
        lines=explanation_rows,
        work=explain_work,
    ),
    SheetSpec("detail", "Detail of the cell", "", detail, replaces="tape"),
)

SPECS_BY_NAME: Final = {spec.name: spec for spec in (*PANELS, *SHEETS)}

ACTIONS: Final[tuple[Action, ...]] = (
    *(spec.action for spec in SHEETS if spec.key),
    *SCREEN_ACTIONS,
    *(focus_action(number, spec.title) for number, spec in enumerate(PANELS, start=1)),
    *CONTEXT_ACTIONS,
)
ACTIONS_BY_ID: Final = {action.id: action for action in ACTIONS}


@lru_cache(maxsize=4)
def key_map(changes: KeyChanges) -> KeyMap:
    """The keys in force. Raises UsageError for an unknown action or key, and for a conflict."""
    return bind(ACTIONS, changes)


def keymap_of(view: View) -> KeyMap:
    return key_map(view.keys)


def covers_panels(sheet: str) -> bool:
    """True for a sheet that takes the place of all panels."""
    return sheet in SPECS_BY_NAME and not SPECS_BY_NAME[sheet].replaces


def front_sheet(view: View) -> SheetSpec:
    """The sheet over the panels, else the panel in focus."""
    return SPECS_BY_NAME[view.sheet if covers_panels(view.sheet) else view.panel]


def filtered_list(view: View) -> ListName:
    """The list that a filter means: that of the sheet in front, else the tape."""
    return front_sheet(view).list_name or "tape"


def open_explanation(name: str, view: View) -> None:
    """Writes a number or word out; closing it returns to the sheet that it was opened over."""
    if view.sheet != "explain":
        view.sheet_under_help = view.sheet if covers_panels(view.sheet) else ""
    view.explained, view.sheet, view.scroll = name, "explain", 0

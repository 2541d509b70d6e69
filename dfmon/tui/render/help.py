"""The help sheet: every key of the action table, and how to read the screen."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from dfmon.tui.actions import ACTIONS, GROUPS
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import bordered_panel, inner_size, scroll_window
from dfmon.tui.render.formatting import Row, Run, fit
from dfmon.tui.render.frame import Frame

_LEGEND: Final = (
    "▲ ▼ ■  rising, falling, flat   ● ◐ ○  good, slow, down   K block   + c combo",
    "~ stale   ! incomplete, or a block   · too small   n/a not known   [ ] cursor",
)
_PANEL_HELP: Final = {
    "chart": "Spot against the flip: the price where dealers' net gamma turns.",
    "heatmap": "NGI: USD of delta dealers gain per +1%. Positive: they sell a rise; negative: buy it.",
    "gauges": "HPP: hedge pressure. Positive: dealers must sell. psi: NGI over market depth.",
    "tape": "Side is the taker's. GAMMA: change of the dealers' NGI, taker a customer.",
    "profile": "Net gamma if spot were elsewhere. Left of 0 dealers amplify, right of 0 they damp.",
    "positions": "NET: coins dealers hold, + long. P(LONG): in how many members of the ensemble they are.",
    "feeds": "Can the screen be believed: what each connection delivers, and why a number is missing.",
    "alerts": "SCENE: the scenario changed. FLIP: spot crossed the flip. FEED: data lost or back.",
}


def help_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """Keys and legend; what does not fit is scrolled to."""
    width, height = inner_size(rect)
    visible, position_text = scroll_window(help_rows(frame, width), height, frame.view.scroll)
    return bordered_panel(rect, [("HELP", "title"), (f"  esc closes{position_text}", "dim")], visible, focus=False)


def help_rows(frame: Frame, width: int) -> list[Row]:
    """How to read the panel in focus and its glyphs, then two columns of keys from the table."""
    half = width // 2
    panel_help = _PANEL_HELP[frame.view.sheet_under_help or frame.view.panel]
    body: list[Row] = [fit(((f" {text}", "text"),), width) for text in (panel_help, *_LEGEND)]
    split = min(range(1, len(GROUPS)), key=lambda i: max(len(_key_rows(GROUPS[:i])), len(_key_rows(GROUPS[i:]))))
    pairs = zip_longest(_key_rows(GROUPS[:split]), _key_rows(GROUPS[split:]))
    return [
        *body,
        *((*fit(left_row or (), half), *fit(right_row or (), width - half)) for left_row, right_row in pairs),
    ]


def _key_rows(groups: tuple[str, ...]) -> list[list[Run]]:
    """The actions of some groups, one to a line."""
    out: list[list[Run]] = []
    for group in groups:
        out.append([(f" {group}", "head")])
        out += [[(f" {a.key_label:<8}", "key"), (a.help, "text")] for a in ACTIONS if a.group == group and a.help]
    return out

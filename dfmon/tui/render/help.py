"""The help sheet: every key of the action table, and how to read the screen."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final

from dfmon.tui.actions import ACTIONS, GROUPS
from dfmon.tui.layout import Rect
from dfmon.tui.render.box import framed, inner, scrolled
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.text import Row, Run, fit

_READ: Final = (
    "▲ ▼ ■  rising, falling, flat   ● ◐ ○  good, slow, down   K block   + c combo",
    "~ stale   ! incomplete, or a block   · too small   n/a not known   [ ] cursor",
)
_MEANING: Final = {
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
    width, height = inner(rect)
    shown, place = scrolled(help_rows(frame, width), height, frame.view.scroll)
    return framed(rect, [("HELP", "title"), (f"  esc closes{place}", "dim")], shown, focus=False)


def help_rows(frame: Frame, width: int) -> list[Row]:
    """How to read the panel in focus and its glyphs, then two columns of keys from the table."""
    half = width // 2
    meaning = _MEANING[frame.view.below or frame.view.panel]
    body: list[Row] = [fit(((f" {text}", "text"),), width) for text in (meaning, *_READ)]
    at = min(range(1, len(GROUPS)), key=lambda i: max(len(_column(GROUPS[:i])), len(_column(GROUPS[i:]))))
    pairs = zip_longest(_column(GROUPS[:at]), _column(GROUPS[at:]))
    return [*body, *((*fit(one or (), half), *fit(other or (), width - half)) for one, other in pairs)]


def _column(groups: tuple[str, ...]) -> list[list[Run]]:
    """The actions of some groups, one to a line."""
    out: list[list[Run]] = []
    for group in groups:
        out.append([(f" {group}", "head")])
        out += [[(f" {a.shown:<8}", "key"), (a.help, "text")] for a in ACTIONS if a.group == group and a.help]
    return out

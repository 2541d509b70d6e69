"""The help sheet: every key of the action table, and how to read the screen. Fits 80 x 24."""

from __future__ import annotations

from typing import Final

from dfmon.tui.actions import ACTIONS, GROUPS
from dfmon.tui.plan import Rect
from dfmon.tui.present.box import framed, inner
from dfmon.tui.present.frame import Frame
from dfmon.tui.present.text import Row, Run, fit

_READ: Final = (
    ("▲ ▼ ■  rising, falling, flat   ● ◐ ○  good, slow, down", "text"),
    ("~ stale   ! incomplete, or a block   · too small   n/a not known   [ ] cursor", "text"),
)
_MEANING: Final = {
    "chart": "Spot against the flip: the price where dealers' net gamma turns.",
    "heatmap": "NGI: USD of delta dealers gain per +1%. Positive: they sell a rise; negative: buy it.",
    "gauges": "HPP: hedge pressure. Positive: dealers must sell. psi: NGI over market depth.",
    "tape": "Side is the taker's. GAMMA: change of the dealers' NGI, taker a customer.",
    "profile": "Net gamma if spot were elsewhere. Left of 0 dealers amplify, right of 0 they damp.",
    "alerts": "SCENE: the scenario changed. FLIP: spot crossed the flip. FEED: data lost or back.",
}


def help_sheet(frame: Frame, rect: Rect) -> list[Row]:
    """Two columns of keys from the table, then the legend."""
    width, _ = inner(rect)
    half = width // 2
    left, right = _column(GROUPS[:1]), _column(GROUPS[1:])
    tall = max(len(left), len(right))
    left += [[]] * (tall - len(left))
    right += [[]] * (tall - len(right))
    body: list[Row] = [(*fit(one, half), *fit(other, width - half)) for one, other in zip(left, right, strict=True)]
    body += [fit(((f" {text}", style),), width) for text, style in _READ]
    body.append(fit(((f" {_MEANING[frame.view.panel]}", "text"),), width))
    return framed(rect, [("HELP", "title"), ("  esc closes", "dim")], body, focus=False)


def _column(groups: tuple[str, ...]) -> list[list[Run]]:
    """The actions of some groups, one to a line."""
    out: list[list[Run]] = []
    for group in groups:
        out.append([(f" {group}", "head")])
        out += [[(f" {a.shown:<8}", "key"), (a.help, "text")] for a in ACTIONS if a.group == group and a.help]
    return out

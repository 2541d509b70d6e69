"""Where each panel goes, for any size of terminal: one pure function, so that every size can be tested.

Below 80 x 24 only the essentials are shown. Up to 120 x 36 panels are divided by rules, so no cell is lost to
borders; above that they are boxes. Spare columns go to chart and expiries, spare rows to strikes; text never stretches.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Edge = Literal["none", "rule", "divided", "box"]

MIN_WIDTH: Final = 80
MIN_HEIGHT: Final = 24
CELL: Final = 8  # a heat-map column inside a box; strike and SUM columns are as wide

SHEETS: Final = ("help", "feeds", "positions")  # these take the place of all panels


class Rect(NamedTuple):
    """Place and kind of border. A "divided" panel ends in the line that parts it from its right neighbour."""

    x: int
    y: int
    width: int
    height: int
    edge: Edge = "none"


Plan = dict[str, Rect]


def plan(width: int, height: int, *, panel: str, zoom: bool, sheet: str, expiries: int = 8) -> Plan:
    """Rectangles by panel name; together they tile the screen."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _tiny(width, height, sheet)
    out: Plan = {
        "strip": Rect(0, 0, width, 1),
        "banner": Rect(0, 1, width, 1),
        "state": Rect(0, height - 2, width, 1),
        "keys": Rect(0, height - 1, width, 1),
    }
    if sheet in SHEETS:
        out[sheet] = Rect(0, 2, width, height - 4, "rule")
    elif zoom:
        _zoomed(out, width, height, panel, sheet)
    elif width < 120 or height < 36:
        _ruled(out, width, height, panel, sheet)
    else:
        _boxed(out, width, height, sheet, expiries)
    return out


def _tiny(width: int, height: int, sheet: str) -> Plan:
    """The essentials, or as much of a sheet as there is room for."""
    if sheet in {"feeds", "positions"} and width >= 40 and height >= 10:
        return {
            "strip": Rect(0, 0, width, 1),
            sheet: Rect(0, 1, width, height - 2, "rule"),
            "keys": Rect(0, height - 1, width, 1),
        }
    return {"help" if sheet == "help" else "small": Rect(0, 0, max(1, width), max(1, height))}


def _zoomed(out: Plan, width: int, height: int, panel: str, sheet: str) -> None:
    inside = height - 4
    if sheet == "detail" and panel == "heatmap":
        out["heatmap"] = Rect(0, 2, width - 30, inside, "divided")
        out["detail"] = Rect(width - 30, 2, 30, inside, "rule")
    else:
        out[panel] = Rect(0, 2, width, inside, "rule")


def _ruled(out: Plan, width: int, height: int, panel: str, sheet: str) -> None:
    top = 8 + (height - MIN_HEIGHT) // 3
    middle = height - top - 5
    side = 30
    out["chart"] = Rect(0, 2, width - side, top, "divided")
    out["gauges"] = Rect(width - side, 2, side, top, "rule")
    out["profile" if panel == "profile" else "heatmap"] = Rect(0, 2 + top, width - side, middle, "divided")
    out["detail" if sheet == "detail" else "tape"] = Rect(width - side, 2 + top, side, middle, "rule")
    out["alerts"] = Rect(0, 2 + top + middle, width, 1, "rule")


def _boxed(out: Plan, width: int, height: int, sheet: str, expiries: int) -> None:
    top, alerts = (20, 6) if height >= 56 else (16, 3) if height >= 48 else (14, 3)
    middle = height - top - alerts - 4
    gauges = 60 if width >= 160 else 46
    profile, tape = (34, 52 if width >= 190 else 44) if width >= 160 else (22, 32)
    heat = min(width - profile - tape, 2 + CELL * (max(expiries, 4) + 2)) if width >= 160 else width - profile - tape
    profile = width - heat - tape
    out["chart"] = Rect(0, 2, width - gauges, top, "box")
    out["gauges"] = Rect(width - gauges, 2, gauges, top, "box")
    out["heatmap"] = Rect(0, 2 + top, heat, middle, "box")
    out["profile"] = Rect(heat, 2 + top, profile, middle, "box")
    out["detail" if sheet == "detail" else "tape"] = Rect(heat + profile, 2 + top, tape, middle, "box")
    out["alerts"] = Rect(0, 2 + top + middle, width, alerts, "rule")

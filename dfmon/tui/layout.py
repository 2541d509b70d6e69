"""The place of each panel in a terminal of any size, as one pure function.

Below 80 x 24 only the essentials are shown, from 120 x 36 on the profile beside the heat-map. Spare
columns go to chart and expiries, spare rows to strikes; text never stretches.
"""

from __future__ import annotations

from typing import Final

from dfmon.tui.render.box import Rect
from dfmon.tui.render.heatmap import CELL_WIDTH
from dfmon.tui.sheets import SPECS_BY_NAME, covers_panels

MIN_WIDTH: Final = 80
MIN_HEIGHT: Final = 24
MIN_FRAMED_SIZE: Final = (40, 10)  # from here on a sheet has headline and footer around it

Layout = dict[str, Rect]


def layout(width: int, height: int, *, panel: str, zoom: bool, sheet: str, expiries: int = 8) -> Layout:
    """Rectangles by panel name; together they tile the screen."""
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return _small_layout(width, height, sheet)
    out: Layout = {
        "headline": Rect(0, 0, width, 1),
        "context": Rect(0, 1, width, 1),
        "state": Rect(0, height - 2, width, 1),
        "keys": Rect(0, height - 1, width, 1),
    }
    if covers_panels(sheet):
        out[sheet] = Rect(0, 2, width, height - 4, "rule")
    elif zoom:
        _place_zoomed(out, width, height, panel, sheet)
    elif width < 120 or height < 36:
        _place_narrow(out, width, height, panel, sheet)
    else:
        _place_wide(out, width, height, sheet, expiries)
    return out


def _small_layout(width: int, height: int, sheet: str) -> Layout:
    """The essentials, or a sheet that fits."""
    if not covers_panels(sheet) or not _fits(SPECS_BY_NAME[sheet].min_size, width, height):
        return {"small": Rect(0, 0, max(1, width), max(1, height))}
    if not _fits(MIN_FRAMED_SIZE, width, height):
        return {sheet: Rect(0, 0, max(1, width), max(1, height))}
    return {
        "headline": Rect(0, 0, width, 1),
        sheet: Rect(0, 1, width, height - 2, "rule"),
        "keys": Rect(0, height - 1, width, 1),
    }


def _fits(size: tuple[int, int], width: int, height: int) -> bool:
    return width >= size[0] and height >= size[1]


def _tape_or_inset(sheet: str) -> str:
    """The name of the panel in the tape's place."""
    return sheet if sheet in SPECS_BY_NAME and SPECS_BY_NAME[sheet].replaces == "tape" else "tape"


def _place_zoomed(out: Layout, width: int, height: int, panel: str, sheet: str) -> None:
    inner_height = height - 4
    if (inset := _tape_or_inset(sheet)) != "tape" and panel == "heatmap":
        out["heatmap"] = Rect(0, 2, width - 30, inner_height, "divided")
        out[inset] = Rect(width - 30, 2, 30, inner_height, "rule")
    else:
        out[panel] = Rect(0, 2, width, inner_height, "rule")


def _place_narrow(out: Layout, width: int, height: int, panel: str, sheet: str) -> None:
    top_height = 8 + (height - MIN_HEIGHT) // 3
    middle_height = height - top_height - 5
    side_width = 30
    left_width = width - side_width
    out["chart"] = Rect(0, 2, left_width, top_height, "divided")
    out["gauges"] = Rect(left_width, 2, side_width, top_height, "rule")
    left_panel = "profile" if panel == "profile" else "heatmap"
    out[left_panel] = Rect(0, 2 + top_height, left_width, middle_height, "divided", "┼")
    out[_tape_or_inset(sheet)] = Rect(left_width, 2 + top_height, side_width, middle_height, "rule")
    out["alerts"] = Rect(0, 2 + top_height + middle_height, width, 1, "rule")


def _place_wide(out: Layout, width: int, height: int, sheet: str, expiries: int) -> None:
    top_height, alerts_height = (20, 6) if height >= 56 else (16, 4) if height >= 48 else (14, 3)
    middle_height = height - top_height - alerts_height - 4
    gauges_width = 60 if width >= 160 else 46
    profile_width, tape_width = (34, 52 if width >= 190 else 44) if width >= 160 else (24, 32)
    heatmap_width = (
        min(width - profile_width - tape_width, 3 + CELL_WIDTH * (max(expiries, 4) + 3))
        if width >= 160
        else width - profile_width - tape_width
    )
    profile_width = width - heatmap_width - tape_width
    y = 2 + top_height
    out["chart"] = Rect(0, 2, width - gauges_width, top_height, "divided")
    out["gauges"] = Rect(width - gauges_width, 2, gauges_width, top_height, "rule")
    out["heatmap"] = Rect(0, y, heatmap_width, middle_height, "divided")
    out["profile"] = Rect(heatmap_width, y, profile_width, middle_height, "divided")
    out[_tape_or_inset(sheet)] = Rect(heatmap_width + profile_width, y, tape_width, middle_height, "rule")
    out["alerts"] = Rect(0, y + middle_height, width, alerts_height, "rule")

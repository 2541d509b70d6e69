"""Moves of the cursor on each sheet and panel: steps, pages, ends, counts, and the lines that hold a searched text."""

from __future__ import annotations

from typing import Final

from dfmon.engine.own_book import MOVES
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.tui.layout import layout
from dfmon.tui.render.box import inner_size
from dfmon.tui.render.explanation import EXPLAINABLE
from dfmon.tui.render.formatting import Row
from dfmon.tui.render.forward_map import drawn_map
from dfmon.tui.render.frame import Frame
from dfmon.tui.render.heatmap_grid import HeatmapGrid, current_grid, cursor_of
from dfmon.tui.render.options import cursor_index, filtered_options
from dfmon.tui.render.smile import smile_cursor
from dfmon.tui.render.vol import vol_surface
from dfmon.tui.sheets import LineSource, covers_panels, front_sheet
from dfmon.tui.view import View, cycle
from dfmon.tui.what_if_controls import CONTROLS, step_control

DIGITS: Final = frozenset("0123456789")
MAX_COUNT: Final = 999


def add_digit(view: View, digit: str) -> None:
    """Appends a digit to the count of the next move."""
    view.count = str(min(int(view.count + digit), MAX_COUNT))


def take_count(view: View) -> int:
    """The count typed before the move, 1 without one; it is used up."""
    count, view.count = int(view.count or 1), ""
    return count


def takes_counts(view: View) -> bool:
    """True where a digit is a count: on a sheet without digits of its own. On the panels it is that of a panel."""
    return covers_panels(view.sheet) and view.sheet != "what-if"


def move_cursor(rows: int, columns: int, view: View, frame: Frame) -> None:
    """Moves the cursor of the heat-map or the options, or scrolls; up is towards higher strikes.

    As many times as the count before it says.
    """
    count = take_count(view)
    rows, columns = rows * count, columns * count
    if view.sheet == "positions":
        _move_option_cursor(view, frame, -rows, columns)
        return
    if view.sheet == "forward":
        _move_map_cursor(view, frame, rows, columns)
        return
    if view.sheet == "book":
        view.book_row = max(0, min(view.book_row + rows, len(MOVES) - 1))
        return
    if view.sheet == "vol":
        _move_through_vol(view, frame, rows, columns)
        return
    if view.sheet == "explain" and columns:
        view.explained, view.scroll = cycle(EXPLAINABLE, view.explained, columns), 0
        return
    if is_profile(view):
        half = view.size[0] // 2
        view.profile_column = max(-half, min(view.profile_column + columns, half))
        return
    if view.sheet == "what-if":
        _move_control(view, frame, rows, columns)
        return
    if scrolled_lines(view) is not None:
        view.scroll = max(0, min(view.scroll - rows, _max_scroll(view, frame)))
        return
    grid = current_grid(frame)
    if grid is None:
        return
    row, column = cursor_of(grid, view)
    if rows:
        _set_cursor_strike(view, grid, row + rows)
    view.cursor_column = max(0, min(column + columns, len(grid.expiries) - 1))


def is_profile(view: View) -> bool:
    """True for the profile on the whole screen."""
    return view.zoom and view.panel == "profile" and not covers_panels(view.sheet)


def _move_map_cursor(view: View, frame: Frame, rows: int, columns: int) -> None:
    if (drawn := drawn_map(frame)) is not None:
        half = len(drawn.moves) // 2
        view.map_row = max(-half, min(view.map_row + rows, half))
        view.map_column = max(0, min(view.map_column + columns, len(drawn.hours) - 1))


def _move_control(view: View, frame: Frame, rows: int, columns: int) -> None:
    if abs(rows) == 1:
        view.what_if_row = (view.what_if_row - rows) % len(CONTROLS)
    elif rows:
        view.what_if_row = max(0, min(view.what_if_row - rows, len(CONTROLS) - 1))
    if columns:
        step_control(view, frame, columns)


def _move_through_vol(view: View, frame: Frame, rows: int, columns: int) -> None:
    """Up and down through the expiries, or the strikes of a smile, in which left and right change the expiry."""
    surface = vol_surface(frame)
    if not surface:
        return
    if view.smile and rows:
        row = surface[view.expiry_row % len(surface)]
        at = smile_cursor(frame, row)
        view.smile_row += max(0, min(at + rows, len(row.strikes) - 1)) - at
    else:
        view.expiry_row = max(0, min(view.expiry_row + (columns or -rows), len(surface) - 1))
        view.smile_row = 0


def _move_option_cursor(view: View, frame: Frame, rows: int, columns: int) -> None:
    """Moves through the options; left and right change the expiry, as do up and down in the table of expiries."""
    if columns or view.table == "expiries":
        step_expiry_filter(columns or rows, view, frame)
        return
    rows_listed = filtered_options(frame)
    if rows_listed:
        view.selected_option = rows_listed[
            max(0, min(cursor_index(rows_listed, view) + rows, len(rows_listed) - 1))
        ].name


def step_expiry_filter(step: int, view: View, frame: Frame) -> None:
    """Shows one expiry, then the next, then all."""
    labels = ("", *(row.label for row in frame.snapshot.by_expiry)) if frame.snapshot else ("",)
    view.expiry_filter = cycle(labels, view.expiry_filter, step)
    view.selected_option = ""


def place_cursor(row: int, column: int, view: View) -> None:
    """Puts the cursor of a sheet at a place as the view counts it; it is drawn within the bounds of the sheet."""
    match view.sheet:
        case "forward":
            view.map_row, view.map_column = row, max(0, column)
        case "what-if":
            view.what_if_row = max(0, min(row, len(CONTROLS) - 1))
        case "vol" if view.smile:
            view.smile_row = row
        case "vol":
            view.expiry_row = max(0, row)
        case _:
            view.scroll = max(0, row)


def move_page(share: float, view: View, frame: Frame) -> None:
    """Moves by a share of the rows in view, up for a positive one."""
    rows = max(1, round(abs(share) * _visible_size(view)[1]))
    move_cursor(rows if share > 0 else -rows, 0, view, frame)


def move_to_first(view: View, frame: Frame) -> None:
    view.cursor_strike, view.scroll, view.selected_option = None, 0, ""
    view.map_row = view.expiry_row = view.smile_row = view.profile_column = 0


def move_to_last(view: View, frame: Frame) -> None:
    if view.sheet == "positions":
        _move_option_cursor(view, frame, len(filtered_options(frame)), 0)
    elif scrolled_lines(view) is not None:
        view.scroll = _max_scroll(view, frame)
    elif grid := current_grid(frame):
        _set_cursor_strike(view, grid, 0)


def _set_cursor_strike(view: View, grid: HeatmapGrid, row: int) -> None:
    view.cursor_strike = grid.strikes[max(0, min(row, len(grid.strikes) - 1))]


def scrolled_lines(view: View) -> LineSource | None:
    """The lines that up and down move through; None where they move a cursor."""
    return front_sheet(view).lines if covers_panels(view.sheet) or view.zoom else None


def _visible_size(view: View) -> tuple[int, int]:
    """Columns and rows inside the sheet or panel in front."""
    rects, name = layout(*view.size, panel=view.panel, zoom=view.zoom, sheet=view.sheet), front_sheet(view).name
    return inner_size(rects[name]) if name in rects else view.size


def _max_scroll(view: View, frame: Frame) -> int:
    """The scroll at which the last line is visible."""
    lines, (width, height) = scrolled_lines(view), _visible_size(view)
    return max(0, len(lines(frame, width)) - height) if lines is not None else 0


def is_searched(view: View) -> bool:
    """True for lines that `/` searches; the list of a panel or sheet that has one is filtered."""
    return scrolled_lines(view) is not None and front_sheet(view).list_name is None


def search(view: View, frame: Frame, text: str) -> None:
    """Shows the first line with the text, from the top of the visible ones on; no text ends the search.

    Raises UsageError where no line has it.
    """
    text = text.strip().casefold()
    if text and not _matches(view, frame, text):
        raise UsageError(f'no line has "{sanitize(text, 40)}"')
    view.search, view.found_line = text, view.scroll - 1
    if text:
        step_match(1, view, frame)


def step_match(step: int, view: View, frame: Frame) -> None:
    """Shows the next or previous line with the text searched for, round the ends."""
    matches = _matches(view, frame, view.search)
    if not matches:
        view.show_notice(f'no line has "{view.search}"', frame.now_ns)
        return
    beyond = [i for i in matches if (i > view.found_line if step > 0 else i < view.found_line)]
    view.found_line = (beyond or matches)[0 if step > 0 else -1]
    height = _visible_size(view)[1]
    if not view.scroll <= view.found_line < view.scroll + height:
        view.scroll = max(0, min(view.found_line - height // 3, _max_scroll(view, frame)))
    view.show_notice(f'"{view.search}": {matches.index(view.found_line) + 1} of {len(matches)}', frame.now_ns)


def _matches(view: View, frame: Frame, text: str) -> list[int]:
    lines = scrolled_lines(view)
    rows: list[Row] = lines(frame, _visible_size(view)[0]) if lines is not None else []
    return [i for i, row in enumerate(rows) if text in "".join(part for part, _ in row).casefold()]

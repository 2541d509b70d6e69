"""A terminal driver that sends only the cells that changed, and only the part of a style that changed.

Textual repaints full lines of a widget and sets and resets every style in full. `TerminalDiff` sits between it and the
terminal, records the cells on screen and sends the difference. A sequence that it does not parse passes unchanged and
clears the record, so the picture is always the one that Textual drew.
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

from dfmon.tui.first_frame import take_over
from dfmon.tui.terminal import open_output

Cell = tuple[str, str]  # the character, and the codes of its style

_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d*)(?:;(?P<column>\d*))?H"
    r"|\x1b\[(?P<style>[\d;]*)m"
    r"|(?P<line>\r?\n)"
    r"|(?P<mode>\x1b\[[?>=<][\d;]*\$?[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|(?P<other>\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\s\S])"
)
_ENTER_ALT_SCREEN: Final = "\x1b[?1049h"
_EXIT_ALT_SCREEN: Final = "\x1b[?1049l"  # the alternate screen
_MOUSE_ON: Final = "\x1b[?1000h\x1b[?1006h"
_MOUSE_OFF: Final = "\x1b[?1006l\x1b[?1000l"
_STRING_SEQUENCE = re.compile(r"\x1b[PX^_]")  # sequences that hold text which is not drawn
_CLEARING_MODE = re.compile(r"\x1b\[\?(?:3|47|1047|1049)[hl]")  # modes that change the cells on screen
_FULL_REDRAW_FRAMES: Final = 240  # frames between full redraws: another program may have written to the terminal
_MAX_RETYPED_CELLS: Final = 4  # unchanged cells that are as cheap to send again as to skip
_VISIBLE_ON_BLANK: Final = frozenset({"4", "7", "9", "21", "53"})  # underline, reverse, overline and the like


class TerminalDiff:
    """Turns output into shorter output with the same effect."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[int, Cell]] = {}
        self._cursor: tuple[int, int] | None = None  # where the terminal's cursor is, None where not known
        self._parked_cursor: tuple[int, int] | None = None  # its place after the last frame
        self._terminal_style: str | None = None
        self._target_x = self._target_y = 0
        self._target_style = ""
        self._cursor_unknown = False
        self._frame_count = 0

    def invalidate(self) -> None:
        """Forgets the cells on screen: after a resize, or for a full redraw."""
        self._rows.clear()
        self._cursor = self._parked_cursor = self._terminal_style = None

    def __call__(self, data: str) -> str:
        """The output that makes the terminal show `data` and leaves the style that `data` leaves."""
        self._frame_count += 1
        if self._frame_count % _FULL_REDRAW_FRAMES == 0:
            self.invalidate()
        if _STRING_SEQUENCE.search(data):
            self.invalidate()
            return data
        out: list[str] = []
        cursor_moved = False
        for token in _TOKEN.finditer(data):
            match token.lastgroup:
                case "text":
                    self._write_text(token["text"], out)
                    cursor_moved = False
                case "style":
                    codes = token["style"]
                    self._target_style = "" if codes in ("", "0") else codes
                case "line":
                    self._target_y += 1
                case "mode":
                    out.append(token[0])
                    if _CLEARING_MODE.fullmatch(token[0]):
                        self.invalidate()
                case "other":
                    out.append(self._switch_style(self._target_style) + token[0])
                    self.invalidate()
                case _:  # a move: `row`, `column`
                    self._target_x, self._target_y = int(token["column"] or 1) - 1, int(token["row"] or 1) - 1
                    cursor_moved, self._cursor_unknown = True, False
        if cursor_moved and (self._target_x, self._target_y) != self._parked_cursor:
            self._parked_cursor = self._target_x, self._target_y
            out.append(self._cursor_to(*self._parked_cursor))
        if out and self._terminal_style != self._target_style:
            out.append(self._switch_style(self._target_style))
        return "".join(out)

    def _write_text(self, text: str, out: list[str]) -> None:
        """Sends the cells of `text` that differ from those on screen."""
        if self._cursor_unknown or (not text.isascii() and any(_has_uncertain_width(char) for char in text)):
            self._pass_through(text, out)
            return
        style, blank_style = self._target_style, _blank_style(self._target_style)
        x, y = self._target_x, self._target_y
        row = self._rows.setdefault(y, {})
        for char in text:
            cell = (char, blank_style if char == " " else style)
            if row.get(x) != cell:
                row[x] = cell
                self._move_cursor(x, y, row, out)
                if self._terminal_style != style and (
                    char != " " or self._terminal_style is None or _blank_style(self._terminal_style) != blank_style
                ):
                    out.append(self._switch_style(style))
                out.append(char)
                self._cursor = x + 1, y
            x += 1
        self._target_x = x

    def _pass_through(self, text: str, out: list[str]) -> None:
        """Sends characters of two cells or none unchanged: until the next move only the terminal knows the cursor."""
        if not self._cursor_unknown:
            out.append(self._cursor_to(self._target_x, self._target_y))
        out += [self._switch_style(self._target_style), text]
        self._rows.pop(self._target_y, None)
        self._cursor_unknown, self._cursor = True, None

    def _move_cursor(self, x: int, y: int, row: dict[int, Cell], out: list[str]) -> None:
        """Moves the cursor to a cell with the fewest bytes."""
        if self._cursor == (x, y):
            return
        if self._cursor is not None and self._cursor[1] == y and (distance := x - self._cursor[0]) > 0:
            skipped_cells = (
                [row.get(i) for i in range(self._cursor[0], x)] if distance <= _MAX_RETYPED_CELLS else [None]
            )
            if all(cell is not None and self._has_active_style(cell) for cell in skipped_cells):
                out += [cell[0] for cell in skipped_cells if cell is not None]
            else:
                out.append(f"\x1b[{distance}C" if distance > 1 else "\x1b[C")
        else:
            out.append(f"\x1b[{y + 1};{x + 1}H")
        self._cursor = x, y

    def _has_active_style(self, cell: Cell) -> bool:
        """True for a cell that can be sent without a change of style."""
        return self._terminal_style is not None and (
            cell[1] == self._terminal_style or (cell[0] == " " and cell[1] == _blank_style(self._terminal_style))
        )

    def _cursor_to(self, x: int, y: int) -> str:
        self._cursor = x, y
        return f"\x1b[{y + 1};{x + 1}H"

    def _switch_style(self, style: str) -> str:
        before, self._terminal_style = self._terminal_style, style
        return style_transition(before, style)


def _has_uncertain_width(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF" or unicodedata.category(char) in (
        "Mn",
        "Me",
        "Cf",
        "Cs",
        "Co",
        "Cn",
    )


@lru_cache(maxsize=1024)
def _parse_style(style: str) -> tuple[frozenset[str], str, str]:
    """Attributes, foreground and background of a string of codes."""
    codes, attributes, colours = style.split(";") if style else [], set[str](), {"3": "", "4": ""}
    i = 0
    while i < len(codes):
        code = codes[i]
        if code in ("38", "48"):
            size = 3 if codes[i + 1 : i + 2] == ["5"] else 5
            colours[code[0]] = ";".join(codes[i : i + size])
            i += size
            continue
        if len(code) == 2 and code[0] in "349":
            colours["4" if code[0] == "4" else "3"] = code
        elif len(code) == 3 and code.startswith("10"):
            colours["4"] = code
        else:
            attributes.add(code)
        i += 1
    return frozenset(attributes), colours["3"], colours["4"]


@lru_cache(maxsize=1024)
def _blank_style(style: str) -> str:
    """The part of a style that is visible on a space."""
    attributes, _, background = _parse_style(style)
    return style if attributes & _VISIBLE_ON_BLANK else f"blank {background}"


@lru_cache(maxsize=4096)
def style_transition(before: str | None, after: str) -> str:
    r"""The shortest sequence from one style to another; None is a style that is not known.

    >>> style_transition("38;5;252;48;5;234", "1;38;5;75;48;5;234")
    '\x1b[1;38;5;75m'
    """
    full_sequence = f"\x1b[0;{after}m" if after else "\x1b[m"
    if before is None or before == after:
        return full_sequence if before is None else ""
    (attributes, foreground, background), (attributes_after, foreground_after, background_after) = (
        _parse_style(before),
        _parse_style(after),
    )
    params: list[str] = []
    removed = attributes - attributes_after
    if removed:
        if not removed <= {"1", "2"}:
            return full_sequence
        params.append("22")
        attributes = attributes - {"1", "2"}
    params += sorted(attributes_after - attributes)
    if foreground != foreground_after:
        params.append(foreground_after or "39")
    if background != background_after:
        params.append(background_after or "49")
    delta_sequence = f"\x1b[{';'.join(params)}m" if params else ""
    return delta_sequence if len(delta_sequence) < len(full_sequence) else full_sequence


class DiffingDriver(LinuxDriver):
    """Textual's driver with a `TerminalDiff` before the terminal."""

    diff: TerminalDiff

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if (output := open_output(unicode=getattr(app, "draws_unicode", True))) is not None:
            self._file = output

    def _get_terminal_size(self) -> tuple[int, int]:
        """Asks the terminal that is drawn on: stdout may be a file."""
        try:
            assert self._file is not None
            size = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError):
            return super()._get_terminal_size()
        return (size.columns or 80, size.lines or 24)

    def start_application_mode(self) -> None:
        """Starts with nothing known of the cells: also after a suspension, in which others wrote."""
        if hasattr(self, "diff"):
            self.diff.invalidate()
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's

    def switch_mouse(self, *, on: bool) -> None:
        """Asks the terminal for clicks and the wheel, or no longer."""
        self._disable_mouse_support()
        self._mouse = on
        self._enable_mouse_support()

    def _enable_mouse_support(self) -> None:
        """Asks for clicks and the wheel alone: with every motion of the mouse a slow line would be busy with it."""
        if self._mouse:
            self.write(_MOUSE_ON)
            self.flush()

    def _disable_mouse_support(self) -> None:
        if self._mouse:
            self.write(_MOUSE_OFF)
            self.flush()

    def write(self, data: str) -> None:
        """Writes what differs. The screen is left blank: tmux hands rows of one that has grown on to the shell."""
        if not hasattr(self, "diff"):  # the first write comes from the base class's start
            self.diff = TerminalDiff()
        if _ENTER_ALT_SCREEN in data and take_over():
            data = data.replace(
                _ENTER_ALT_SCREEN, ""
            )  # it is on, with the first frame, which stays until the first paint
        data = data.replace(_EXIT_ALT_SCREEN, f"\x1b[m\x1b[2J{_EXIT_ALT_SCREEN}")
        if text := self.diff(data):
            super().write(text)

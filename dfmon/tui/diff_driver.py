"""Fewer bytes to the terminal: only cells that changed, and only the part of a style that changed.

Textual repaints whole lines of a widget and sets and resets every style in full. `Thrift` sits between it and the
terminal, remembers what stands on the screen, and sends the difference. What it does not understand goes through as it
is, and nothing is then taken for known, so the picture is always the one that was asked for.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from textual.drivers.linux_driver import LinuxDriver

Cell = tuple[str, str]  # the character, and the codes of its style

_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d*)(?:;(?P<column>\d*))?H"
    r"|\x1b\[(?P<style>[\d;]*)m"
    r"|(?P<line>\r?\n)"
    r"|(?P<mode>\x1b\[[?>=<][\d;]*\$?[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|(?P<other>\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\s\S])"
)
_LEAVE: Final = "\x1b[?1049l"  # the alternate screen
_STRING = re.compile(r"\x1b[PX^_]")  # sequences that hold text which is not drawn
_CLEARS = re.compile(r"\x1b\[\?(?:3|47|1047|1049)[hl]")  # modes that change what stands on the screen
_HEAL: Final = 240  # frames after which everything is sent again: another program may have written to the terminal
_RETYPE: Final = 4  # cells that are as cheap to send again as to jump over
_SHOWN_ON_BLANK: Final = frozenset({"4", "7", "9", "21", "53"})  # underline, reverse and their like


class Thrift:
    """Turns what is to be written into less that has the same effect."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[int, Cell]] = {}
        self._at: tuple[int, int] | None = None  # where the terminal's cursor is, None where not known
        self._rest: tuple[int, int] | None = None  # where it was asked to rest after the last frame
        self._pen: str | None = None
        self._asked_x = self._asked_y = 0
        self._asked_pen = ""
        self._lost = False
        self._frames = 0

    def forget(self) -> None:
        """Take nothing on the terminal for known: after a resize, or when somebody asks for a clean screen."""
        self._rows.clear()
        self._at = self._rest = self._pen = None

    def __call__(self, data: str) -> str:
        """What to send so that the terminal shows `data`. The style is left as `data` leaves it."""
        self._frames += 1
        if self._frames % _HEAL == 0:
            self.forget()
        if _STRING.search(data):
            self.forget()
            return data
        out: list[str] = []
        moved = False
        for token in _TOKEN.finditer(data):
            match token.lastgroup:
                case "text":
                    self._text(token["text"], out)
                    moved = False
                case "style":
                    codes = token["style"]
                    self._asked_pen = "" if codes in ("", "0") else codes
                case "line":
                    self._asked_y += 1
                case "mode":
                    out.append(token[0])
                    if _CLEARS.fullmatch(token[0]):
                        self.forget()
                case "other":
                    out.append(self._turned(self._asked_pen) + token[0])
                    self.forget()
                case _:  # a move: `row`, `column`
                    self._asked_x, self._asked_y = int(token["column"] or 1) - 1, int(token["row"] or 1) - 1
                    moved, self._lost = True, False
        if moved and (self._asked_x, self._asked_y) != self._rest:
            self._rest = self._asked_x, self._asked_y
            out.append(self._jump(*self._rest))
        if out and self._pen != self._asked_pen:
            out.append(self._turned(self._asked_pen))
        return "".join(out)

    def _text(self, text: str, out: list[str]) -> None:
        """Send the cells of `text` that differ from what stands there."""
        if self._lost or (not text.isascii() and any(_wide(char) for char in text)):
            self._verbatim(text, out)
            return
        pen, blank = self._asked_pen, _blank(self._asked_pen)
        x, y = self._asked_x, self._asked_y
        row = self._rows.setdefault(y, {})
        for char in text:
            cell = (char, blank if char == " " else pen)
            if row.get(x) != cell:
                row[x] = cell
                self._go(x, y, row, out)
                if self._pen != pen and (char != " " or self._pen is None or _blank(self._pen) != blank):
                    out.append(self._turned(pen))
                out.append(char)
                self._at = x + 1, y
            x += 1
        self._asked_x = x

    def _verbatim(self, text: str, out: list[str]) -> None:
        """Characters that may take two cells, or none: until the next move only the terminal knows where it is."""
        if not self._lost:
            out.append(self._jump(self._asked_x, self._asked_y))
        out += [self._turned(self._asked_pen), text]
        self._rows.pop(self._asked_y, None)
        self._lost, self._at = True, None

    def _go(self, x: int, y: int, row: dict[int, Cell], out: list[str]) -> None:
        """The cursor to a cell, the cheapest way."""
        if self._at == (x, y):
            return
        if self._at is not None and self._at[1] == y and (gap := x - self._at[0]) > 0:
            between = [row.get(i) for i in range(self._at[0], x)] if gap <= _RETYPE else [None]
            if all(cell is not None and self._suits(cell) for cell in between):
                out += [cell[0] for cell in between if cell is not None]
            else:
                out.append(f"\x1b[{gap}C" if gap > 1 else "\x1b[C")
        else:
            out.append(f"\x1b[{y + 1};{x + 1}H")
        self._at = x, y

    def _suits(self, cell: Cell) -> bool:
        """Whether a cell can be sent with the style in force."""
        return self._pen is not None and (cell[1] == self._pen or (cell[0] == " " and cell[1] == _blank(self._pen)))

    def _jump(self, x: int, y: int) -> str:
        self._at = x, y
        return f"\x1b[{y + 1};{x + 1}H"

    def _turned(self, pen: str) -> str:
        before, self._pen = self._pen, pen
        return turn(before, pen)


def _wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF" or unicodedata.category(char) in (
        "Mn",
        "Me",
        "Cf",
        "Cs",
        "Co",
        "Cn",
    )


@lru_cache(maxsize=1024)
def _parts(pen: str) -> tuple[frozenset[str], str, str]:
    """Attributes, foreground and background of a string of codes."""
    codes, marks, colours = pen.split(";") if pen else [], set[str](), {"3": "", "4": ""}
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
            marks.add(code)
        i += 1
    return frozenset(marks), colours["3"], colours["4"]


@lru_cache(maxsize=1024)
def _blank(pen: str) -> str:
    """What of a style can be seen on a blank."""
    marks, _, ground = _parts(pen)
    return pen if marks & _SHOWN_ON_BLANK else f"blank {ground}"


@lru_cache(maxsize=4096)
def turn(before: str | None, after: str) -> str:
    r"""The shortest sequence from one style to another; None is a style that is not known.

    >>> turn("38;5;252;48;5;234", "1;38;5;75;48;5;234")
    '\x1b[1;38;5;75m'
    """
    whole = f"\x1b[0;{after}m" if after else "\x1b[m"
    if before is None or before == after:
        return whole if before is None else ""
    (marks, ink, ground), (marks_after, ink_after, ground_after) = _parts(before), _parts(after)
    parts: list[str] = []
    gone = marks - marks_after
    if gone:
        if not gone <= {"1", "2"}:
            return whole
        parts.append("22")
        marks = marks - {"1", "2"}
    parts += sorted(marks_after - marks)
    if ink != ink_after:
        parts.append(ink_after or "39")
    if ground != ground_after:
        parts.append(ground_after or "49")
    short = f"\x1b[{';'.join(parts)}m" if parts else ""
    return short if len(short) < len(whole) else whole


class ThriftyDriver(LinuxDriver):
    """Textual's driver with a `Thrift` before the terminal."""

    thrift: Thrift

    def write(self, data: str) -> None:
        """Write what differs. The screen is left blank: tmux hands rows of one that has grown on to the shell."""
        if not hasattr(self, "thrift"):  # the first write comes from the base class's start
            self.thrift = Thrift()
        data = data.replace(_LEAVE, f"\x1b[m\x1b[2J{_LEAVE}")
        if text := self.thrift(data):
            super().write(text)

"""The line that is typed into. Its sign says what for: `/` a filter, `:` a command, `@` a time of the recording.

Nothing is lost by a mistake: what is wrong stays in the line beside what was typed, and esc leaves all as it was.
"""

from __future__ import annotations

from typing import Final, Literal

from dfmon.engine.hub import Request
from dfmon.tui.commands import Wanted, completed, filter_list, hint, run
from dfmon.tui.render.frame import Frame
from dfmon.tui.seek_parser import ALLOWED, seek
from dfmon.tui.view import View

LONGEST: Final = 120
_HINTS: Final = {
    ("/", "positions"): "28NOV  put  strike>98k  net<-50  long>90%   enter applies, esc leaves",
    ("/", "tape"): "28NOV  put  buy  qty>=10  block   enter applies, esc leaves",
}

Key = Literal["typing", "left", "entered"]


def press(view: View, frame: Frame, key: str, character: str | None) -> Key:
    """Take one key: a character, or enter, esc, tab, backspace, ctrl+u."""
    match key:
        case "enter":
            return "entered"
        case "escape":
            close(view)
            return "left"
        case "backspace" if not view.typed:
            close(view)
            return "left"
        case "backspace":
            view.typed = view.typed[:-1]
        case "ctrl+u":
            view.typed = ""
        case "tab":
            view.typed = completed(frame, view.typed) if view.prompt == ":" else view.typed
        case _ if character is not None and character.isprintable():
            view.typed = (view.typed + character)[:LONGEST]
    view.wrong = ""
    return "typing"


def enter(view: View, frame: Frame) -> Wanted:
    """Do what was typed, or say what it wants from outside. Raises UsageError on what means nothing."""
    match view.prompt:
        case "/":
            return filter_list(view, frame, view.typed)
        case "@":
            return Request("replay.seek", seek(view.typed, frame.clock_ns)) if view.typed.strip() else None
        case _:
            return run(view, frame, view.typed)


def close(view: View) -> None:
    """Away with the line and what was typed."""
    view.prompt = view.typed = view.wrong = ""


def allowed(frame: Frame) -> str:
    """What may be typed, in few words."""
    view = frame.view
    if view.prompt == ":":
        return hint(frame, view.typed)
    return f"{ALLOWED}   UTC" if view.prompt == "@" else _HINTS[view.prompt, view.filtered]

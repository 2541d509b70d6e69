"""The line that is typed into: a sign says what for, `/` for a filter. Nothing is lost by a mistake: what is wrong
stays in the line beside what was typed, and esc leaves everything as it was.
"""

from __future__ import annotations

from typing import Final, Literal

from dfmon.model.errors import UsageError
from dfmon.tui.filters import parse
from dfmon.tui.view import View

LONGEST: Final = 120

Done = Literal["typing", "left", "entered"]


def press(view: View, key: str, character: str | None) -> Done:
    """Take one key: a character, or enter, esc, backspace, ctrl+u."""
    match key:
        case "escape":
            view.prompt = view.typed = view.wrong = ""
            return "left"
        case "enter":
            return "entered"
        case "backspace":
            if not view.typed:
                view.prompt = view.wrong = ""
                return "left"
            view.typed, view.wrong = view.typed[:-1], ""
        case "ctrl+u":
            view.typed, view.wrong = "", ""
        case _:
            if character is not None and character.isprintable():
                view.typed, view.wrong = (view.typed + character)[:LONGEST], ""
    return "typing"


def filtered(view: View) -> None:
    """Apply the filter that was typed to the list in sight. Raises UsageError on what it does not understand."""
    view.filters[view.filtered] = parse(view.typed, view.filtered)
    view.option, view.scroll = "", 0


def close(view: View) -> None:
    view.prompt = view.typed = view.wrong = ""


def tell(view: View, error: UsageError) -> None:
    view.wrong = str(error)

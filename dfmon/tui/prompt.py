"""The input line. Its sign is the kind of input: `/` a filter, `:` a command, `@` a time of the recording.

An error is shown beside the text, which stays; esc closes the line and changes nothing.
"""

from __future__ import annotations

from typing import Final, Literal

from dfmon.engine.hub import Request
from dfmon.tui.commands import CommandResult, apply_filter, command_hint, complete_command, run_command
from dfmon.tui.render.frame import Frame
from dfmon.tui.seek_parser import TIME_EXAMPLES, parse_seek
from dfmon.tui.sheets import filtered_list
from dfmon.tui.view import View

MAX_PROMPT_LENGTH: Final = 120
_FILTER_HINTS: Final = {
    ("/", "positions"): "28NOV  put  strike>98k  net<-50  long>90%   enter applies, esc cancels",
    ("/", "tape"): "28NOV  put  buy  qty>=10  block   enter applies, esc cancels",
}

KeyOutcome = Literal["typing", "cancelled", "entered"]


def handle_key(view: View, frame: Frame, key: str, character: str | None) -> KeyOutcome:
    """Handles one key: a character, or enter, esc, tab, backspace, ctrl+u."""
    match key:
        case "enter":
            return "entered"
        case "escape":
            close_prompt(view)
            return "cancelled"
        case "backspace" if not view.prompt_text:
            close_prompt(view)
            return "cancelled"
        case "backspace":
            view.prompt_text = view.prompt_text[:-1]
        case "ctrl+u":
            view.prompt_text = ""
        case "tab":
            view.prompt_text = complete_command(frame, view.prompt_text) if view.prompt == ":" else view.prompt_text
        case _ if character is not None and character.isprintable():
            view.prompt_text = (view.prompt_text + character)[:MAX_PROMPT_LENGTH]
    view.prompt_error = ""
    return "typing"


def paste(view: View, text: str) -> None:
    """Appends pasted text. Line ends become spaces, since enter would apply what nobody has read."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    view.prompt_text = (view.prompt_text + " ".join(printable.split()))[:MAX_PROMPT_LENGTH]
    view.prompt_error = ""


def evaluate(view: View, frame: Frame) -> CommandResult:
    """Applies the text, or returns the request or action it stands for. Raises UsageError with the mistake."""
    match view.prompt:
        case "/":
            return apply_filter(view, frame, view.prompt_text)
        case "@":
            return (
                Request("replay.seek", parse_seek(view.prompt_text, frame.clock_ns))
                if view.prompt_text.strip()
                else None
            )
        case _:
            return run_command(view, frame, view.prompt_text)


def close_prompt(view: View) -> None:
    """Closes the line and drops its text."""
    view.prompt = view.prompt_text = view.prompt_error = ""


def prompt_hint(frame: Frame) -> str:
    """A short hint about the input that the open line takes."""
    view = frame.view
    if view.prompt == ":":
        return command_hint(frame, view.prompt_text)
    return f"{TIME_EXAMPLES}   UTC" if view.prompt == "@" else _FILTER_HINTS[view.prompt, filtered_list(view)]

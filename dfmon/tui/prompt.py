"""The input line. Its sign is the kind of input: `/` a filter, `:` a command, `@` a time of the recording.

An error is shown beside the text, which stays; esc closes the line and changes nothing.
"""

from __future__ import annotations

from typing import Final, Literal

from dfmon.engine.hub import Request
from dfmon.tui.commands import CommandResult, apply_filter, command_hint, completions, run_command
from dfmon.tui.cursor import is_searched, search
from dfmon.tui.render.frame import Frame
from dfmon.tui.seek_parser import TIME_EXAMPLES, parse_seek
from dfmon.tui.sheets import filtered_list
from dfmon.tui.view import View, cycle

MAX_PROMPT_LENGTH: Final = 120
MAX_HISTORY: Final = 50  # texts of each kind of input
_SEARCH_HINT: Final = "text of a line   enter shows the first, esc cancels"
_FILTER_HINTS: Final = {
    ("/", "positions"): "28NOV  put  strike>98k  net<-50  long>90%   enter applies, esc cancels",
    ("/", "tape"): "28NOV  put  buy  qty>=10  block   enter applies, esc cancels",
}

KeyOutcome = Literal["typing", "cancelled", "entered"]


def handle_key(view: View, frame: Frame, key: str, character: str | None) -> KeyOutcome:
    """Handles one key: a character, or enter, esc, tab, backspace, ctrl+u, up, down."""
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
        case "tab" | "shift+tab":
            _complete(view, frame, 1 if key == "tab" else -1)
            return "typing"
        case "up" | "down":
            _recall(view, 1 if key == "up" else -1)
        case _ if character is not None and character.isprintable():
            view.prompt_text = (view.prompt_text + character)[:MAX_PROMPT_LENGTH]
    view.prompt_error, view.completions = "", ()
    return "typing"


def _complete(view: View, frame: Frame, step: int) -> None:
    """Puts the next completion of what was typed in its place, round and round."""
    if view.prompt != ":":
        return
    view.completions = view.completions or tuple(completions(frame, view.prompt_text))
    if view.completions:
        view.prompt_text = cycle(view.completions, view.prompt_text, step)
        view.completions = view.completions if len(view.completions) > 1 else ()
    view.prompt_error = ""


def _recall(view: View, step: int) -> None:
    """Shows an earlier or later text of this kind of input, after the newest an empty line."""
    earlier = view.history.get(view.prompt, [])
    view.history_row = max(0, min(view.history_row + step, len(earlier)))
    view.prompt_text = earlier[-view.history_row] if view.history_row else ""


def paste(view: View, text: str) -> None:
    """Appends pasted text. Line ends become spaces, since enter would apply what nobody has read."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    view.prompt_text = (view.prompt_text + " ".join(printable.split()))[:MAX_PROMPT_LENGTH]
    view.prompt_error = ""


def evaluate(view: View, frame: Frame) -> CommandResult:
    """Applies the text, or returns the request or action it stands for. Raises UsageError with the mistake."""
    match view.prompt:
        case "/":
            return (search if is_searched(view) else apply_filter)(view, frame, view.prompt_text)
        case "@":
            return (
                Request("replay.seek", parse_seek(view.prompt_text, frame.clock_ns))
                if view.prompt_text.strip()
                else None
            )
        case _:
            return run_command(view, frame, view.prompt_text)


def keep_text(view: View) -> None:
    """Keeps the text of the line, where it is a new one, for `up`."""
    earlier = view.history.setdefault(view.prompt, [])
    if view.prompt_text.strip() and view.prompt_text not in earlier[-1:]:
        earlier.append(view.prompt_text)
        del earlier[:-MAX_HISTORY]


def close_prompt(view: View) -> None:
    """Closes the line and drops its text."""
    view.prompt = view.prompt_text = view.prompt_error = ""
    view.completions, view.history_row = (), 0


def prompt_hint(frame: Frame) -> str:
    """A short hint about the input that the open line takes."""
    view = frame.view
    if view.prompt == ":":
        return command_hint(frame, view.prompt_text)
    if view.prompt == "@":
        return f"{TIME_EXAMPLES}   UTC"
    return _SEARCH_HINT if is_searched(view) else _FILTER_HINTS[view.prompt, filtered_list(view)]

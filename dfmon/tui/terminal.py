"""Check that the terminal can show the screen. Without Textual: it runs before the screen is loaded."""

from __future__ import annotations

import os
import sys

_ADVICE = "use `dfmon snapshot` for one picture or `dfmon --publish` to run without a screen"


def check_terminal() -> str | None:
    """The reason why no screen can be drawn, or None where it can."""
    for name, stream in (("standard input", sys.__stdin__), ("standard error", sys.__stderr__)):
        try:
            is_tty = stream is not None and os.isatty(stream.fileno())
        except (OSError, ValueError):
            is_tty = False
        if not is_tty:
            return f"no screen: {name} is not a terminal; {_ADVICE}"
    term = os.environ.get("TERM", "")
    if term in {"", "dumb"}:
        return f"no screen: TERM is {term or 'not set'}, which cannot place a cursor; {_ADVICE}"
    return None

"""The terminal of the screen: whether there is one, and how it is written to. Without Textual, which loads later."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

_ADVICE = "use `dfmon snapshot` for one picture or `dfmon --publish` to run without a screen"
_CONTROLLING_TERMINAL: Final = "/dev/tty"


def in_browser() -> bool:
    """True where `dfmon serve` has started this dfmon: its screen is drawn by a page."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def check_terminal() -> str | None:
    """The reason why no screen can be drawn, or None where it can."""
    if in_browser():
        return None
    if not _is_terminal(sys.__stdin__):
        return f"no screen: standard input is not a terminal; {_ADVICE}"
    descriptor = _open_descriptor()
    if descriptor is None:
        return f"no screen: no output is a terminal; {_ADVICE}"
    os.close(descriptor)
    term = os.environ.get("TERM", "")
    if term in {"", "dumb"}:
        return f"no screen: TERM is {term or 'not set'}, which cannot place a cursor; {_ADVICE}"
    return None


def open_output(*, unicode: bool) -> io.TextIOWrapper | None:
    """The terminal to draw on: stderr, stdout, or the controlling terminal; None where there is none.

    Characters that it cannot show become question marks, unless `unicode` says that it shows all.
    """
    descriptor = _open_descriptor()
    if descriptor is None:
        return None
    return os.fdopen(descriptor, "w", encoding="utf-8" if unicode else _encoding(), errors="replace", newline="")


def shows_unicode() -> bool:
    """True in a browser and in a locale of UTF-8, which have the characters of boxes and bars."""
    return in_browser() or codecs.lookup(_encoding()).name == "utf-8"


def shows_true_colour() -> bool:
    """True where the terminal says that it has 24-bit colours."""
    return os.environ.get("COLORTERM", "").lower() in {"truecolor", "24bit"}


def _encoding() -> str:
    """That of the locale. Python itself writes UTF-8 in the locale C, whose terminals may show ASCII alone."""
    if sys.flags.utf8_mode and "PYTHONUTF8" not in os.environ and _is_locale_c(os.environ):
        return "ascii"
    return getattr(sys.__stderr__, "encoding", None) or "utf-8"


def _is_locale_c(environ: Mapping[str, str]) -> bool:
    """True where the locale is named C or POSIX. Of LANG alone: Python sets the other variable to UTF-8 itself."""
    return (environ.get("LC_ALL") or environ.get("LANG")) in ("C", "POSIX")


def _open_descriptor() -> int | None:
    """A descriptor of its own on the terminal that shows our output."""
    for stream in (sys.__stderr__, sys.__stdout__):
        if stream is not None and _is_terminal(stream):
            return os.dup(stream.fileno())
    try:
        return os.open(_CONTROLLING_TERMINAL, os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return None


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and os.isatty(stream.fileno())
    except (OSError, ValueError):
        return False

"""The first frame: painted before the engine and Textual are imported, which takes many times as long as this.

It is of the process: the terminal stays on the alternate screen until the app takes it over, or until the start fails.
Until then signals give the terminal back before they do what they did before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

from dfmon.tui.terminal import check_terminal, open_output, shows_unicode

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE: Final = "\x1b[m\x1b[2J\x1b[?1049l\x1b[?25h"  # blank: tmux hands rows of one that has grown on to the shell

_shown = False


@contextmanager
def first_frame(command: str) -> Iterator[None]:
    """Shows the frame where there is a terminal; at the end leaves it, unless the app took the terminal over."""
    global _shown
    if check_terminal() is not None:
        yield
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in previous.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, _give_back_then(handler))
    _shown = True  # before the first byte: a signal may come with it
    try:
        _write(_ENTER + "".join(f"\x1b[{y};1H{text}" for y, text in _lines(command)))
        yield
    finally:
        leave()
        for number, handler in previous.items():
            signal.signal(number, handler)


def take_over() -> bool:
    """True once: the alternate screen is on already, and is the caller's to leave."""
    global _shown
    was_shown, _shown = _shown, False
    return was_shown


def leave() -> None:
    """Gives the terminal back where the frame is on it."""
    if take_over():
        _write(_LEAVE)


def _lines(command: str) -> list[tuple[int, str]]:
    """Rows from 1 on, as the screen has them before its first snapshot."""
    width, height = _size()
    name, state = f" {command}", "STARTING "
    gap = max(1, width - len(name) - len("  starting") - len(state))
    rule = ("─" if shows_unicode() else "-") * width
    rows = [
        (1, f"\x1b[1m{name}\x1b[m  starting{' ' * gap}{state}"),
        (2, "\x1b[2m no verdict yet\x1b[m"),
        (3, f"\x1b[2m{rule}\x1b[m"),
        (5, "\x1b[2m  loading the engine ...\x1b[m"),
        (height, "\x1b[2m ctrl+c quit\x1b[m"),
    ]
    return [(y, text) for y, text in rows if y <= height and width >= len(f"{name}  starting {state}")]


def _size() -> tuple[int, int]:
    output = open_output(unicode=True)
    if output is None:
        return 80, 24
    with output, suppress(OSError):
        size = os.get_terminal_size(output.fileno())
        return size.columns or 80, size.lines or 24
    return 80, 24


def _write(text: str) -> None:
    output = open_output(unicode=shows_unicode())
    if output is not None:
        with output, suppress(OSError):
            output.write(text)
            output.flush()


def _give_back_then(handler: Any) -> Callable[[int, FrameType | None], None]:
    """A handler that gives the terminal back, then does what `handler` or the default action does."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        leave()
        if callable(handler):
            handler(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return on_signal

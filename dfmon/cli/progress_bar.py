"""Progress on stderr: one line that is rewritten on a terminal, else a line every ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TextIO

_DRAW_INTERVAL_S: Final = 0.2  # between two updates of the bar
_LOG_INTERVAL_S: Final = 10.0  # between two lines if there is no terminal
_BAR_WIDTH: Final = 24


class ProgressBar:
    """The progress of a command; `label` begins its lines in a log."""

    def __init__(self, out: TextIO, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._label, self._clock = out, label, clock
        self._terminal = out.isatty()
        self._next_draw = clock() + (0.0 if self._terminal else _LOG_INTERVAL_S)

    def draw(self, share: float, text: str) -> None:
        """Draws a share from 0 to 1, unless it is too soon after the last time."""
        if self._clock() < self._next_draw:
            return
        self._next_draw = self._clock() + (_DRAW_INTERVAL_S if self._terminal else _LOG_INTERVAL_S)
        if self._terminal:
            filled = int(_BAR_WIDTH * share)
            self._out.write(f"\r[{'#' * filled}{'-' * (_BAR_WIDTH - filled)}] {text[: 76 - _BAR_WIDTH]}\x1b[K")
        else:
            self._out.write(f"{self._label}: {text}\n")
        self._out.flush()

    def clear(self) -> None:
        if self._terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()

"""Exit on signals or on a closed or stuck terminal, with the terminal restored in every case.

Textual restores the terminal on quit and crash, but not on SIGTERM or SIGHUP, and blocks on a terminal that has stopped
reading. Handlers are set with `signal.signal`, because a loop's own handlers do not run while the loop is blocked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from dfmon.tui.terminal import open_output

FORCED_EXIT_DELAY_S: Final = 3.0  # a stuck terminal delays the exit no longer
TERMINAL_CLOSED_CODE: Final = 128 + signal.SIGHUP
# Blanks the alternate screen before leaving it, as the driver does; enters it first, in case it was left already.
_RESET_SEQUENCE: Final = (
    b"\x1b[?1049h\x1b[m\x1b[2J\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[<u\x1b[0m"
)


def is_terminal_open() -> bool:
    """False once the terminal behind standard input is gone."""
    try:
        return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
    except (OSError, ValueError):
        return False


class GracefulExit:
    """Turns a signal into an orderly exit of the app, and into a forced one where that takes too long."""

    def __init__(self, exit_app: Callable[[int], object]) -> None:
        self._exit_app = exit_app
        self._loop: asyncio.AbstractEventLoop | None = None
        self._saved_attributes = _terminal_attributes()

    def attach_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Routes signals through the app's loop from now on."""
        self._loop = loop

    def on_signal(self, signum: int, _frame: FrameType | None) -> None:
        code = 128 + signum
        if self._loop is None:
            raise SystemExit(code)
        self.force_exit_later(code)
        with contextlib.suppress(RuntimeError):  # the loop has just closed: the app is exiting anyway
            self._loop.call_soon_threadsafe(self._exit_app, code)

    def force_exit_later(self, code: int) -> None:
        """Starts the timer that ends the process whatever the app does."""
        timer = threading.Timer(FORCED_EXIT_DELAY_S, self._force_exit, (code,))
        timer.daemon = True
        timer.start()

    def _force_exit(self, code: int) -> None:
        self.restore_terminal()
        os._exit(code)

    def restore_terminal(self) -> None:
        """Restores the attributes, then writes the escape sequences without blocking on the terminal."""
        if self._saved_attributes is None:
            return
        with contextlib.suppress(OSError, ValueError, termios.error):
            fd = sys.__stdin__.fileno()  # type: ignore[union-attr]  # whose attributes were saved
            termios.tcsetattr(fd, termios.TCSANOW, self._saved_attributes)
            output = open_output(unicode=True)
            if output is None:
                return
            os.set_blocking(output.fileno(), False)
            try:
                os.write(output.fileno(), _RESET_SEQUENCE)
            finally:
                os.set_blocking(output.fileno(), True)


def _terminal_attributes() -> list[Any] | None:
    try:
        return termios.tcgetattr(sys.__stdin__.fileno())  # type: ignore[union-attr]  # AttributeError is caught
    except (AttributeError, OSError, ValueError, termios.error):
        return None


@contextlib.contextmanager
def handle_signals(graceful_exit: GracefulExit) -> Iterator[None]:
    """Routes SIGINT, SIGTERM and SIGHUP to `graceful_exit`; restores the previous handlers at the end."""
    previous_handlers = {
        n: signal.signal(n, graceful_exit.on_signal) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for signum, handler in previous_handlers.items():
            signal.signal(signum, handler)

"""The standard streams of a process: open ones, that no file name and no closed reader can make raise."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Opens closed streams on the null device, and has characters that stdout cannot encode written as escapes.

    A descriptor that stays closed would be taken by the next file that is opened, which then gets our output.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest descriptor, this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Sends what stdout still holds to the null device: the interpreter would report the same error again at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)

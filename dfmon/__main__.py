"""`python -m dfmon` and the console script. Sets the number of BLAS threads before numpy is loaded."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT


def main() -> int:
    """Runs the command line and returns its exit code."""
    # Kernels work on small tiles: a second BLAS thread would only take the core that reads the sockets.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # by nohup, or by a shell in the background
    exit_codes: list[int] = []
    if not ignored:
        signal.signal(signal.SIGINT, _exit_at_once)
        atexit.register(_end_process, exit_codes)
    from dfmon.cli.main import run
    from dfmon.cli.standard_streams import prepare_streams

    prepare_streams()
    if not ignored:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        exit_codes.append(run(sys.argv[1:]))
    finally:
        if not ignored:
            signal.signal(signal.SIGINT, _exit_at_once)
    return exit_codes[0]


def _exit_at_once(number: int, _frame: FrameType | None) -> None:
    """Ends the process during imports and at its end, where nothing is open and an exception would be a traceback."""
    os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt, except during an import, which may ignore it or turn it into an error of its own."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os._exit(128 + number)
        frame = frame.f_back
    raise KeyboardInterrupt


def _end_process(exit_codes: list[int]) -> None:
    """Keeps the exit code of the command whatever a late or an earlier interrupt would make of it.

    The interpreter restores the default action of SIGINT, death by the signal, before it ends; it keeps "ignore". It
    also kills itself by SIGINT where an interrupt once broke into the execution of a text, as dataclasses do, although
    it was caught.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if exit_codes == [INTERRUPTED]:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m dfmon` and the console script. Sets the number of BLAS threads before numpy is loaded."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Runs the command line and returns its exit code."""
    # Kernels work on small tiles: a second BLAS thread would only take the core that reads the sockets.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # by nohup, or by a shell in the background
    if not ignored:
        signal.signal(signal.SIGINT, _exit_at_once)
    from dfmon.cli.main import run
    from dfmon.cli.standard_streams import prepare_streams

    prepare_streams()
    if not ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run(sys.argv[1:])
    finally:
        if not ignored:
            signal.signal(signal.SIGINT, _exit_at_once)


def _exit_at_once(number: int, _frame: FrameType | None) -> None:
    """Ends the process during imports and at its end, where nothing is open and an exception would be a traceback."""
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())

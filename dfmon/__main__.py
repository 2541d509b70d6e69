"""`python -m dfmon` and the console script. Sets the number of BLAS threads before numpy is loaded."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Runs the command line and returns its exit code."""
    # Kernels work on small tiles: a second BLAS thread would only take the core that reads the sockets.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from dfmon.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

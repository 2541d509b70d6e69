"""Compiles the kernels beside a running session.

Without a cache of an earlier run the compiler takes seconds, in which it would block everything in its process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from typing import Final

from dfmon.aio import wait_until_set
from dfmon.core.positions.compiled_filter import load_loops
from dfmon.core.pricing.compiled import load_kernels

_POLL_INTERVAL_S: Final = 0.2
_COMPILE_SCRIPT: Final = "from dfmon.runtime.kernel_warmup import load_compiled; raise SystemExit(not load_compiled())"


async def warm_up_kernels(stop: asyncio.Event) -> bool:
    """Compiles the kernels in another process and loads them in a thread of this one. Returns True once they are ready.

    False if the extra `fast` is not installed or does not work here, and if `stop` is set first.
    """
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        compiler = subprocess.Popen(
            [sys.executable, "-c", _COMPILE_SCRIPT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        while compiler.poll() is None and not await wait_until_set(stop, _POLL_INTERVAL_S):
            pass
    finally:
        if compiler.poll() is None:
            compiler.kill()
        compiler.wait()
    return compiler.returncode == 0 and await asyncio.to_thread(load_compiled)


def load_compiled() -> bool:
    """Loads the kernels of pricing and of the position filter; False where they are unavailable."""
    return load_kernels() is not None and load_loops() is not None

"""The compiled kernels, made ready beside a running session.

The compiler takes seconds where it keeps nothing from an earlier run, and would hold up whatever shares its process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from typing import Final

from dfmon.core.pricing.compiled import load

_LOOK_S: Final = 0.2
_MAKE: Final = "from dfmon.core.pricing.compiled import load; raise SystemExit(load() is None)"


async def made_ready(stop: asyncio.Event) -> bool:
    """Whether the kernels can price from now on: made by another process, then loaded in a thread of this one.

    False where the extra `fast` is not installed or does not work here, and when `stop` comes first.
    """
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        maker = subprocess.Popen(
            [sys.executable, "-c", _MAKE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        while maker.poll() is None and not stop.is_set():
            await asyncio.sleep(_LOOK_S)
    finally:
        if maker.poll() is None:
            maker.kill()
        maker.wait()
    return maker.returncode == 0 and await asyncio.to_thread(load) is not None

"""Shells that can continue a stopped process, found from the process groups of its parents."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def stop_wrappers() -> bool:
    """Stops the parents of this process in its process group, as the terminal does; False without a shell to return to.

    Such a shell is in the same session and in a group of its own. Without one nothing could continue the process.
    """
    group, wrappers, pid = os.getpgrp(), [], os.getppid()
    try:
        while pid > 1 and os.getpgid(pid) == group:
            wrappers.append(pid)
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if pid <= 1 or os.getsid(pid) != os.getsid(0):
            return False
        for wrapper in wrappers:
            os.kill(wrapper, signal.SIGTSTP)
    except (OSError, ValueError):
        return False
    return True

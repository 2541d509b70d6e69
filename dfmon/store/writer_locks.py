"""One writer an underlying: of several programs on one history, the first that writes an underlying goes on alone.

A lock is an flock on an empty file beside the history, which the system releases when its program ends, also by a kill.
The database itself cannot be locked this way: SQLite has locks of its own on it.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path


class WriterLocks:
    """The locks of one program. An underlying whose file cannot be opened or locked at all counts as locked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, int | None] = {}  # by underlying; None: locked without a file

    def acquire(self, underlying: str) -> bool:
        """False while another program has the lock."""
        if underlying in self._files:
            return True
        name = ".".join((self._path.name, re.sub(r"[^\w.-]", "_", underlying), "lock"))
        fd = None
        try:
            fd = os.open(self._path.with_name(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            assert fd is not None
            os.close(fd)
            return False
        except OSError:  # a file system without locks, or a folder that is read-only
            pass
        self._files[underlying] = fd
        return True

    def release(self) -> None:
        """Releases them all; safe to call twice."""
        while self._files:
            _, fd = self._files.popitem()
            if fd is not None:
                os.close(fd)

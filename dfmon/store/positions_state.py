"""The file in which a run stores its positions for the next one; it is replaced atomically.

A file that cannot be used is moved aside, not overwritten: as damaged, or as unused where it is of another version,
exchange or priors. Of several runs on one host the first one writes it, the others only read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dfmon.core.positions.book_codec import OtherVersionError
from dfmon.engine.checkpoint import (
    EARLIER_VERSION,
    OtherOriginError,
    PositionsCheckpoint,
    decode_checkpoint,
    encode_checkpoint,
)
from dfmon.model.units import sanitize
from dfmon.store.damage import set_aside

_MAX_BYTES: Final = 256 << 20
_STARTS_OVER: Final = "positions start over"
_REBUILT: Final = "positions are rebuilt from the trade store, as far as it has prints"


class PositionsStateFile:
    """The positions of one exchange. A state with another `exchange` or `rests_on` is refused; `error` has the reason.

    Without `persist` it is never written.
    """

    def __init__(self, path: Path, exchange: str, rests_on: str, *, persist: bool = True) -> None:
        self.exchange, self.rests_on = exchange, rests_on
        self.error: str | None = None
        self._path, self._persist = path, persist
        self._lock: int | None = None

    def lock(self) -> None:
        """Locks the file for writing by this run, until `close`; if another run has it, it is only read."""
        if not self._persist:
            return
        directory = self._path.parent
        with contextlib.suppress(OSError):  # reported by `save`
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                self._persist = False
                self.error = (
                    f"another dfmon writes the positions in {sanitize(str(directory))}; this one only reads them"
                )

    def close(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> PositionsCheckpoint | None:
        """The state of the last run; None if there is none or it cannot be used."""
        try:
            data = _read_regular(self._path)
        except FileNotFoundError:
            return None
        except PermissionError as exc:
            self.error = f"{sanitize(str(self._path))} cannot be read: {(exc.strerror or str(exc)).lower()}"
            return None
        except OSError as exc:
            reason = f"it cannot be read: {(exc.strerror or str(exc)).lower()}"
            self._put_aside(reason, lambda: set_aside(self._path), _STARTS_OVER)
            return None
        try:
            checkpoint, _, _, problems = decode_checkpoint(data)
            self._check_origin(checkpoint)
        except (OtherOriginError, OtherVersionError) as exc:
            sequel = _REBUILT if isinstance(exc, OtherVersionError) else _STARTS_OVER
            self._put_aside(str(exc), lambda: self._path.replace(self._path.with_suffix(".unused")), sequel)
            return None
        except ValueError as exc:
            self._put_aside(str(exc), lambda: set_aside(self._path), _STARTS_OVER)
            return None
        if problems:
            self.error = f"{sanitize(str(self._path))}: {'; '.join(problems)}; it starts over, positions are kept"
        return checkpoint

    def _check_origin(self, checkpoint: PositionsCheckpoint) -> None:
        """Raises OtherOriginError for intact positions that cannot be used here."""
        if checkpoint.exchange != self.exchange:
            raise OtherOriginError(f"positions of {sanitize(checkpoint.exchange)}, not of {sanitize(self.exchange)}")
        if checkpoint.version != EARLIER_VERSION and checkpoint.rests_on != self.rests_on:
            raise OtherOriginError("positions made under other priors")

    def _put_aside(self, reason: str, move: Callable[[], Path], sequel: str) -> None:
        self.error = f"{sanitize(str(self._path))}: {reason}; {sequel}"
        with contextlib.suppress(OSError):
            if self._persist:
                moved_path = move()
                self.error = f"{sanitize(str(self._path))}: {reason}; moved to {moved_path.name}, {sequel}"

    def save(self, checkpoint: PositionsCheckpoint) -> None:
        """Replaces the file, if this run may write it. Never raises: see `error`."""
        if not self._persist:
            return
        temp_path = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temp_path.unlink(missing_ok=True)  # of a run that was killed, or a link of somebody else
            fd = os.open(temp_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(encode_checkpoint(checkpoint))
                file.flush()
                os.fsync(file.fileno())
            temp_path.replace(self._path)
            self.error = None
        except OSError as exc:
            self.error = f"positions are not saved: {sanitize(str(self._path))}: {(exc.strerror or str(exc)).lower()}"


def _read_regular(path: Path) -> bytes:
    """The bytes of a regular file of bounded size: a device or a pipe would never end. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        if found.st_size > _MAX_BYTES:
            raise OSError(f"it has more than {_MAX_BYTES >> 20} MB")
        return file.read()

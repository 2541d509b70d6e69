"""Damaged files of our own are moved aside, never overwritten or deleted: somebody may want to look at them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def set_aside(path: Path, companions: Sequence[str] = ()) -> Path:
    """Renames a file to `NAME.damaged-UTC`, with those beside it whose names end in `companions`. Returns the new path.

    The companions come first: a new file must not meet a journal of the old one. Raises OSError.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target, number = path.with_name(f"{path.name}.damaged-{stamp}"), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in companions:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    with suppress(FileNotFoundError):
        path.rename(target)
    return target

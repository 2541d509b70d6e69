"""Numbers that a sheet needs and the snapshot lacks, computed on a thread beside the screen.

The loop only starts the work and takes its result: a sheet shows its last result until the next one is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple


class Work(NamedTuple):
    """Work for the result `name`. `key` is what it rests on, underlying and position model first."""

    name: str
    key: tuple[Hashable, ...]
    compute: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Computed:
    """The result of a work with this key; `error` is the reason where there is none."""

    key: tuple[Hashable, ...]
    value: object
    error: str = ""


class SheetWorker:
    """One work at a time. `on_result` is called on the loop that started it."""

    def __init__(self, on_result: Callable[[str, Computed], None]) -> None:
        self._on_result = on_result
        self._busy = False

    def start(self, work: Work) -> None:
        """Starts the work; does nothing while another one is under way, after which the next frame asks again."""
        if not self._busy:
            self._busy = True
            args = (work, asyncio.get_running_loop())
            threading.Thread(target=self._run, args=args, name=f"compute-{work.name}", daemon=True).start()

    def _run(self, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        result = compute(work)
        with contextlib.suppress(RuntimeError):  # the screen has been left
            loop.call_soon_threadsafe(self._finish, work.name, result)

    def _finish(self, name: str, result: Computed) -> None:
        self._busy = False
        self._on_result(name, result)


def compute(work: Work) -> Computed:
    """The result of the work; a failure is one too."""
    try:
        return Computed(work.key, work.compute())
    except ValueError as error:
        return Computed(work.key, None, str(error))
    except Exception as error:
        return Computed(work.key, None, f"{type(error).__name__}: {error}")

"""Pages of the trade archive as the real one has been seen to serve them when it is not at its best."""

from __future__ import annotations

import random
from typing import Final, Literal

from dfmon.sim.deribit.records import Record

ArchiveFault = Literal["", "unordered", "repeats", "stops", "strange", "empty"]
_SHUFFLE_RNG: Final = random.Random(20_261_122)


def apply_archive_fault(page: list[Record], preceding: list[Record], fault: ArchiveFault) -> tuple[list[Record], bool]:
    """A page under `fault`, and whether it says that there is more.

    `preceding` are the rows before it. "unordered" and "strange": rows in any order, some of them outside the window;
    "repeats": rows come twice; "stops": half a page that says there is more; "empty": no row, and that there is more.
    """
    match fault:
        case "unordered":
            return _SHUFFLE_RNG.sample(page, len(page)), False
        case "repeats":
            return [*page, *page[: len(page) // 2]], False
        case "stops":
            return page[: (len(page) + 1) // 2], len(page) > 1
        case "strange":
            return [*preceding[-3:], *page[::-1]], False
        case "empty":
            return [], True
        case _:
            return page, False

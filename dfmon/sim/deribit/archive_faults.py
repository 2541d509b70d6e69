"""Faulty pages of the trade archive, each of a kind that the real one has served."""

from __future__ import annotations

import random
from typing import Final, Literal

from dfmon.sim.deribit.records import Record

ArchiveFault = Literal["", "unordered", "repeats", "stops", "strange", "empty"]
_SHUFFLE_RNG: Final = random.Random(20_261_122)


def apply_archive_fault(page: list[Record], preceding: list[Record], fault: ArchiveFault) -> tuple[list[Record], bool]:
    """Returns the page under `fault`, and its `has_more`.

    `preceding` are the rows before it. "unordered" and "strange": rows in any order, some of them outside the window;
    "repeats": rows come twice; "stops": half a page with `has_more`; "empty": no row, with `has_more`.
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

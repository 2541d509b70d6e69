"""The snapshot as text: what a level that is missing says in its place."""

from __future__ import annotations

from msgspec.structs import replace

from dfmon.sinks.plain_text import format_snapshot
from tests.sinks.factory import FLIP, snapshot


def flip_line(**changed: object) -> str:
    changed_snapshot = replace(snapshot(), flip=replace(FLIP, **changed))
    return next(line for line in format_snapshot(changed_snapshot, "live").splitlines() if line.startswith("G-Flip"))


def test_a_flip_has_its_band_and_the_distance_of_spot() -> None:
    assert flip_line() == "G-Flip 90,500.0   band 90,000.0 .. 91,000.0   none 0%   spot is 0.80% (0.3 sd) from it"


def test_a_book_without_a_flip_says_where_was_looked_and_no_distance() -> None:
    missing_fields = dict.fromkeys(("level", "lo", "hi", "distance_usd", "distance_pct", "distance_sigma"))
    assert (
        flip_line(**missing_fields, p_none=1.0, roots=())
        == "G-Flip none from 70,000.0 to 110,000.0   band n/a .. n/a   none 100%"
    )


def test_nothing_known_is_not_taken_for_none() -> None:
    assert flip_line(level=None, searched=None).startswith("G-Flip n/a ")

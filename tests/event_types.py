"""Events by their type, for tests that know which ones a venue must give."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from dfmon.model.events import Event

E = TypeVar("E", bound=Event)


def of_type(kind: type[E], events: Iterable[Event]) -> list[E]:
    """Those of `events` that are of one type, in order."""
    return [event for event in events if isinstance(event, kind)]


def as_type(kind: type[E], event: Event) -> E:
    """`event`, which must be of that type."""
    assert isinstance(event, kind), event
    return event

"""Chooses the fastest transport that is installed."""

from __future__ import annotations

from dfmon.venues.transport.base import Opener
from dfmon.venues.transport.websockets import open_websockets


def choose_opener() -> Opener:
    """Returns the fastest transport installed."""
    try:
        from dfmon.venues.transport.picows import open_picows
    except ImportError:
        return open_websockets
    return open_picows

"""Chooses the fastest transport that is installed."""

from __future__ import annotations

from urllib.request import getproxies

from dfmon.venues.transport.base import Opener
from dfmon.venues.transport.websockets import open_websockets


def choose_opener() -> Opener:
    """The fastest transport there is. A proxy of the environment is understood by `websockets` alone."""
    if {"http", "https", "all", "socks", "ws", "wss"} & set(getproxies()):
        return open_websockets
    try:
        from dfmon.venues.transport.picows import open_picows
    except ImportError:
        return open_websockets
    return open_picows

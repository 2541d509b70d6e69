"""Chooses the fastest transport that is installed."""

from __future__ import annotations

from urllib.request import getproxies

from dfmon.venues.transport.base import Opener
from dfmon.venues.transport.websockets import open_websockets


def choose_opener() -> Opener:
    """Returns the fastest transport installed; `websockets` behind a proxy, which only it supports."""
    if {"http", "https", "all", "socks", "ws", "wss"} & set(getproxies()):
        return open_websockets
    try:
        from dfmon.venues.transport.picows import open_picows
    except ImportError:
        return open_websockets
    return open_picows

"""Chooses the fastest transport and event loop that are installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes the fastest event loop there is; None for the one of the standard library."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory

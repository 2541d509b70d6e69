"""The part of a URL by which connections and calls are paced and their errors are kept."""

from __future__ import annotations

from urllib.parse import urlsplit


def authority(url: str) -> str:
    """Host and port of a URL, without a login: the gateways of several venues on one host differ in their ports.

    >>> authority("wss://user:secret@venue.test:8443/ws?key=secret")
    'venue.test:8443'
    """
    return urlsplit(url).netloc.rpartition("@")[2].lower()
